// SPDX-License-Identifier: MIT
// Copyright (c) The eTran artifact authors
//
// What the generators spend per message and per byte outside of system calls.
#include <vector>

#include <benchmark/benchmark.h>

#include "common/clock.h"
#include "common/distribution.h"
#include "common/pattern.h"
#include "common/recorder.h"
#include "common/zipf.h"

namespace etran::wl {
namespace {

void BM_pattern_matches(benchmark::State &state) {
    const Pattern &pattern = Pattern::get();
    auto bytes = static_cast<uint32_t>(state.range(0));
    // As if received: a buffer of its own, at an odd place in the pattern.
    std::vector<std::byte> data(pattern.at(12'345), pattern.at(12'345) + bytes);
    for (auto _ : state) {
        bool right = pattern.matches(12'345, data);
        benchmark::DoNotOptimize(right);
        benchmark::ClobberMemory();
    }
    state.SetBytesProcessed(state.iterations() * state.range(0));
}
BENCHMARK(BM_pattern_matches)->Arg(8)->Arg(64)->Arg(1448)->Arg(65'536)->Arg(131'072);

void BM_pattern_body(benchmark::State &state) {
    uint64_t key = 0;
    for (auto _ : state) {
        Body body = Pattern::get().body(Pattern::start(key++), 1000);
        benchmark::DoNotOptimize(body);
    }
}
BENCHMARK(BM_pattern_body);

void BM_histogram_record(benchmark::State &state) {
    Histogram histogram;
    Prng prng(1);
    std::vector<int64_t> values(4096);
    for (int64_t &value : values)
        value = 10'000 + static_cast<int64_t>(prng.below(50'000));
    size_t i = 0;
    for (auto _ : state)
        histogram.record(values[i++ % values.size()]);
    state.SetItemsProcessed(state.iterations());
}
BENCHMARK(BM_histogram_record);

void BM_recorder_complete(benchmark::State &state) {
    Recorder recorder(10, SampleBy::kCompletion, false);
    recorder.set_window({0, 0, int64_t{1} << 60});
    int64_t now = 1'000'000;
    for (auto _ : state) {
        recorder.complete(static_cast<uint32_t>(now) % 10, now - 15'000 - now % 1000, now, 32, 32);
        now += 37;
    }
    state.SetItemsProcessed(state.iterations());
}
BENCHMARK(BM_recorder_complete);

void BM_distribution_sample(benchmark::State &state) {
    SizeTable table = parse_size_table(builtin_size_table_text(), "built in");
    SizeDistribution sizes = SizeDistribution::parse("w4", table, {24, 1'000'000});
    Prng prng(1);
    for (auto _ : state) {
        uint32_t drawn = sizes.sample(prng);
        benchmark::DoNotOptimize(drawn);
    }
    state.SetItemsProcessed(state.iterations());
}
BENCHMARK(BM_distribution_sample);

void BM_poisson_gap(benchmark::State &state) {
    Prng prng(1);
    for (auto _ : state) {
        double gap = prng.exponential(1000);
        benchmark::DoNotOptimize(gap);
    }
    state.SetItemsProcessed(state.iterations());
}
BENCHMARK(BM_poisson_gap);

void BM_zipf_sample(benchmark::State &state) {
    KeyChooser keys = KeyChooser::zipf(static_cast<uint32_t>(state.range(0)), 0.99);
    Prng prng(1);
    for (auto _ : state) {
        uint32_t key = keys.sample(prng);
        benchmark::DoNotOptimize(key);
    }
    state.SetItemsProcessed(state.iterations());
}
BENCHMARK(BM_zipf_sample)->Arg(10'000)->Arg(1'000'000);

void BM_clock(benchmark::State &state) {
    for (auto _ : state) {
        int64_t now = mono_ns();
        benchmark::DoNotOptimize(now);
    }
}
BENCHMARK(BM_clock);

} // namespace
} // namespace etran::wl
