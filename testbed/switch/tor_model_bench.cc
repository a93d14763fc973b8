/* SPDX-License-Identifier: MIT
 * Copyright (c) The eTran artifact authors
 *
 * Packets per second through the model, arrival and departure included.
 */
#include <benchmark/benchmark.h>

#include <memory>
#include <vector>

#include "test_frames.h"
#include "tor_model.h"

namespace etran_test {
namespace {

/* Every port sends to the next one at about line rate. */
void run(benchmark::State &state, tor_config cfg, uint32_t len) {
    auto mem = std::make_unique<uint64_t[]>(tor_size(&cfg) / 8 + 1);
    tor t;
    if (tor_init(&t, mem.get(), tor_size(&cfg), &cfg)) {
        state.SkipWithError("tor_init");
        return;
    }
    std::vector<Bytes> frames;
    for (uint32_t p = 0; p < cfg.ports; p++)
        frames.push_back(make_frame({.dst = node_mac((p + 1) % cfg.ports),
                                     .src = node_mac(p),
                                     .dscp = static_cast<uint8_t>(p * 8),
                                     .ecn = 2,
                                     .len = len}));
    tor_time at = 0, gap = tor_line_time(&cfg, 0, len);
    uint64_t out = 0;
    tor_event ev;
    for (auto _ : state) {
        for (uint32_t p = 0; p < cfg.ports; p++)
            tor_input(&t, p, at, frames[p].data(), len);
        at += gap;
        while (tor_next(&t, at, &ev) > 0)
            out++;
    }
    benchmark::DoNotOptimize(out);
    state.SetItemsProcessed(state.iterations() * cfg.ports);
    state.SetBytesProcessed(state.iterations() * cfg.ports * len);
}

void BM_forward(benchmark::State &state) {
    tor_config cfg;
    tor_config_default(&cfg, static_cast<uint32_t>(state.range(0)));
    run(state, cfg, static_cast<uint32_t>(state.range(1)));
}
BENCHMARK(BM_forward)->ArgNames({"ports", "bytes"})->ArgsProduct({{2, 10}, {64, 1514}});

void BM_forward_sampled(benchmark::State &state) {
    tor_config cfg;
    tor_config_default(&cfg, 10);
    cfg.sample_ps = 1000 * TOR_NS;
    run(state, cfg, 1514);
}
BENCHMARK(BM_forward_sampled);

void BM_forward_with_faults(benchmark::State &state) {
    tor_config cfg;
    tor_config_default(&cfg, 10);
    for (uint32_t kind = 0; kind < TOR_FAULT_DOWN; kind++)
        cfg.fault[cfg.faults++] = {.port = kind,
                                   .kind = kind,
                                   .directions = TOR_IN | TOR_OUT,
                                   .reserved = 0,
                                   .from = 0,
                                   .to = TOR_TIME_INF,
                                   .p32 = TOR_P32_ONE / 100,
                                   .delay_ps = 10000 * TOR_NS};
    run(state, cfg, 1514);
}
BENCHMARK(BM_forward_with_faults);

} // namespace
} // namespace etran_test
