// SPDX-License-Identifier: MIT
// Copyright (c) The eTran artifact authors
//
// Command line of primbench.
#include <fmt/format.h>

#include "common/clock.h"
#include "common/error.h"
#include "common/options.h"
#include "common/recorder.h"
#include "primbench/primitives.h"

namespace etran::wl {
namespace {

const char *const kDescription =
    R"(primbench - what the operations cost of which a transport's path is made

DESCRIPTION
  Measures system call, copy, context switch, timer, interrupt and packet on the calling core, one
  after the other, so that an emulated core can be compared with a real one. Needs no peer.)";

int measure(const CommonOptions &options, size_t samples, const Json &params) {
    ResultHead head;
    head.bench = "primbench";
    head.role = "client";
    head.params = params;
    Json latency = Json::array();
    SampleHash hash;
    int64_t begin = mono_ns();
    for (const Primitive &primitive : primitives()) {
        Histogram warm;
        primitive.measure(warm, samples / 10 + 1);
        Histogram histogram;
        primitive.measure(histogram, samples);
        for (auto [value, count] : histogram.sparse()) {
            hash.add(value);
            hash.add(count);
        }
        head.ops += histogram.count();
        latency.push_back(latency_json(primitive.name, histogram, 0));
    }
    head.window_ns = mono_ns() - begin;
    Json json = head_json(head);
    json["latency"] = std::move(latency);
    json["sample_hash"] = fmt::format("{:016x}", hash.value());
    if (!options.json.empty())
        write_result(json, options.json);
    return kExitOk;
}

int run(int argc, char **argv) {
    CLI::App app(kDescription, "primbench");
    CommonOptions options;
    size_t samples = 200;
    style_app(app, "  primbench --samples 1000 --json -");
    app.require_subcommand(0);
    add_common_options(app, options);
    add_timing_options(app, options);
    app.add_option("--samples", samples, "Samples of each operation")
        ->check(CLI::Range(10, 1'000'000));
    return run_program(app, argc, argv,
                       [&] { return measure(options, samples, params_json(app)); });
}

} // namespace
} // namespace etran::wl

int main(int argc, char **argv) {
    return etran::wl::run(argc, argv);
}
