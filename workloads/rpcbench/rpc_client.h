// SPDX-License-Identifier: MIT
// Copyright (c) The eTran artifact authors
//
// The client role of rpcbench: one thread's load, closed or open loop.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "common/distribution.h"
#include "common/prng.h"
#include "common/recorder.h"
#include "transport/transport.h"

namespace etran::wl {

struct RpcLoad {
    double gbps = 0;          // open loop: request bytes offered by this thread; 0 = closed loop
    uint32_t outstanding = 1; // closed loop: RPCs under way at any time
    uint32_t max_outstanding = 0; // open loop: more arrivals than this wait inside the generator
    uint32_t response_bytes = 0;  // 0 = as long as the request
    int64_t drain_ns = 0;         // after the window, wait at most this long
    bool verify = true;
    bool dump = false;
    uint64_t seed = 1;
    uint32_t thread = 0;

    bool open() const { return gbps > 0; }
};

// Use: start(); run() until finished(), each time followed by Transport::poll(next_deadline());
// then conclude(). All calls from one thread (which may change before start()).
class RpcClient : public ClientHandler {
  public:
    // `sizes` and `transport` must outlive the client.
    RpcClient(Transport &transport, const SizeDistribution &sizes, const RpcLoad &load,
              uint32_t peers);

    // Says when to send and when to measure; nothing is sent before.
    void start(Window window);

    void on_reply(PeerId peer, const Piece &piece) override;
    void on_peer_lost(PeerId peer, const std::string &why) override;

    // Sends what is due; nothing before the window's start.
    void run();

    // When run() has something to do even if no reply comes. CLOCK_MONOTONIC ns.
    int64_t next_deadline() const;

    // Nothing more will be sent and nothing is under way, or the drain time is over, or it is
    // pointless because a peer was lost.
    bool finished() const { return phase_ == Phase::kDone; }

    // Accounts for what did not finish. Call once, at the end.
    void conclude();

    const Recorder &recorder() const { return recorder_; }
    uint64_t verified() const { return verified_; }
    uint64_t errors() const { return errors_; }
    // The first error in words; empty if there was none.
    const std::string &problem() const { return problem_; }
    bool window_over() const { return phase_ != Phase::kLoad; }

  private:
    enum class Phase { kLoad, kDrain, kDone };

    struct Slot {
        int64_t from = 0;        // intended (open) or real (closed) send time
        uint32_t generation = 0; // upper half of the id; odd while in use
        uint32_t operation = 0;  // size class
        PeerId peer = 0;
        uint32_t reply_bytes = 0;
        bool bad = false; // a piece of the reply was wrong
    };

    // The next arrival of the open loop; drawn before its time comes.
    struct Arrival {
        int64_t at = 0;
        uint32_t operation = 0;
        PeerId peer = 0;
    };

    void draw_arrival();
    void send(int64_t from, uint32_t operation, PeerId peer);
    void send_closed();
    void fail(const std::string &what);
    void update_phase(int64_t now);
    PeerId draw_peer() { return peers_ == 1 ? 0 : static_cast<PeerId>(peer_prng_.below(peers_)); }

    Transport &transport_;
    const SizeDistribution &sizes_;
    const std::vector<SizeClass> &classes_;
    RpcLoad load_;
    uint32_t peers_;
    Window window_;
    Recorder recorder_;
    Prng arrival_prng_;
    Prng size_prng_;
    Prng peer_prng_;
    double mean_gap_ns_ = 0;
    double arrival_clock_ = 0; // ns after the start, kept as a double so that gaps do not round up
    Arrival arrival_;
    std::vector<Slot> slots_;
    std::vector<uint32_t> free_; // a stack: the slots used last are still in the cache
    Phase phase_ = Phase::kLoad;
    bool started_ = false; // closed loop: the window's start has come
    int64_t seen_ = 0;     // time of the latest reply since the last run(), or 0
    uint64_t verified_ = 0;
    uint64_t errors_ = 0;
    std::string problem_;
};

} // namespace etran::wl
