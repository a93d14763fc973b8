// SPDX-License-Identifier: MIT
// Copyright (c) The eTran artifact authors
//
// The server role of kvbench: one thread's connections. All threads share the store.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "common/event_loop.h"
#include "common/net.h"
#include "common/serve_meter.h"
#include "common/slot_table.h"
#include "kvbench/kv_protocol.h"
#include "kvbench/kv_store.h"

namespace etran::wl {

// All calls from one thread, except the constructor (and reading the counters after the end).
class KvServer {
  public:
    // Spoils the last byte of the value of the flip_at-th hit (0 = never). Throws UserError.
    KvServer(const Address &listen, PollMode poll, KvStore &store, uint64_t flip_at);
    ~KvServer();
    KvServer(const KvServer &) = delete;
    KvServer &operator=(const KvServer &) = delete;

    // One turn: waits until `deadline` (CLOCK_MONOTONIC ns) for events and handles them.
    void poll(int64_t deadline);

    const ServeCounts &counts() const { return counts_; }
    uint64_t hits() const { return hits_; }
    uint64_t misses() const { return misses_; }
    uint64_t protocol_errors() const { return protocol_errors_; }

  private:
    struct Connection {
        int fd = -1;
        uint64_t tag = 0;
        std::string input;    // the part of a command that has come so far
        size_t skip = 0;      // bytes of a refused value still to come
        std::string output;   // what the socket did not take; while there is some, nothing is read
        bool closing = false; // after the output
        bool want_write = false;
    };

    void accept_all();
    // These return whether the connection lives on.
    bool receive(Connection &connection);
    bool flush(Connection &connection);
    bool work(Connection &connection, std::string_view input);
    bool answer(Connection &connection);

    // Runs the commands in `input` and takes them off it. True if it stopped early because the
    // reply got long.
    bool interpret(Connection &connection, std::string_view &input);
    void execute(const KvCommand &command);
    void get(std::string_view keys, bool with_cas);

    EventLoop loop_;
    KvStore &store_;
    uint64_t flip_at_;
    int listen_fd_;
    SlotTable<Connection> connections_;
    std::unique_ptr<char[]> buffer_;
    std::string reply_; // of the commands of one read()
    ServeCounts counts_;
    uint64_t hits_ = 0;
    uint64_t misses_ = 0;
    uint64_t protocol_errors_ = 0;
};

} // namespace etran::wl
