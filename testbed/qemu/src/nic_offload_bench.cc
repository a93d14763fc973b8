// SPDX-License-Identifier: MIT
// Copyright (c) The eTran artifact authors
#include "nic_offload.h"

#include <benchmark/benchmark.h>

#include <vector>

namespace {

std::vector<uint8_t> tcp_packet(size_t payload) {
    std::vector<uint8_t> p(66 + payload, 0x5a);
    p[12] = 0x08;
    p[13] = 0x00;
    p[14] = 0x45;
    p[16] = static_cast<uint8_t>((p.size() - 14) >> 8);
    p[17] = static_cast<uint8_t>(p.size() - 14);
    p[20] = p[21] = 0;
    p[23] = 6;
    p[46] = 0x80;
    return p;
}

nic_tx_request tso_request() {
    nic_tx_request request = {};
    request.csum = request.tso = true;
    request.csum_start = 34;
    request.csum_offset = 16;
    request.gso_size = 1448;
    return request;
}

// One packet of range(0) bytes of payload cut into wire frames with checksums.
void BM_segment(benchmark::State &state) {
    auto packet = tcp_packet(static_cast<size_t>(state.range(0)));
    auto request = tso_request();
    std::vector<uint8_t> frame(2048);
    for (auto _ : state) {
        nic_tx t;
        nic_tx_begin(&t, &request, packet.data(), static_cast<uint32_t>(packet.size()), 1518);
        while (nic_tx_frame(&t, frame.data()) != 0)
            benchmark::DoNotOptimize(frame.data());
    }
    state.SetBytesProcessed(state.iterations() * state.range(0));
}
BENCHMARK(BM_segment)->Arg(64)->Arg(1448)->Arg(64000);

void BM_check(benchmark::State &state) {
    auto packet = tcp_packet(static_cast<size_t>(state.range(0)));
    auto request = tso_request();
    nic_tx t;
    nic_tx_begin(&t, &request, packet.data(), static_cast<uint32_t>(packet.size()), 1518);
    std::vector<uint8_t> frame(nic_tx_frame_len(&t));
    nic_tx_frame(&t, frame.data());
    if (nic_rx_check(frame.data(), static_cast<uint32_t>(frame.size())) != NIC_RX_CSUM_GOOD)
        state.SkipWithError("the frame is not as meant");
    for (auto _ : state)
        benchmark::DoNotOptimize(nic_rx_check(frame.data(), static_cast<uint32_t>(frame.size())));
    state.SetBytesProcessed(state.iterations() * state.range(0));
}
BENCHMARK(BM_check)->Arg(64)->Arg(1448);

void BM_hash(benchmark::State &state) {
    auto frame = tcp_packet(64);
    for (auto _ : state)
        benchmark::DoNotOptimize(nic_flow_hash(frame.data(), static_cast<uint32_t>(frame.size())));
    state.SetItemsProcessed(state.iterations());
}
BENCHMARK(BM_hash);

} // namespace
