/* SPDX-License-Identifier: MIT
 * Copyright (c) The eTran artifact authors
 *
 * Virtual time as a whole: what happens in it is what a sequential simulation says, whatever the
 * host does.
 */
#include <gtest/gtest.h>

#include <cstring>

#include "test_net.h"

namespace etran_test {
namespace {

constexpr int64_t kBacklogNs = 2000;

vt_setup make_setup(uint32_t ports, int64_t latency_ns = 1500) {
    vt_setup s;
    vt_setup_default(&s, ports);
    s.model.latency_ps = latency_ns * TOR_NS;
    s.model.ecn_k_bytes = 3000;
    s.model.buffer_bytes = 60000; // small, so that something is dropped
    s.model.port_buffer_bytes = 20000;
    s.backlog_ns = kBacklogNs;
    return s;
}

void add_faults(tor_config *cfg) {
    const uint32_t kinds[] = {TOR_FAULT_LOSS, TOR_FAULT_DUP, TOR_FAULT_REORDER, TOR_FAULT_CORRUPT};
    for (uint32_t k : kinds) {
        cfg->fault[cfg->faults++] = {.port = k % cfg->ports,
                                     .kind = k,
                                     .directions = TOR_IN | TOR_OUT,
                                     .reserved = 0,
                                     .from = 0,
                                     .to = TOR_TIME_INF,
                                     .p32 = TOR_P32_ONE / 20,
                                     .delay_ps = 4000 * TOR_NS};
    }
    cfg->fault[cfg->faults++] = {.port = 1,
                                 .kind = TOR_FAULT_DOWN,
                                 .directions = TOR_IN | TOR_OUT,
                                 .reserved = 0,
                                 .from = 50000 * TOR_NS,
                                 .to = 60000 * TOR_NS,
                                 .p32 = TOR_P32_ONE,
                                 .delay_ps = 0};
}

void expect_same(const std::vector<NodeResult> &want, const std::vector<NodeResult> &got,
                 const std::string &what) {
    ASSERT_EQ(want.size(), got.size());
    for (size_t i = 0; i < want.size(); i++) {
        EXPECT_EQ(got[i].error, "") << what << " node " << i;
        EXPECT_EQ(got[i].trace, want[i].trace) << what << " node " << i;
        EXPECT_EQ(got[i].received, want[i].received) << what << " node " << i;
    }
}

void expect_same_counters(const std::vector<tor_counters> &want, vt_net *net, uint32_t epoch) {
    vt_epoch_record rec;
    ASSERT_TRUE(vt_get_record(net, epoch, &rec));
    for (size_t i = 0; i < want.size(); i++)
        EXPECT_EQ(memcmp(&want[i], &rec.counters[i], sizeof(tor_counters)), 0) << "port " << i;
}

/* Number of nodes. */
class vt_sync : public testing::TestWithParam<uint32_t> {};

TEST_P(vt_sync, epoch__equals_sequential_simulation_however_the_host_behaves) {
    const uint32_t n = GetParam();
    vt_setup setup = make_setup(n);
    const std::vector<NodeSpec> nodes = make_nodes(n, 42 + n, 150000, 60);
    std::vector<tor_counters> counters;
    const auto want = run_sequential(setup.model, kBacklogNs, nodes, &counters);
    uint64_t frames = 0;
    for (const NodeResult &r : want)
        frames += r.received;
    EXPECT_GT(frames, 40u * n) << "the test does too little";

    const HostSpec hosts[] = {
        {.seed = 1},
        {.seed = 2, .sync_ns = 300, .yield_percent = 30},
        {.seed = 3, .sync_ns = 1234, .yield_percent = 10, .shorter_percent = 50},
        {.seed = 4, .sync_ns = 1000000, .yield_percent = 5, .shorter_percent = 10},
    };
    for (const HostSpec &host : hosts) {
        for (uint32_t spin : {0u, 100u}) {
            setup.spin = spin;
            Net net(setup);
            std::string what =
                "sync " + std::to_string(host.sync_ns) + " spin " + std::to_string(spin);
            expect_same(want, run_parallel(net.path, nodes, host), what);
            expect_same_counters(counters, net.net, 1);
        }
    }
}

INSTANTIATE_TEST_SUITE_P(nodes, vt_sync, testing::Values(2, 3, 5, 10),
                         testing::PrintToStringParamName());

TEST(vt_sync_settings, epoch__equals_sequential_simulation_for_other_networks) {
    for (int64_t latency : {10, 200, 5000, 50000}) {
        for (uint32_t rate : {1000u, 100000u}) {
            for (int load : {5, 95}) {
                vt_setup setup = make_setup(4, latency);
                for (uint32_t &r : setup.model.rate_mbps)
                    r = rate;
                setup.model.rate_mbps[1] = 25000;
                add_faults(&setup.model);
                const int64_t end = latency == 50000 ? 600000 : 60000;
                const auto nodes = make_nodes(4, rate + static_cast<uint64_t>(latency), end, load);
                std::vector<tor_counters> counters;
                const auto want = run_sequential(setup.model, kBacklogNs, nodes, &counters);
                Net net(setup);
                std::string what = "L " + std::to_string(latency) + " rate " +
                                   std::to_string(rate) + " load " + std::to_string(load);
                expect_same(want, run_parallel(net.path, nodes, {.seed = 9, .yield_percent = 5}),
                            what);
                expect_same_counters(counters, net.net, 1);
            }
        }
    }
}

TEST(vt_sync_settings, epochs__one_after_another_are_alike) {
    vt_setup setup = make_setup(3);
    add_faults(&setup.model);
    const auto nodes = make_nodes(3, 5, 80000, 70);
    const auto want = run_sequential(setup.model, kBacklogNs, nodes);
    Net net(setup);
    for (uint32_t epoch = 1; epoch <= 20; epoch++) {
        expect_same(want, run_parallel(net.path, nodes, {.seed = epoch, .yield_percent = 5}),
                    "epoch " + std::to_string(epoch));
        vt_epoch_record rec;
        ASSERT_TRUE(vt_get_record(net.net, epoch, &rec));
        EXPECT_EQ(rec.virtual_ps, 82000 * TOR_NS);
    }
    vt_epoch_record rec;
    EXPECT_FALSE(vt_get_record(net.net, 1, &rec)) << "only the last epochs are kept";
}

TEST(vt_sync_settings, idle_cancel__keeps_causality) {
    uint64_t wakes = 0;
    for (uint64_t seed = 1; seed <= 20; seed++) {
        const uint32_t n = seed % 2 ? 2 : 4;
        Net net(make_setup(n));
        const auto nodes = make_nodes(n, seed, 300000, 60);
        const HostSpec host{.seed = seed, .yield_percent = 10, .cancel_percent = 30};
        for (const NodeResult &r : run_parallel(net.path, nodes, host))
            EXPECT_EQ(r.error, "");
        EXPECT_EQ(net.overview().state, static_cast<uint32_t>(VT_NET_FREE));
        for (uint32_t i = 0; i < n; i++) {
            vt_port p;
            vt_get_port(net.net, i, &p);
            wakes += p.host_wakes;
        }
    }
    EXPECT_GT(wakes, 100u) << "the test does too little";
}

} // namespace
} // namespace etran_test
