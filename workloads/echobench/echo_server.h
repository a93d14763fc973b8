// SPDX-License-Identifier: MIT
// Copyright (c) The eTran artifact authors
//
// The server role of echobench: one thread's connections.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "common/event_loop.h"
#include "common/net.h"
#include "common/pattern_stream.h"
#include "common/serve_meter.h"
#include "common/slot_table.h"
#include "echobench/echo_protocol.h"

namespace etran::wl {

struct EchoServerOptions {
    PollMode poll = PollMode::kSleep;
    bool verify = true;
    bool batch = false;   // answer all messages of one read() with one write()
    uint64_t flip_at = 0; // spoil the reply (kStream: the received piece) of this number
};

// All calls from one thread, except the constructor (and reading the counters after the end).
class EchoServer {
  public:
    static constexpr size_t kReceiveBytes = Pattern::kSpan;
    static constexpr int64_t kProgressNs = 500 * kNsPerUs; // between two reports of a stream

    // Throws UserError if it cannot listen.
    EchoServer(const Address &listen, const EchoServerOptions &options);
    ~EchoServer();
    EchoServer(const EchoServer &) = delete;
    EchoServer &operator=(const EchoServer &) = delete;

    // One turn: waits until `deadline` (CLOCK_MONOTONIC ns) for events and handles them.
    void poll(int64_t deadline);

    // Messages and message bytes so far.
    const ServeCounts &counts() const { return counts_; }
    uint64_t verified() const { return options_.verify ? counts_.ops - bad_messages() : 0; }
    uint64_t mismatches() const { return mismatches_; }
    uint64_t protocol_errors() const { return protocol_errors_; }
    const std::string &problem() const { return problem_; }

  private:
    struct Connection {
        int fd = -1;
        uint64_t tag = 0;
        bool want_write = false;
        Hello hello;
        uint32_t hello_have = 0; // bytes of it that have come
        PatternReader reader;
        PatternWriter writer;
        uint64_t messages = 0; // complete ones
        uint64_t mismatches = 0;
        int64_t reported_at = 0;
    };

    uint64_t bad_messages() const { return std::min(counts_.ops, mismatches_); }
    void accept_all();
    // The following return whether the connection lives on.
    bool receive(Connection &connection);
    bool take_hello(Connection &connection, std::span<std::byte> &data);
    void check(Connection &connection, std::span<std::byte> data);
    bool answer(Connection &connection, uint64_t messages);
    bool report(Connection &connection, bool last);
    bool after_write(Connection &connection, PatternWriter::Result result);
    void drop(Connection &connection);

    EchoServerOptions options_;
    EventLoop loop_;
    int listen_fd_;
    SlotTable<Connection> connections_;
    std::unique_ptr<std::byte[]> buffer_;
    ServeCounts counts_;
    uint64_t pieces_ = 0; // of streams, for flip_at
    uint64_t mismatches_ = 0;
    uint64_t protocol_errors_ = 0;
    std::string problem_;
};

} // namespace etran::wl
