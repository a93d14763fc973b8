/* SPDX-License-Identifier: MIT
 * Copyright (c) The eTran artifact authors
 *
 * The calls of a VM one by one, in one thread: with a timeout of 0 every wait becomes visible as
 * VT_AGAIN.
 */
#include "vt_core.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <fstream>
#include <random>
#include <thread>

#include "test_net.h"
#include "vt_net.h"

namespace etran_test {
namespace {

using testing::HasSubstr;

/* Of the default network: L = 1500 ns, the shortest frame takes 26.88 ns. */
constexpr int64_t kHopPs = 1526880;
constexpr int64_t kAheadNs = 3054; // 2 H, rounded up

Bytes frame_to(unsigned port, unsigned from, uint32_t len = 100, uint64_t tag = 0) {
    return make_frame({.dst = node_mac(port), .src = node_mac(from), .len = len, .tag = tag});
}

vt_status send(vt_vm *vm, const Bytes &f, int64_t now = 0) {
    int64_t retry;
    return vt_send(vm, f.data(), static_cast<uint32_t>(f.size()), now, &retry);
}

std::vector<Bytes> take_all(vt_vm *vm) {
    std::vector<Bytes> v;
    vt_frame f;
    while (vt_peek(vm, &f)) {
        v.emplace_back(f.data, f.data + f.len);
        vt_pop(vm);
    }
    return v;
}

TEST(vt_attach, errors__say_what_is_wrong) {
    char err[300];
    EXPECT_EQ(vt_attach("/nonexistent/file", 0, 0, err, sizeof(err)), nullptr);
    EXPECT_THAT(err, HasSubstr("/nonexistent/file: No such file"));

    std::string path = test_file();
    std::ofstream(path) << "hello";
    EXPECT_EQ(vt_attach(path.c_str(), 0, 0, err, sizeof(err)), nullptr);
    EXPECT_THAT(err, HasSubstr("not a file made by torswitch"));
    std::ofstream(path) << std::string(sizeof(vt_shm), 'x');
    EXPECT_EQ(vt_attach(path.c_str(), 0, 0, err, sizeof(err)), nullptr);
    EXPECT_THAT(err, HasSubstr("not a file made by torswitch"));
    unlink(path.c_str());

    Net net(2);
    EXPECT_THAT(net.refused(2), HasSubstr("port: 2, permitted 0..1"));
    net.attach(0);
    EXPECT_THAT(net.refused(0), HasSubstr("port 0 is taken by process"));
}

TEST(vt_attach, version__must_be_the_same) {
    Net net(2);
    vt_net raw;
    char err[300];
    ASSERT_EQ(vt_net_open(&raw, net.path.c_str(), err, sizeof(err)), 0);
    raw.shm->version++;
    EXPECT_THAT(net.refused(0), HasSubstr("another version"));
    raw.shm->version--;
    vt_net_close(&raw);
    net.attach(0);
}

TEST(vt_attach, header__garbled_is_refused_or_harmless) {
    Net net(3);
    vt_net raw;
    char err[300];
    ASSERT_EQ(vt_net_open(&raw, net.path.c_str(), err, sizeof(err)), 0);
    std::mt19937_64 rng(5);
    std::vector<uint8_t> good(2 * VT_LINE);
    memcpy(good.data(), raw.shm, good.size());
    for (int i = 0; i < 3000; i++) {
        uint64_t value = rng() % 3 ? rng() : rng() % 100000;
        memcpy(reinterpret_cast<uint8_t *>(raw.shm) + rng() % (good.size() - 8), &value,
               1 + rng() % 8);
        vt_net other;
        if (!vt_net_open(&other, net.path.c_str(), err, sizeof(err))) {
            uint64_t end = other.rings_off + 2 * other.ports * vt_ring_stride(other.ring_bytes);
            EXPECT_LE(end, other.bytes);
            vt_net_close(&other);
        }
        memcpy(raw.shm, good.data(), good.size());
    }
    vt_net_close(&raw);
}

TEST(vt_free, send__reaches_by_learned_address_at_once) {
    Net net(3);
    for (uint32_t i = 0; i < 3; i++)
        net.attach(i);
    EXPECT_EQ(send(net.vms[0], frame_to(1, 0)), VT_OK); // unknown: to all others
    EXPECT_EQ(take_all(net.vms[1]).size(), 1u);
    EXPECT_EQ(take_all(net.vms[2]).size(), 1u);
    EXPECT_EQ(send(net.vms[1], frame_to(0, 1, 200, 5)), VT_OK);
    EXPECT_THAT(take_all(net.vms[0]), testing::ElementsAre(frame_to(0, 1, 200, 5)));
    EXPECT_TRUE(take_all(net.vms[2]).empty());
    vt_frame f;
    send(net.vms[1], frame_to(0, 1));
    ASSERT_TRUE(vt_peek(net.vms[0], &f));
    EXPECT_EQ(f.at, 0);
}

TEST(vt_free, send__lost_frames_are_counted) {
    Net net(2);
    vt_vm *vm = net.attach(0);
    EXPECT_EQ(send(vm, frame_to(1, 0)), VT_DROPPED) << "nobody there";
    EXPECT_EQ(send(vm, Bytes(10)), VT_DROPPED);
    EXPECT_EQ(send(vm, Bytes(5000)), VT_DROPPED);
    vt_vm *other = net.attach(1);
    int sent = 0;
    while (send(vm, frame_to(1, 0, 1500)) == VT_OK && sent < 100000)
        sent++;
    EXPECT_GT(sent, 100);
    EXPECT_LT(sent, 100000);
    EXPECT_EQ(take_all(other).size(), static_cast<size_t>(sent));
    vt_stats stats;
    vt_get_stats(other, &stats);
    EXPECT_EQ(stats.free_lost, 1u);
}

TEST(vt_join, barrier__nobody_starts_before_all) {
    Net net(3);
    for (uint32_t i = 0; i < 3; i++)
        net.attach(i);
    EXPECT_EQ(vt_join(net.vms[0], 0), VT_AGAIN);
    EXPECT_EQ(vt_join(net.vms[2], 0), VT_AGAIN);
    EXPECT_EQ(vt_join(net.vms[0], 0), VT_AGAIN);
    EXPECT_FALSE(vt_in_epoch(net.vms[0]));
    EXPECT_EQ(vt_join(net.vms[1], 0), VT_OK);
    EXPECT_EQ(vt_join(net.vms[0], 0), VT_OK);
    EXPECT_EQ(vt_join(net.vms[2], 0), VT_OK);
    EXPECT_TRUE(vt_in_epoch(net.vms[0]));
    EXPECT_EQ(net.overview().epoch, 1u);
    EXPECT_THAT(net.refused(0), HasSubstr("an epoch is running"));
}

TEST(vt_join, frames__of_before_are_not_seen_in_the_epoch) {
    Net net(2);
    for (uint32_t i = 0; i < 2; i++)
        net.attach(i);
    send(net.vms[0], frame_to(1, 0));
    EXPECT_EQ(vt_join(net.vms[1], 0), VT_AGAIN);
    EXPECT_EQ(send(net.vms[0], frame_to(1, 0)), VT_DROPPED) << "the receiver stands still";
    EXPECT_EQ(vt_join(net.vms[0], 0), VT_OK);
    EXPECT_EQ(vt_join(net.vms[1], 0), VT_OK);
    EXPECT_TRUE(take_all(net.vms[1]).empty());
    /* Nor does the switch know addresses from before. */
    EXPECT_EQ(send(net.vms[0], frame_to(1, 0), 0), VT_OK);
}

TEST(vt_report, limit__is_two_hops_beyond_the_others) {
    Net net(3);
    net.join_all(3, 1000000);
    int64_t next;
    for (vt_vm *vm : net.vms) {
        ASSERT_EQ(vt_report(vm, 0, 0, &next), VT_OK);
        EXPECT_EQ(next, kAheadNs);
    }
    EXPECT_EQ(vt_report(net.vms[0], kAheadNs - 1, 0, &next), VT_OK);
    EXPECT_EQ(next, kAheadNs);
    EXPECT_EQ(vt_report(net.vms[0], kAheadNs, 0, &next), VT_AGAIN);
    EXPECT_EQ(vt_report(net.vms[1], kAheadNs, 0, &next), VT_AGAIN);
    EXPECT_EQ(vt_report(net.vms[0], kAheadNs, 0, &next), VT_AGAIN) << "2 is still at 0";
    /* The slowest: two hops beyond what the others could answer to something it sends at 0. */
    EXPECT_EQ(vt_report(net.vms[2], kAheadNs, 0, &next), VT_OK);
    EXPECT_EQ(next, (4 * kHopPs + 999) / 1000);
    EXPECT_EQ(vt_report(net.vms[0], kAheadNs, 0, &next), VT_AGAIN) << "2 has not reported yet";
    EXPECT_EQ(vt_report(net.vms[2], next, 0, &next), VT_AGAIN);
    EXPECT_EQ(vt_report(net.vms[0], kAheadNs, 0, &next), VT_OK);
    EXPECT_EQ(next, kAheadNs + kAheadNs);
}

TEST(vt_report, limit__slowest_may_go_further_but_not_beyond_answers) {
    Net net(2);
    net.join_all(2, 1000000);
    int64_t next, wake;
    EXPECT_EQ(vt_idle(net.vms[1], 0, 1000000, 0, &wake), VT_AGAIN);
    /* Port 1 sleeps: it can only answer what port 0 sends, four hops later. */
    for (int64_t now : {100, 5000, 6107, 6108, 12000}) {
        int64_t reported = now < 6108 ? 0 : 6108; // before its limit it need not report
        ASSERT_EQ(vt_report(net.vms[0], now, 0, &next), VT_OK);
        EXPECT_EQ(next, (reported * 1000 + 4 * kHopPs + 999) / 1000);
    }
}

TEST(vt_report, sync__bounds_the_time_between_reports) {
    Net net(2);
    net.join_all(2, 700);
    int64_t next;
    ASSERT_EQ(vt_report(net.vms[0], 0, 0, &next), VT_OK);
    EXPECT_EQ(next, 700);
    ASSERT_EQ(vt_report(net.vms[0], 700, 0, &next), VT_OK);
    EXPECT_EQ(next, 1400);
}

TEST(vt_send, frame__arrives_exactly_when_the_model_says) {
    Net net(2);
    net.join_all(2);
    int64_t next;
    /* 976 + 24 bytes: 320 ns on each line. Unknown destination, so it is flooded: the same. */
    EXPECT_EQ(send(net.vms[0], frame_to(1, 0, 976), 100), VT_OK);
    EXPECT_EQ(vt_report(net.vms[0], kAheadNs, 0, &next), VT_AGAIN);
    EXPECT_EQ(vt_next_frame(net.vms[1]), VT_NEVER_NS);
    EXPECT_EQ(vt_report(net.vms[1], kAheadNs, 0, &next), VT_OK);
    EXPECT_EQ(vt_next_frame(net.vms[1]), 100 + 320 + 1500 + 320 + 1500);
    vt_frame f;
    ASSERT_TRUE(vt_peek(net.vms[1], &f));
    EXPECT_EQ(f.len, 976u);
    EXPECT_EQ(Bytes(f.data, f.data + f.len), frame_to(1, 0, 976));
}

TEST(vt_send, mac__serialises_and_pushes_back) {
    Net net(2); // backlog 2 us
    net.join_all(2);
    Bytes f = frame_to(1, 0, 976); // 320 ns
    int64_t retry = 0;
    int sent = 0;
    while (vt_send(net.vms[0], f.data(), 976, 1000, &retry) == VT_OK)
        sent++;
    EXPECT_EQ(sent, 7) << "2240 ns of work is more than 2000";
    EXPECT_EQ(retry, 1000 + 2240 - 1000);
    EXPECT_EQ(vt_send(net.vms[0], f.data(), 976, retry, &retry), VT_OK);
    vt_stats stats;
    vt_get_stats(net.vms[0], &stats);
    EXPECT_EQ(stats.backlogged, 1u);
    EXPECT_EQ(stats.sent, 8u);
}

TEST(vt_idle, wake__earlier_of_timer_and_frame) {
    Net net(2);
    net.join_all(2, 1000000);
    int64_t wake, next;
    EXPECT_EQ(vt_idle(net.vms[1], 0, 50000, 0, &wake), VT_AGAIN);
    EXPECT_EQ(send(net.vms[0], frame_to(1, 0, 976), 0), VT_OK);
    EXPECT_EQ(vt_idle(net.vms[0], 0, 60000, 0, &wake), VT_AGAIN);
    ASSERT_EQ(vt_idle(net.vms[1], 0, 50000, 0, &wake), VT_OK);
    EXPECT_EQ(wake, 3640);
    EXPECT_EQ(take_all(net.vms[1]).size(), 1u);
    EXPECT_EQ(vt_idle(net.vms[1], wake, 50000, 0, &wake), VT_OK) << "port 0 sleeps until 60000";
    EXPECT_EQ(wake, 50000);
    /* Port 0 may sleep on only after what port 1 might still send. */
    EXPECT_EQ(vt_idle(net.vms[0], 0, 60000, 0, &wake), VT_AGAIN);
    EXPECT_EQ(vt_report(net.vms[1], 60000, 0, &next), VT_OK);
    EXPECT_EQ(vt_idle(net.vms[0], 0, 60000, 0, &wake), VT_OK);
    EXPECT_EQ(wake, 60000);
}

TEST(vt_idle, short__needs_no_lock) {
    Net net(2);
    net.join_all(2);
    int64_t wake;
    vt_stats before, after;
    vt_get_stats(net.vms[0], &before);
    for (int64_t t = 0; t < 2900; t += 100) {
        ASSERT_EQ(vt_idle(net.vms[0], t, t + 100, 0, &wake), VT_OK);
        EXPECT_EQ(wake, t + 100);
    }
    EXPECT_EQ(vt_idle(net.vms[0], 2900, 100, 0, &wake), VT_OK) << "timer is overdue";
    EXPECT_EQ(wake, 2900);
    vt_get_stats(net.vms[0], &after);
    EXPECT_EQ(after.reports, before.reports);
}

TEST(vt_idle, all_for_ever__waits_until_the_host_wakes_one) {
    Net net(2);
    net.join_all(2);
    int64_t wake, next;
    EXPECT_EQ(send(net.vms[0], frame_to(1, 0, 976), 0), VT_OK); // under way when all sleep
    EXPECT_EQ(vt_idle(net.vms[0], 0, VT_NEVER_NS, 0, &wake), VT_AGAIN);
    EXPECT_EQ(vt_idle(net.vms[1], 0, VT_NEVER_NS, 0, &wake), VT_OK);
    EXPECT_EQ(wake, 3640);
    take_all(net.vms[1]);
    EXPECT_EQ(vt_idle(net.vms[1], wake, VT_NEVER_NS, 0, &wake), VT_AGAIN);
    EXPECT_EQ(vt_idle(net.vms[0], 0, VT_NEVER_NS, 0, &wake), VT_AGAIN);
    ASSERT_EQ(vt_idle_cancel(net.vms[0], &wake), VT_OK);
    EXPECT_EQ(wake, 6695) << "port 1 was promised silence until 9749: two hops after that";
    EXPECT_EQ(vt_report(net.vms[0], wake, 0, &next), VT_OK);
    EXPECT_GT(next, wake);
    vt_stats stats;
    vt_get_stats(net.vms[0], &stats);
    EXPECT_EQ(stats.host_wakes, 1u);
}

TEST(vt_idle, cancel__does_not_send_into_the_past_of_the_switch) {
    vt_setup setup = Net::defaults(2);
    setup.model.faults = 1;
    setup.model.fault[0] = {.port = 1,
                            .kind = TOR_FAULT_LOSS,
                            .directions = TOR_OUT,
                            .reserved = 0,
                            .from = 0,
                            .to = TOR_TIME_INF,
                            .p32 = TOR_P32_ONE,
                            .delay_ps = 0};
    Net net(setup);
    net.join_all(2);
    int64_t wake, next;
    EXPECT_EQ(send(net.vms[0], frame_to(1, 0, 976), 0), VT_OK); // at the switch at 1820, then lost
    EXPECT_EQ(vt_idle(net.vms[0], 0, VT_NEVER_NS, 0, &wake), VT_AGAIN);
    EXPECT_EQ(vt_idle(net.vms[1], 0, VT_NEVER_NS, 0, &wake), VT_AGAIN);
    ASSERT_EQ(vt_idle_cancel(net.vms[0], &wake), VT_OK);
    EXPECT_EQ(wake, (1820000 + kHopPs + 999) / 1000);
    EXPECT_EQ(send(net.vms[0], frame_to(1, 0), wake), VT_OK);
    EXPECT_EQ(vt_report(net.vms[0], wake, 0, &next), VT_OK);
    EXPECT_EQ(vt_report(net.vms[0], next, 0, &next), VT_OK);
}

TEST(vt_leave, barrier__nobody_is_released_before_all) {
    Net net(3);
    net.join_all(3);
    int64_t next;
    EXPECT_EQ(vt_leave(net.vms[0], 500, 0), VT_AGAIN);
    EXPECT_FALSE(vt_in_epoch(net.vms[0]));
    EXPECT_EQ(vt_leave(net.vms[1], 9000, 0), VT_AGAIN);
    /* Port 2 is alone: nobody holds it back. */
    for (int64_t t = 0; t < 100000; t = next)
        ASSERT_EQ(vt_report(net.vms[2], t, 0, &next), VT_OK);
    EXPECT_EQ(vt_leave(net.vms[0], 500, 0), VT_AGAIN);
    EXPECT_EQ(send(net.vms[2], frame_to(0, 2), next), VT_OK);
    EXPECT_EQ(vt_leave(net.vms[2], next, 0), VT_OK);
    EXPECT_EQ(vt_leave(net.vms[0], 500, 0), VT_OK);
    EXPECT_EQ(vt_leave(net.vms[1], 9000, 0), VT_OK);
    EXPECT_TRUE(take_all(net.vms[0]).empty()) << "what comes after leaving is lost";
    vt_stats stats;
    vt_get_stats(net.vms[0], &stats);
    EXPECT_EQ(stats.late, 1u);
    vt_epoch_record r;
    ASSERT_TRUE(vt_get_record(net.net, 1, &r));
    EXPECT_EQ(r.virtual_ps, next * 1000);
    EXPECT_EQ(r.counters[0].tx_frames, 1u) << "the switch is run dry";
    EXPECT_EQ(send(net.vms[0], frame_to(1, 0)), VT_OK) << "free running again";
}

TEST(vt_leave, detach__after_leaving_does_no_harm) {
    Net net(2);
    net.join_all(2);
    EXPECT_EQ(vt_leave(net.vms[0], 100, 0), VT_AGAIN);
    vt_detach(net.vms[0]);
    net.vms.erase(net.vms.begin());
    EXPECT_EQ(vt_leave(net.vms[0], 200, 0), VT_OK);
    EXPECT_EQ(net.overview().port[0].state, static_cast<uint32_t>(VT_PORT_ABSENT));
    net.attach(0);
}

TEST(vt_broken, detach__in_the_epoch_tells_the_others) {
    Net net(3);
    net.join_all(3);
    int64_t wake, next;
    EXPECT_EQ(vt_idle(net.vms[0], 0, 1000000, 0, &wake), VT_AGAIN);
    EXPECT_EQ(vt_leave(net.vms[1], 0, 0), VT_AGAIN);
    vt_detach(net.vms[2]);
    net.vms.pop_back();
    EXPECT_EQ(vt_idle(net.vms[0], 0, 1000000, -1, &wake), VT_BROKEN);
    EXPECT_THAT(vt_error(net.vms[0]), HasSubstr("port 2 was detached inside the epoch"));
    EXPECT_EQ(vt_leave(net.vms[1], 0, -1), VT_BROKEN);
    EXPECT_EQ(vt_report(net.vms[0], 0, -1, &next), VT_BROKEN);
    EXPECT_EQ(vt_join(net.vms[1], -1), VT_BROKEN);
    EXPECT_THAT(net.refused(2), HasSubstr("port 2 was detached"));
}

TEST(vt_broken, detach__before_the_epoch_releases_who_waits) {
    Net net(3);
    for (uint32_t i = 0; i < 3; i++)
        net.attach(i);
    EXPECT_EQ(vt_join(net.vms[0], 0), VT_AGAIN);
    vt_abandon(net.vms[1]);
    EXPECT_EQ(vt_join(net.vms[0], -1), VT_BROKEN);
    EXPECT_THAT(vt_error(net.vms[0]), HasSubstr("while others wait to join"));
}

TEST(vt_broken, detach__while_nobody_joins_is_fine) {
    Net net(2);
    for (int i = 0; i < 3; i++) {
        vt_detach(net.attach(0));
        net.vms.clear();
    }
    EXPECT_EQ(net.overview().state, static_cast<uint32_t>(VT_NET_FREE));
}

TEST(vt_broken, shutdown__ends_waits_and_joins) {
    Net net(2);
    net.attach(0);
    EXPECT_EQ(vt_join(net.vms[0], 0), VT_AGAIN);
    EXPECT_TRUE(vt_shutdown(net.net, "interrupted"));
    EXPECT_EQ(vt_join(net.vms[0], -1), VT_BROKEN);
    EXPECT_THAT(vt_error(net.vms[0]), HasSubstr("interrupted"));

    Net quiet(2);
    quiet.attach(0);
    quiet.attach(1);
    EXPECT_TRUE(vt_shutdown(quiet.net, "over"));
    EXPECT_EQ(send(quiet.vms[0], frame_to(1, 0)), VT_OK) << "frames still pass";
    EXPECT_EQ(vt_join(quiet.vms[0], -1), VT_BROKEN);
    EXPECT_THAT(vt_error(quiet.vms[0]), HasSubstr("torswitch has ended"));
}

TEST(vt_misuse, calls__out_of_place_are_refused) {
    Net net(2);
    vt_vm *vm = net.attach(0);
    net.attach(1);
    int64_t x;
    EXPECT_EQ(vt_report(vm, 0, 0, &x), VT_MISUSE);
    EXPECT_THAT(vt_error(vm), HasSubstr("not in an epoch"));
    EXPECT_EQ(vt_idle_cancel(vm, &x), VT_MISUSE);
    EXPECT_EQ(vt_join(vm, 0), VT_AGAIN);
    EXPECT_EQ(vt_leave(vm, 0, 0), VT_MISUSE);
    EXPECT_EQ(send(vm, frame_to(1, 0)), VT_MISUSE);
    EXPECT_EQ(vt_join(net.vms[1], 0), VT_OK);
    EXPECT_EQ(vt_join(vm, 0), VT_OK);
    EXPECT_EQ(vt_join(vm, 0), VT_MISUSE);
    EXPECT_EQ(vt_report(vm, 3000, 0, &x), VT_OK);
    EXPECT_EQ(vt_report(vm, 2999, 0, &x), VT_MISUSE);
    EXPECT_THAT(vt_error(vm), HasSubstr("before the last report"));
    EXPECT_EQ(vt_report(vm, -1, 0, &x), VT_MISUSE);
    EXPECT_EQ(vt_report(vm, VT_NEVER_NS, 0, &x), VT_MISUSE);
    EXPECT_EQ(send(vm, frame_to(1, 0), 10), VT_MISUSE);
}

TEST(vt_wait, timeout__of_host_time_passes) {
    Net net(2);
    net.join_all(2);
    int64_t wake;
    EXPECT_EQ(vt_idle(net.vms[0], 0, 100000, 0, &wake), VT_AGAIN);
    EXPECT_EQ(vt_idle(net.vms[0], 0, 100000, 1000000, &wake), VT_AGAIN);
    std::thread other([&net] { vt_leave(net.vms[1], 0, -1); });
    EXPECT_EQ(vt_idle(net.vms[0], 0, 100000, -1, &wake), VT_OK);
    EXPECT_EQ(wake, 100000);
    EXPECT_EQ(vt_leave(net.vms[0], 100000, -1), VT_OK);
    other.join();
}

/* A VM that writes nonsense into everything that is not set up once and for all. */
TEST(vt_hostile, shared_memory__breaks_the_epoch_but_nobody_else) {
    int broken = 0;
    for (uint64_t seed = 1; seed <= 300; seed++) {
        std::mt19937_64 rng(seed);
        Net net(3);
        net.join_all(3);
        vt_net raw;
        char err[300];
        ASSERT_EQ(vt_net_open(&raw, net.path.c_str(), err, sizeof(err)), 0);
        auto *bytes = reinterpret_cast<uint8_t *>(raw.shm);
        int64_t now[3] = {};
        for (int round = 0; round < 60; round++) {
            uint64_t values[] = {rng(), rng() % 4096, UINT64_MAX, uint64_t{1} << 62, 0};
            size_t where = 0;
            switch (rng() % 4) {
            case 0:
                where = offsetof(vt_shm, safe_ps) + rng() % 16;
                break;
            case 1:
                where = offsetof(vt_shm, port) + rng() % (3 * sizeof(vt_port));
                break;
            case 2:
                where = raw.rings_off + rng() % 6 * vt_ring_stride(raw.ring_bytes) + rng() % 1024;
                break;
            default:
                where = raw.shm->model_off + rng() % 40000;
                break;
            }
            memcpy(bytes + where / 4 * 4, &values[rng() % 5], 4 + rng() % 2 * 4);
            for (uint32_t i = 0; i < 3; i++) {
                int64_t next = 0;
                vt_frame f;
                send(net.vms[i], frame_to((i + 1) % 3, i, 60 + rng() % 400), now[i]);
                vt_status s = rng() % 2 ? vt_report(net.vms[i], now[i], 0, &next)
                                        : vt_idle(net.vms[i], now[i], now[i] + 5000, 0, &next);
                if (s == VT_OK)
                    now[i] = std::max(now[i], next);
                for (int k = 0; k < 100 && vt_peek(net.vms[i], &f); k++) {
                    EXPECT_LE(f.len, 1522u);
                    volatile uint8_t last = f.data[f.len - 1];
                    (void)last;
                    vt_pop(net.vms[i]);
                }
            }
        }
        broken += vt_is_broken(&raw);
        vt_net_close(&raw);
    }
    EXPECT_GT(broken, 100);
}

} // namespace
} // namespace etran_test
