// SPDX-License-Identifier: MIT
// Copyright (c) The eTran artifact authors
//
// The generator of kvbench: one thread's connections, over memcached's text protocol, so that it
// drives kvbench's own server and any memcached.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "common/event_loop.h"
#include "common/net.h"
#include "common/prng.h"
#include "common/recorder.h"
#include "common/zipf.h"

namespace etran::wl {

struct KvLoad {
    uint32_t key_bytes = 32;
    uint32_t value_bytes = 64;
    double get_share = 0.9;
    uint32_t outstanding = 1;     // closed loop: per connection
    double rate = 0;              // open loop: operations/s of this thread; 0 = closed loop
    uint32_t max_outstanding = 0; // open loop: per thread; more arrivals wait in the generator
    PollMode poll = PollMode::kSleep;
    bool verify = true;
    bool dump = false;
    int64_t drain_ns = 0;
    uint64_t seed = 1;
    uint32_t thread = 0;
    uint32_t threads = 1;

    bool open() const { return rate > 0; }
};

// Classes of operations in the recorder.
enum KvOperation : uint32_t { kKvGet = 0, kKvSet = 1 };

// The key of this number, `bytes` (at least kMinKeyBytes) long, and its value's place in the
// pattern. Both are fixed, so that what a GET must return is known without asking.
constexpr uint32_t kMinKeyBytes = 12;
std::string key_text(uint32_t key, uint32_t bytes);
uint32_t value_position(uint32_t key);

// Use: connect(), perhaps preload(), start(), run(). One thread at a time.
class KvClient {
  public:
    // `keys` must outlive the client.
    KvClient(const KvLoad &load, const KeyChooser &keys);
    ~KvClient();
    KvClient(const KvClient &) = delete;
    KvClient &operator=(const KvClient &) = delete;

    // One connection to each of `targets`. Throws UserError.
    void connect(const std::vector<Address> &targets, int64_t deadline);

    // Stores every threads-th key, beginning with this thread's number, and waits for the
    // confirmations. Errors are in problem().
    void preload();

    void start(Window window);

    // Waits for the start, loads, measures, drains. Returns early when the program is asked to stop
    // or the server cannot be used any more.
    void run();

    const Recorder &recorder() const { return recorder_; }
    uint64_t verified() const { return verified_; }
    uint64_t errors() const { return errors_; }
    uint64_t misses() const { return misses_; }
    const std::string &problem() const { return problem_; }
    bool window_over() const { return window_over_; }

  private:
    enum class Phase { kPreload, kLoad, kDrain };

    struct Request {
        int64_t from = 0;
        uint32_t key = 0;
        KvOperation operation = kKvGet;
    };

    // Requests without answer, oldest first; memcached answers in order.
    class Fifo {
      public:
        void push(const Request &request);
        const Request &front() const { return ring_[head_ & (ring_.size() - 1)]; }
        void pop() { head_++; }
        size_t size() const { return tail_ - head_; }

      private:
        std::vector<Request> ring_ = std::vector<Request>(4); // a power of two
        size_t head_ = 0;
        size_t tail_ = 0;
    };

    struct Connection {
        int fd = -1;
        uint64_t tag = 0; // index in connections_
        bool want_write = false;
        Fifo requests;
        std::string input;  // the part of an answer that has come so far
        std::string output; // what the socket did not take
    };

    struct Arrival {
        int64_t at = 0;
        uint32_t key = 0;
        KvOperation operation = kKvGet;
    };

    void turn(int64_t deadline);
    void send(Connection &connection, const Request &request);
    void send_random(Connection &connection);
    void send_due(int64_t now);
    void preload_more(Connection &connection);
    // Gives the next few connections their first requests; false when all have theirs.
    bool start_more();
    void draw_arrival();
    KvOperation draw_operation();
    void flush(Connection &connection);
    void receive(Connection &connection);
    // Length of the answer to `request` at the start of `input`; 0 = incomplete, or useless (then
    // stopped_ is set).
    size_t take_answer(const Request &request, std::string_view input);
    size_t take_value(const Request &request, std::string_view input);
    bool right_header(const Request &request, std::string_view input) const;
    void answered(Connection &connection, int64_t now);
    void want_write(Connection &connection, bool on);
    void conclude();
    void stop(const std::string &why);
    void fail(const std::string &what);

    KvLoad load_;
    const KeyChooser &keys_;
    EventLoop loop_;
    Window window_;
    Recorder recorder_;
    Prng arrival_prng_;
    Prng key_prng_;
    Prng operation_prng_;
    std::string key_template_;
    std::string value_header_; // of key 0
    size_t value_answer_bytes_;
    double arrival_clock_ = 0; // ns after the start
    Arrival arrival_;
    std::vector<std::unique_ptr<Connection>> connections_;
    size_t next_connection_ = 0; // open loop: whose turn it is
    std::unique_ptr<char[]> buffer_;
    Phase phase_ = Phase::kPreload;
    size_t started_ = 0; // connections that have their first requests
    bool window_over_ = false;
    bool stopped_ = false;
    uint64_t preload_next_ = 0;
    uint64_t under_way_ = 0;
    uint64_t verified_ = 0;
    uint64_t errors_ = 0;
    uint64_t misses_ = 0;
    std::string problem_;
};

} // namespace etran::wl
