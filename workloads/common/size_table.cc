// SPDX-License-Identifier: MIT
// Copyright (c) The eTran artifact authors
#include "common/size_table.h"

#include <array>
#include <cerrno>
#include <charconv>
#include <cstdio>
#include <cstring>

#include <fmt/format.h>

#include "common/error.h"

namespace etran::wl {
namespace {

std::vector<std::string_view> split(std::string_view line, char separator) {
    std::vector<std::string_view> fields;
    while (true) {
        size_t end = line.find(separator);
        fields.push_back(line.substr(0, end));
        if (end == std::string_view::npos)
            return fields;
        line.remove_prefix(end + 1);
    }
}

template <typename Number> bool parse_number(std::string_view text, Number &value) {
    auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    return error == std::errc() && end == text.data() + text.size();
}

} // namespace

const SizeTable::Column *SizeTable::find(std::string_view name) const {
    for (const Column &column : columns) {
        if (column.name == name)
            return &column;
    }
    return nullptr;
}

SizeTable parse_size_table(std::string_view text, const std::string &origin) {
    SizeTable table;
    int line_number = 0;
    auto fail = [&](const std::string &what) {
        throw UserError(fmt::format("{}:{}: {}", origin, line_number, what),
                        "see the comment at the head of workloads/data/message_sizes.csv");
    };
    while (!text.empty()) {
        size_t end = text.find('\n');
        std::string_view line = text.substr(0, end);
        text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
        line_number++;
        if (!line.empty() && line.back() == '\r')
            line.remove_suffix(1);
        if (line.empty() || line.front() == '#')
            continue;
        std::vector<std::string_view> fields = split(line, ',');
        if (table.columns.empty()) {
            if (fields.size() < 2 || fields[0] != "percentile")
                fail("the first row must be `percentile,<workload>,...`");
            for (size_t i = 1; i < fields.size(); i++) {
                if (fields[i].empty() || table.find(fields[i]) != nullptr)
                    fail(fmt::format("workload name '{}' is empty or twice there", fields[i]));
                table.columns.push_back({std::string(fields[i]), {}});
            }
            continue;
        }
        if (fields.size() != table.columns.size() + 1)
            fail(fmt::format("{} fields, expected {}", fields.size(), table.columns.size() + 1));
        double percentile = 0;
        if (!parse_number(fields[0], percentile) || !(percentile > 0) || percentile > 100)
            fail(fmt::format("'{}' is not a percentile", fields[0]));
        if (!table.percentiles.empty() && percentile <= table.percentiles.back())
            fail("percentiles must increase");
        table.percentiles.push_back(percentile);
        for (size_t i = 0; i < table.columns.size(); i++) {
            std::vector<uint64_t> &sizes = table.columns[i].sizes;
            uint64_t bytes = 0;
            if (!parse_number(fields[i + 1], bytes) || bytes == 0)
                fail(fmt::format("'{}' is not a message size", fields[i + 1]));
            if (!sizes.empty() && bytes < sizes.back())
                fail(fmt::format("sizes of '{}' decrease", table.columns[i].name));
            sizes.push_back(bytes);
        }
    }
    if (table.percentiles.empty() || table.percentiles.back() != 100)
        fail("the last row must be percentile 100");
    return table;
}

SizeTable load_size_table(const std::string &path) {
    std::string text;
    std::array<char, 4096> block;
    FILE *file = fopen(path.c_str(), "re");
    bool failed = file == nullptr;
    int error = errno;
    if (file != nullptr) {
        for (size_t n = 0; (n = fread(block.data(), 1, block.size(), file)) > 0;)
            text.append(block.data(), n);
        failed = ferror(file) != 0;
        error = errno;
        fclose(file);
    }
    if (failed)
        throw UserError(fmt::format("cannot read {}: {}", path, std::strerror(error)),
                        "check --sizes-file");
    return parse_size_table(text, path);
}

} // namespace etran::wl
