// SPDX-License-Identifier: MIT
// Copyright (c) The eTran artifact authors
#include "transport/tcp/framing.h"

#include <vector>

#include <benchmark/benchmark.h>

namespace etran::wl {
namespace {

// A receive buffer full of messages of one size, parsed at once, bodies not looked at.
void BM_framing_feed(benchmark::State &state) {
    auto length = static_cast<uint32_t>(state.range(0));
    std::vector<std::byte> stream;
    uint64_t id = 0;
    while (stream.size() + length <= 128 * 1024) {
        MessageHeader header = MessageHeader::make(MessageType::kRequest, length, 24, id++, 1);
        const auto *raw = reinterpret_cast<const std::byte *>(&header);
        stream.insert(stream.end(), raw, raw + kHeaderBytes);
        stream.resize(stream.size() + length - kHeaderBytes);
    }
    uint64_t messages = 0;
    for (auto _ : state) {
        FrameParser parser;
        parser.feed(stream, [&](const Piece &piece) {
            messages += piece.last ? 1 : 0;
            return true;
        });
    }
    state.SetItemsProcessed(static_cast<int64_t>(messages));
}
BENCHMARK(BM_framing_feed)->Arg(24)->Arg(32)->Arg(1000)->Arg(65'536);

} // namespace
} // namespace etran::wl
