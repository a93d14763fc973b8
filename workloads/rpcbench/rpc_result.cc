// SPDX-License-Identifier: MIT
// Copyright (c) The eTran artifact authors
#include "rpcbench/rpc_result.h"

#include <algorithm>

#include <fmt/format.h>

namespace etran::wl {
namespace {

// The union of some classes.
struct Group {
    Histogram histogram;
    uint64_t missing = 0;
    uint32_t lo_bytes = UINT32_MAX;
    uint32_t hi_bytes = 0;

    void add(const SizeClass &size, const Recorder::Class &measured) {
        histogram.merge(measured.histogram);
        missing += measured.missing;
        lo_bytes = std::min(lo_bytes, size.bytes);
        hi_bytes = std::max(hi_bytes, size.bytes);
    }
};

} // namespace

void add_rpc_latency(Json &json, const SizeDistribution &sizes, const Recorder &recorder) {
    const std::vector<SizeClass> &classes = sizes.classes();
    const std::vector<Recorder::Class> &measured = recorder.classes();

    Json latency = Json::array();
    Group all;
    for (size_t i = 0; i < classes.size(); i++)
        all.add(classes[i], measured[i]);
    latency.push_back(latency_json("all", all.histogram, all.missing));
    if (!sizes.fixed()) {
        for (int decile = 0; decile < SizeDistribution::kDeciles; decile++) {
            Group group;
            for (size_t i = 0; i < classes.size(); i++) {
                if (classes[i].decile == decile)
                    group.add(classes[i], measured[i]);
            }
            Json entry =
                latency_json(fmt::format("decile{}", decile), group.histogram, group.missing);
            entry["lo_bytes"] = group.lo_bytes;
            entry["hi_bytes"] = group.hi_bytes;
            latency.push_back(std::move(entry));
        }
    }
    json["latency"] = std::move(latency);

    Json by_size = Json::array();
    double below = 0;
    for (size_t i = 0; i < classes.size();) {
        Group group;
        double share = 0;
        uint32_t bytes = classes[i].bytes;
        for (; i < classes.size() && classes[i].bytes == bytes; i++) {
            group.add(classes[i], measured[i]);
            share += classes[i].probability;
        }
        Json entry = latency_json(fmt::format("{}", bytes), group.histogram, group.missing);
        entry["bytes"] = bytes;
        entry["fraction_below"] = below;
        entry["fraction"] = share;
        below += share;
        by_size.push_back(std::move(entry));
    }
    json["by_size"] = std::move(by_size);
    json["unfinished"] = recorder.missing();
    json["late"] = latency_json("late", recorder.lateness(), 0);
    json["sample_hash"] = recorder.hash();
    json["mean_message_bytes"] = sizes.mean();
}

std::vector<std::string> rpc_class_names(const SizeDistribution &sizes) {
    std::vector<std::string> names;
    for (const SizeClass &c : sizes.classes())
        names.push_back(fmt::format("decile{}", c.decile));
    return names;
}

} // namespace etran::wl
