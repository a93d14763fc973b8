// SPDX-License-Identifier: MIT
// Copyright (c) The eTran artifact authors
//
// The server role of rpcbench: checks each request and answers with as many bytes as it asks for.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "transport/transport.h"

namespace etran::wl {

// One per thread; all calls from that thread, the counters also after it has ended.
class RpcServer : public ServerHandler {
  public:
    struct Counters {
        uint64_t requests = 0; // answered
        uint64_t rx_bytes = 0;
        uint64_t tx_bytes = 0;
        uint64_t mismatches = 0; // pieces of requests with a wrong byte
    };

    // `flip_at`: spoil the last byte of the flip_at-th reply (0 = never).
    RpcServer(Transport &transport, bool verify, uint64_t flip_at)
        : transport_(transport), verify_(verify), flip_at_(flip_at) {}

    void on_request(ReplyTo from, const Piece &piece) override;

    const Counters &counters() const { return counters_; }
    // Requests whose every byte was compared and right.
    uint64_t verified() const;
    // What was wrong with the first mismatch; empty if there was none.
    const std::string &first_mismatch() const { return first_mismatch_; }

  private:
    void check(const Piece &piece);
    OutMessage spoilt(const OutMessage &reply);

    Transport &transport_;
    bool verify_;
    uint64_t flip_at_;
    Counters counters_;
    std::string first_mismatch_;
    std::vector<std::byte> spoilt_body_;
};

// "byte 17 of the body of request 5 (1000 B) is 0x3f, expected 0x7f", for a piece that differs.
std::string describe_mismatch(const Piece &piece);

} // namespace etran::wl
