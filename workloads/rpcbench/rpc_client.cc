// SPDX-License-Identifier: MIT
// Copyright (c) The eTran artifact authors
#include "rpcbench/rpc_client.h"

#include <algorithm>

#include <fmt/format.h>

#include "common/clock.h"
#include "rpcbench/rpc_server.h"

namespace etran::wl {

namespace {
constexpr int kStartBurst = 64; // first requests per turn, so that replies are read meanwhile
} // namespace

RpcClient::RpcClient(Transport &transport, const SizeDistribution &sizes, const RpcLoad &load,
                     uint32_t peers)
    : transport_(transport), sizes_(sizes), classes_(sizes.classes()), load_(load), peers_(peers),
      recorder_(sizes.classes().size(), load.open() ? SampleBy::kIntended : SampleBy::kCompletion,
                load.dump),
      arrival_prng_(derive_seed(load.seed, Purpose::kArrivals, load.thread)),
      size_prng_(derive_seed(load.seed, Purpose::kSizes, load.thread)),
      peer_prng_(derive_seed(load.seed, Purpose::kPeers, load.thread)) {
    uint32_t slots = load.open() ? load.max_outstanding : load.outstanding;
    slots_.resize(slots);
    free_.resize(slots);
    for (uint32_t i = 0; i < slots; i++)
        free_[i] = slots - 1 - i;
}

void RpcClient::start(Window window) {
    window_ = window;
    recorder_.set_window(window);
    if (load_.open()) {
        mean_gap_ns_ = sizes_.mean() * 8 / load_.gbps; // bytes * 8 / (Gbit/s) = ns
        draw_arrival();
    }
}

void RpcClient::draw_arrival() {
    arrival_clock_ += arrival_prng_.exponential(mean_gap_ns_);
    arrival_.at = window_.start + static_cast<int64_t>(arrival_clock_);
    arrival_.operation = sizes_.sample(size_prng_);
    arrival_.peer = draw_peer();
}

void RpcClient::send(int64_t from, uint32_t operation, PeerId peer) {
    uint32_t index = free_.back();
    free_.pop_back();
    uint32_t bytes = classes_[operation].bytes;
    Slot &slot = slots_[index];
    slot.from = from;
    slot.generation++;
    slot.operation = operation;
    slot.peer = peer;
    slot.reply_bytes = load_.response_bytes == 0 ? bytes : load_.response_bytes;
    slot.bad = false;
    OutMessage request;
    uint64_t id = static_cast<uint64_t>(slot.generation) << 32 | index;
    request.header = MessageHeader::make(MessageType::kRequest, bytes, slot.reply_bytes, id,
                                         static_cast<uint64_t>(from));
    request.body = Pattern::get().body(body_start(request.header), request.header.body_length());
    transport_.issue(peer, request);
}

void RpcClient::send_closed() {
    uint32_t operation = sizes_.sample(size_prng_);
    PeerId peer = draw_peer();
    send(mono_ns(), operation, peer);
}

void RpcClient::run() {
    if (load_.open()) {
        int64_t now = mono_ns();
        while (arrival_.at <= now && arrival_.at < window_.end && !free_.empty() &&
               phase_ != Phase::kDone) {
            send(arrival_.at, arrival_.operation, arrival_.peer);
            now = mono_ns();
            recorder_.late(arrival_.at, now);
            draw_arrival();
        }
        update_phase(now);
        return;
    }
    if (!started_) {
        started_ = mono_ns() >= window_.start;
        if (!started_)
            return;
    }
    for (int i = 0; i < kStartBurst && phase_ == Phase::kLoad && !free_.empty(); i++)
        send_closed();
    // A reply of this turn has read the clock already.
    update_phase(seen_ != 0 ? seen_ : mono_ns());
    seen_ = 0;
}

void RpcClient::update_phase(int64_t now) {
    if (phase_ == Phase::kLoad && now >= window_.end)
        phase_ = Phase::kDrain;
    if (phase_ != Phase::kDrain)
        return;
    bool all_sent = !load_.open() || arrival_.at >= window_.end;
    if ((all_sent && free_.size() == slots_.size()) || now >= window_.end + load_.drain_ns)
        phase_ = Phase::kDone;
}

int64_t RpcClient::next_deadline() const {
    switch (phase_) {
    case Phase::kLoad:
        if (!load_.open() && !started_)
            return window_.start;
        if (!load_.open() && !free_.empty())
            return 0; // still starting
        // With all slots taken the next event is a reply.
        if (load_.open() && !free_.empty())
            return std::min(arrival_.at, window_.end);
        return window_.end;
    case Phase::kDrain:
        return window_.end + load_.drain_ns;
    case Phase::kDone:
        break;
    }
    return 0;
}

void RpcClient::on_reply(PeerId peer, const Piece &piece) {
    if (phase_ == Phase::kDone) // too late, and already counted as unfinished
        return;
    int64_t now = piece.last ? mono_ns() : 0;
    const MessageHeader &header = piece.header;
    auto index = static_cast<uint32_t>(header.id);
    if (index >= slots_.size() || slots_[index].generation != header.id >> 32 ||
        slots_[index].peer != peer || slots_[index].from != static_cast<int64_t>(header.send_ns) ||
        slots_[index].reply_bytes != header.length) [[unlikely]] {
        if (piece.last)
            fail(fmt::format("reply {:#x} ({} B) from peer {} answers no request of ours",
                             header.id, header.length, peer));
        return;
    }
    Slot &slot = slots_[index];
    if (load_.verify) {
        uint32_t position = Pattern::advance(body_start(header), piece.offset);
        if (!Pattern::get().matches(position, piece.data)) [[unlikely]] {
            slot.bad = true;
            fail(describe_mismatch(piece));
        }
    }
    if (!piece.last)
        return;
    seen_ = now;
    verified_ += load_.verify && !slot.bad ? 1 : 0;
    recorder_.complete(slot.operation, slot.from, now, classes_[slot.operation].bytes,
                       header.length);
    slot.generation++; // a second reply with this id is an error
    free_.push_back(index);
    if (!load_.open() && now < window_.end && phase_ == Phase::kLoad)
        send_closed();
}

void RpcClient::on_peer_lost(PeerId peer, const std::string &why) {
    if (phase_ == Phase::kDone)
        return;
    size_t waiting = 0;
    for (const Slot &slot : slots_)
        waiting += slot.peer == peer && slot.generation % 2 == 1 ? 1 : 0;
    fail(fmt::format("lost peer {} with {} RPCs under way: {}", peer, waiting, why));
    phase_ = Phase::kDone;
}

void RpcClient::fail(const std::string &what) {
    errors_++;
    if (problem_.empty())
        problem_ = what;
}

void RpcClient::conclude() {
    for (const Slot &slot : slots_) {
        if (slot.generation % 2 == 1 && load_.open())
            recorder_.unfinished(slot.operation, slot.from);
    }
    if (!load_.open())
        return;
    // Arrivals of the window that were never sent.
    while (arrival_.at < window_.end) {
        recorder_.unfinished(arrival_.operation, arrival_.at);
        draw_arrival();
    }
}

} // namespace etran::wl
