// SPDX-License-Identifier: MIT
// Copyright (c) The eTran artifact authors
//
// The client role of echobench: one thread's connections, echo or stream.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "common/event_loop.h"
#include "common/net.h"
#include "common/pattern_stream.h"
#include "common/recorder.h"
#include "echobench/echo_protocol.h"

namespace etran::wl {

struct EchoLoad {
    EchoMode mode = EchoMode::kEcho;
    uint32_t message_bytes = 64;
    uint32_t reply_bytes = 64;
    uint32_t outstanding = 1; // messages under way per connection (kEcho)
    bool batch = false;       // send what one read() made possible with one write()
    PollMode poll = PollMode::kSleep;
    bool verify = true;
    bool dump = false;
    int64_t drain_ns = 0;
    uint64_t seed = 1;
};

// Use: connect(), start(), run(). connect() may be on another thread than run().
class EchoClient {
  public:
    explicit EchoClient(const EchoLoad &load);
    ~EchoClient();
    EchoClient(const EchoClient &) = delete;
    EchoClient &operator=(const EchoClient &) = delete;

    // One connection to each of `targets`; `first_id` numbers them over all threads. Throws
    // UserError.
    void connect(const std::vector<Address> &targets, uint32_t first_id, int64_t deadline);

    void start(Window window);

    // Waits for the start, loads, measures, drains. Returns early when the program is asked to stop
    // or a connection is lost.
    void run();

    const Recorder &recorder() const { return recorder_; }
    uint64_t verified() const { return verified_; }
    uint64_t errors() const { return errors_; }
    const std::string &problem() const { return problem_; }
    bool window_over() const { return window_over_; }

    // Messages inside the window, per connection.
    std::vector<uint64_t> per_connection() const;

    // kStream: bytes that the server had received and checked, inside the window (interpolated
    // between its reports), and at the end those sent but not confirmed.
    uint64_t confirmed_in_window() const;
    uint64_t unconfirmed() const;

  private:
    // The server's reports around one edge of the window.
    struct Edge {
        int64_t before_ns = 0;
        uint64_t before = 0;
        int64_t after_ns = 0; // 0 = no report after the edge
        uint64_t after = 0;

        void note(int64_t edge, int64_t now, uint64_t bytes);
        double at(int64_t edge) const;
    };

    struct Connection {
        int fd = -1;
        uint64_t tag = 0; // index in connections_
        bool want_write = false;
        PatternReader reader;
        PatternWriter writer;
        std::vector<int64_t> sent_at; // kEcho: ring with a place per message under way
        uint32_t head = 0;            // the oldest in sent_at
        uint32_t under_way = 0;
        uint64_t replies = 0;
        uint64_t in_window = 0;     // replies
        Progress progress = {};     // kStream: the latest report
        uint32_t progress_have = 0; // bytes of the next one
        uint64_t confirmed = 0;     // bytes
        Edge begin;
        Edge end;
        bool closing = false; // nothing more is sent
        bool done = false;    // and the server has confirmed everything
    };

    // Gives the next few connections their first messages; false when all have theirs.
    bool start_more();
    void end_load();
    bool drained() const;
    void writable(Connection &connection);
    void receive(Connection &connection);
    void send_messages(Connection &connection, uint32_t count);
    void stream_more(Connection &connection);
    void after_write(Connection &connection, PatternWriter::Result result);
    void take_replies(Connection &connection, std::span<const std::byte> data, int64_t now);
    void take_progress(Connection &connection, std::span<const std::byte> data, int64_t now);
    void lost(Connection &connection, const std::string &why);
    void fail(const std::string &what);
    uint64_t confirmed_in_window(const Connection &connection) const;

    EchoLoad load_;
    EventLoop loop_;
    Window window_;
    Recorder recorder_;
    std::vector<std::unique_ptr<Connection>> connections_;
    std::unique_ptr<std::byte[]> buffer_;
    bool loading_ = false;
    size_t started_ = 0; // connections that have their first messages
    bool window_over_ = false;
    bool failed_ = false;
    uint64_t under_way_ = 0; // kEcho: messages without reply
    uint64_t verified_ = 0;
    uint64_t errors_ = 0;
    std::string problem_;
};

} // namespace etran::wl
