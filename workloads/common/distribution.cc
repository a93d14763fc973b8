// SPDX-License-Identifier: MIT
// Copyright (c) The eTran artifact authors
#include "common/distribution.h"

#include <algorithm>
#include <charconv>
#include <string_view>
#include <utility>

#include <fmt/format.h>

#include "common/error.h"

namespace etran::wl {
namespace {

std::vector<double> probabilities(const std::vector<SizeClass> &classes) {
    std::vector<double> result;
    result.reserve(classes.size());
    for (const SizeClass &c : classes)
        result.push_back(c.probability);
    return result;
}

// Adds the mass between the fractions `from` and `to`, cut at the deciles' borders.
void append(std::vector<SizeClass> &classes, uint32_t bytes, double from, double to) {
    while (from < to) {
        int decile = std::min(static_cast<int>(from * SizeDistribution::kDeciles + 1e-9),
                              SizeDistribution::kDeciles - 1);
        double border = decile == SizeDistribution::kDeciles - 1
                            ? 1.0
                            : (decile + 1.0) / SizeDistribution::kDeciles;
        double end = std::min(to, border);
        if (!classes.empty() && classes.back().bytes == bytes && classes.back().decile == decile)
            classes.back().probability += end - from;
        else
            classes.push_back({bytes, decile, end - from});
        from = end;
    }
}

SizeDistribution::Limits checked(SizeDistribution::Limits limits) {
    if (limits.min_bytes > limits.max_bytes)
        throw UserError("the smallest message size exceeds the largest", "check the size limits");
    return limits;
}

std::string known_names(const SizeTable &table) {
    std::string names;
    for (const SizeTable::Column &column : table.columns)
        names += column.name + ", ";
    return names + "fixed:<bytes>";
}

} // namespace

SizeDistribution::SizeDistribution(std::string spec, std::vector<SizeClass> classes)
    : spec_(std::move(spec)), classes_(std::move(classes)), alias_(probabilities(classes_)) {}

SizeDistribution SizeDistribution::parse(const std::string &spec, const SizeTable &table,
                                         Limits limits) {
    checked(limits);
    constexpr std::string_view kFixed = "fixed:";
    if (spec.starts_with(kFixed)) {
        std::string_view number = std::string_view(spec).substr(kFixed.size());
        uint32_t bytes = 0;
        auto [end, error] = std::from_chars(number.data(), number.data() + number.size(), bytes);
        if (error != std::errc() || end != number.data() + number.size() ||
            bytes < limits.min_bytes || bytes > limits.max_bytes) {
            throw UserError(fmt::format("bad message size '{}'", spec),
                            fmt::format("use fixed:<bytes> with {} to {} bytes", limits.min_bytes,
                                        limits.max_bytes));
        }
        return {spec, {{bytes, 0, 1.0}}};
    }
    const SizeTable::Column *column = table.find(spec);
    if (column == nullptr) {
        throw UserError(fmt::format("unknown workload '{}'", spec),
                        "known workloads: " + known_names(table));
    }
    std::vector<SizeClass> classes;
    const std::vector<double> &at = table.percentiles;
    double from = 0;
    for (size_t i = 0; i < at.size(); i++) {
        double to = i + 1 == at.size() ? 1.0 : (at[i] + at[i + 1]) / 200;
        uint64_t bytes = std::clamp<uint64_t>(column->sizes[i], limits.min_bytes, limits.max_bytes);
        append(classes, static_cast<uint32_t>(bytes), from, to);
        from = to;
    }
    return {spec, std::move(classes)};
}

double SizeDistribution::mean() const {
    double sum = 0;
    for (const SizeClass &c : classes_)
        sum += c.bytes * c.probability;
    return sum;
}

uint32_t SizeDistribution::quantile(double q) const {
    double sum = 0;
    for (const SizeClass &c : classes_) {
        sum += c.probability;
        if (sum >= q - 1e-12)
            return c.bytes;
    }
    return classes_.back().bytes;
}

} // namespace etran::wl
