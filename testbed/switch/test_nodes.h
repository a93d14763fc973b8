/* SPDX-License-Identifier: MIT
 * Copyright (c) The eTran artifact authors
 *
 * Small simulated computers for tests of virtual time. A node computes, idles, sends and answers at
 * random, but what it does depends only on its seed and on the frames it gets and when. The same
 * nodes run in two ways:
 *   - run_parallel(): each on its own thread, bound together by vt_core;
 *   - run_sequential(): all in one loop that always takes the next event of the whole world,
 * without any look-ahead. If virtual time works, both leave the same traces.
 */
#ifndef ETRAN_TEST_NODES_H
#define ETRAN_TEST_NODES_H

#include <atomic>
#include <cstdint>
#include <deque>
#include <random>
#include <string>
#include <vector>

#include "test_frames.h"
#include "tor_model.h"
#include "vt_core.h"

namespace etran_test {

struct NodeSpec {
    uint32_t id = 0;
    uint32_t nodes = 2;
    uint64_t seed = 1;
    int64_t end_ns = 200000; // leaves the epoch then
    int load = 50;           // 0..100: how often it sends when it runs
    bool restless = false;   // never sleeps without a timer, so that time passes in small steps
};

/* One computer. All times in ns. */
class Node {
  public:
    explicit Node(const NodeSpec &spec);

    /* The moment at which it wants to run again, if no frame comes before. */
    int64_t next_run() const { return next_run_; }
    bool idle() const { return idle_; }

    /* Both return what it sends at that moment. */
    std::vector<Bytes> on_frame(int64_t now, const uint8_t *data, uint32_t len);
    std::vector<Bytes> run(int64_t now);

    /* Something from outside the virtual world wakes it. */
    void interrupt(int64_t now) { next_run_ = now; }

    uint64_t trace() const { return trace_; } // hash of everything that happened, and when
    uint64_t received() const { return received_; }
    const NodeSpec &spec() const { return spec_; }

  private:
    void note(uint64_t v);
    Bytes message(uint32_t to, uint32_t len);

    NodeSpec spec_;
    std::mt19937_64 rng_;
    int64_t next_run_ = 0;
    bool idle_ = false;
    uint64_t trace_ = 0xcbf29ce484222325;
    uint64_t received_ = 0;
    uint64_t sent_ = 0;
};

/* Host-side behaviour that must not matter. */
struct HostSpec {
    uint64_t seed = 1;
    int64_t sync_ns = 0;
    int yield_percent = 0;   // how often a thread gives up its time slice
    int shorter_percent = 0; // how often a node stops earlier than it must
    int cancel_percent = 0; // how often an idle phase is cut short (such a run is not reproducible)
};

struct NodeResult {
    uint64_t trace = 0;
    uint64_t received = 0;
    std::string error; // empty = fine
};

/*
 * Runs one node in an epoch of the file until it has left. `vm` is attached; the calling thread is
 * the VM. Checks on the way that every frame is taken exactly at its time.
 */
NodeResult run_node(vt_vm *vm, const NodeSpec &spec, const HostSpec &host);

/* All nodes on one file, a thread each. */
std::vector<NodeResult> run_parallel(const std::string &path, const std::vector<NodeSpec> &specs,
                                     const HostSpec &host);

/* The same world without threads and without look-ahead. Optionally the counters of the switch at
 * the end. */
std::vector<NodeResult> run_sequential(const tor_config &cfg, int64_t backlog_ns,
                                       const std::vector<NodeSpec> &specs,
                                       std::vector<tor_counters> *counters = nullptr);

std::vector<NodeSpec> make_nodes(uint32_t n, uint64_t seed, int64_t end_ns, int load);

/* Nodes that no test sees the end of: an hour of virtual time, in small steps. */
std::vector<NodeSpec> make_endless_nodes(uint32_t n, uint64_t seed);

/* A path that no other test uses. */
std::string test_file();

} // namespace etran_test

#endif
