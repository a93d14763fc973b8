/* SPDX-License-Identifier: MIT
 * Copyright (c) The eTran artifact authors
 *
 * The model without faults: timing, priorities, marking, buffer, addresses, samples, robustness of
 * the calls.
 */
#include "tor_model.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <random>

#include "test_model.h"

namespace etran_test {
namespace {

constexpr tor_time kNs = TOR_NS;
constexpr tor_time kUs = 1000 * TOR_NS;
constexpr tor_time kByte = 320; // ps per byte at 25 Gbit/s

Bytes frame_to(unsigned port, unsigned from, uint32_t len, uint8_t dscp = 0, uint8_t ecn = 0,
               uint64_t tag = 0) {
    return make_frame({.dst = node_mac(port),
                       .src = node_mac(from),
                       .dscp = dscp,
                       .ecn = ecn,
                       .len = len,
                       .tag = tag});
}

std::vector<uint64_t> tags(const std::vector<Departure> &out) {
    std::vector<uint64_t> v;
    for (const Departure &d : out)
        v.push_back(tag_of(d.frame));
    return v;
}

TEST(tor_model, input__store_and_forward_times_are_exact) {
    Switch s(small_config(2));
    tor_time t = s.teach();
    s.in(0, t, frame_to(1, 0, 1000));
    s.finish();
    ASSERT_EQ(s.out.size(), 1u);
    EXPECT_EQ(s.out[0].start, t);
    EXPECT_EQ(s.out[0].end, t + (1000 + 24) * kByte);
    EXPECT_EQ(s.out[0].arrival, s.out[0].end + 1500 * kNs);
    EXPECT_EQ(s.out[0].frame, frame_to(1, 0, 1000));
}

TEST(tor_model, input__short_frame_takes_minimum_line_time) {
    Switch s(small_config(2));
    tor_time t = s.teach();
    s.in(0, t, frame_to(1, 0, 42));
    s.in(0, t, frame_to(1, 0, 60));
    s.finish();
    ASSERT_EQ(s.out.size(), 2u);
    EXPECT_EQ(s.out[0].end, t + 84 * kByte);
    EXPECT_EQ(s.out[1].start, s.out[0].end);
    EXPECT_EQ(s.out[1].end, s.out[0].end + 84 * kByte);
    EXPECT_EQ(s.out[0].frame.size(), 42u);
}

TEST(tor_model, line_time__rate_within_one_percent) {
    for (uint32_t rate : {10u, 1000u, 10000u, 25000u, 33333u, 40000u, 100000u, 800000u}) {
        for (uint32_t len : {60u, 64u, 577u, 1514u}) {
            tor_config cfg = small_config(2);
            cfg.rate_mbps[1] = rate;
            Switch s(cfg);
            tor_time t = s.teach() + 1000 * kUs;
            const int kFrames = 400;
            for (int i = 0; i < kFrames; i++)
                s.in(0, t, frame_to(1, 0, len));
            s.finish();
            ASSERT_EQ(s.out.size(), static_cast<size_t>(kFrames));
            double bits = 8.0 * kFrames * (len + 24);
            double seconds = static_cast<double>(s.out.back().end - s.out[0].start) * 1e-12;
            EXPECT_NEAR(bits / seconds / (rate * 1e6), 1.0, 0.01) << rate << " " << len;
        }
    }
}

TEST(tor_model, ports__rates_differ) {
    tor_config cfg = small_config(3);
    cfg.rate_mbps[2] = 10000;
    Switch s(cfg);
    tor_time t = s.teach();
    s.in(0, t, frame_to(1, 0, 1000));
    s.in(0, t, frame_to(2, 0, 1000));
    s.finish();
    ASSERT_EQ(s.out.size(), 2u);
    EXPECT_EQ(s.out[0].end - s.out[0].start, 1024 * 320);
    EXPECT_EQ(s.out[1].end - s.out[1].start, 1024 * 800);
    EXPECT_EQ(tor_hop(&cfg), cfg.latency_ps + 84 * 320);
}

TEST(tor_model, queues__strict_priority) {
    Switch s(small_config(3));
    tor_time t = s.teach();
    s.in(0, t, frame_to(2, 0, 1000, 0, 0, 100)); // takes the line
    for (uint8_t c = 0; c < 8; c++)
        s.in(0, t, frame_to(2, 0, 200, static_cast<uint8_t>(c * 8), 0, c));
    for (uint8_t c = 0; c < 8; c++)
        s.in(1, t, frame_to(2, 1, 200, static_cast<uint8_t>(c * 8), 0, c + 10));
    s.finish();
    EXPECT_THAT(tags(s.out),
                testing::ElementsAre(7, 17, 6, 16, 5, 15, 4, 14, 3, 13, 2, 12, 1, 11, 100, 0, 10));
}

TEST(tor_model, queues__frame_being_sent_is_not_interrupted) {
    Switch s(small_config(3));
    tor_time t = s.teach();
    s.in(0, t, frame_to(2, 0, 1500, 0, 0, 1));
    s.in(0, t, frame_to(2, 0, 1500, 0, 0, 2));
    s.in(1, t + 1, frame_to(2, 1, 100, 56, 0, 3)); // while 1 is being sent
    s.in(1, t + 1524 * kByte + 124 * kByte + 1, frame_to(2, 1, 100, 56, 0, 4)); // while 2 is
    s.finish();
    EXPECT_THAT(tags(s.out), testing::ElementsAre(1, 3, 2, 4));
    EXPECT_EQ(s.out[1].start, t + 1524 * kByte);
    EXPECT_EQ(s.out[2].start, s.out[1].end);
    EXPECT_EQ(s.out[3].start, s.out[2].end);
}

TEST(tor_model, queues__arrival_at_the_instant_of_a_start_takes_part) {
    Switch s(small_config(3));
    tor_time t = s.teach();
    s.in(0, t, frame_to(2, 0, 1000, 0, 0, 1));
    s.in(0, t, frame_to(2, 0, 1000, 0, 0, 2));
    s.in(1, t + 1024 * kByte, frame_to(2, 1, 100, 56, 0, 3));
    s.finish();
    EXPECT_THAT(tags(s.out), testing::ElementsAre(1, 3, 2));
}

TEST(tor_model, queues__class_table_vlan_and_non_ip) {
    tor_config cfg = small_config(2);
    cfg.class_of_dscp[0] = 5;
    cfg.class_of_dscp[46] = 2;
    Switch s(cfg);
    tor_time t = s.teach();
    s.in(0, t, frame_to(1, 0, 100, 46));
    s.in(0, t, make_frame({.vlan = 7, .dscp = 46, .len = 100}));
    s.in(0, t, make_frame({.version = 6, .dscp = 46, .len = 100}));
    s.in(0, t, make_frame({.version = 0, .len = 60}));
    s.in(0, t, make_frame({.dscp = 63, .len = 100}));
    s.finish();
    std::vector<uint32_t> queues;
    for (const Departure &d : s.out)
        queues.push_back(d.queue);
    EXPECT_THAT(queues, testing::ElementsAre(7, 5, 2, 2, 2));
}

TEST(tor_model, ecn__marks_exactly_above_k) {
    for (int version : {4, 6}) {
        for (uint8_t ecn : {uint8_t{0}, uint8_t{1}, uint8_t{2}, uint8_t{3}}) {
            tor_config cfg = small_config(2);
            cfg.ecn_k_bytes = 3000;
            Switch s(cfg);
            tor_time t = s.teach();
            /* One on the line, so frame i finds (i - 1) * 1000 bytes waiting. */
            for (uint64_t i = 0; i < 8; i++)
                s.in(0, t + !!i,
                     make_frame({.version = version, .ecn = ecn, .len = 1000, .tag = i}));
            s.finish();
            ASSERT_EQ(s.out.size(), 8u);
            uint64_t marked = 0;
            for (size_t i = 0; i < 8; i++) {
                bool over = i >= 1 && i - 1 > 3; // 4000 > 3000, 3000 is not
                bool ect = ecn == 1 || ecn == 2;
                EXPECT_EQ(ecn_of(s.out[i].frame), over && ect ? 3 : ecn) << version << " " << i;
                EXPECT_TRUE(ip_checksum_ok(s.out[i].frame));
                EXPECT_TRUE(transport_checksum_ok(s.out[i].frame));
                marked += over && ect;
            }
            EXPECT_EQ(s.counters(1).queue[0].marked, marked);
        }
    }
}

TEST(tor_model, ecn__counts_bytes_of_its_own_queue) {
    tor_config cfg = small_config(2);
    cfg.ecn_k_bytes = 1500;
    Switch s(cfg);
    tor_time t = s.teach();
    for (int i = 0; i < 6; i++)
        s.in(0, t + !!i, frame_to(1, 0, 1000, 0, 2));
    s.in(0, t + 1, frame_to(1, 0, 1000, 56, 2, 99)); // its queue is empty
    s.finish();
    for (const Departure &d : s.out) {
        if (tag_of(d.frame) == 99) {
            EXPECT_EQ(ecn_of(d.frame), 2);
        }
    }
    EXPECT_EQ(s.counters(1).queue[0].marked, 3u);
    EXPECT_EQ(s.counters(1).queue[7].marked, 0u);
}

TEST(tor_model, ecn__off_and_zero) {
    for (uint64_t k : {TOR_ECN_OFF, uint64_t{0}}) {
        tor_config cfg = small_config(2);
        cfg.ecn_k_bytes = k;
        Switch s(cfg);
        tor_time t = s.teach();
        for (int i = 0; i < 5; i++)
            s.in(0, t + !!i, frame_to(1, 0, 1000, 0, 2));
        s.finish();
        EXPECT_EQ(s.counters(1).queue[0].marked, k ? 0u : 3u); // the third finds 1000 bytes
    }
}

TEST(tor_model, buffer__port_share_is_drop_tail) {
    tor_config cfg = small_config(3);
    cfg.port_buffer_bytes = 3000;
    Switch s(cfg);
    tor_time t = s.teach();
    for (uint64_t i = 0; i < 10; i++)
        s.in(0, t, frame_to(2, 0, 1000, 0, 0, i));
    s.in(1, t, frame_to(0, 1, 1000, 0, 0, 77)); // another port is not affected
    s.finish();
    /* Arrivals of an instant come before starts of transmission: three fit, none is on the line. */
    EXPECT_THAT(tags(s.out), testing::UnorderedElementsAre(0, 1, 2, 77));
    EXPECT_EQ(s.counters(2).drops[TOR_DROP_PORT], 7u);
    EXPECT_EQ(s.counters(2).queue[0].dropped, 7u);
    EXPECT_EQ(s.counters(2).max_bytes, 3000u);
    EXPECT_EQ(s.counters(2).queue[0].max_bytes, 3000u);
    s.expect_conservation();
}

TEST(tor_model, buffer__pool_is_shared) {
    tor_config cfg = small_config(4);
    cfg.buffer_bytes = 5000;
    cfg.port_buffer_bytes = 4000;
    Switch s(cfg);
    tor_time t = s.teach();
    for (int i = 0; i < 4; i++)
        s.in(0, t, frame_to(2, 0, 1000));
    for (int i = 0; i < 4; i++)
        s.in(1, t, frame_to(3, 1, 1000));
    s.finish();
    EXPECT_EQ(s.counters(2).tx_frames + s.counters(3).tx_frames, 5u + 6u) << "6 while teaching";
    EXPECT_EQ(s.counters(3).drops[TOR_DROP_POOL], 3u);
    EXPECT_EQ(s.counters(2).drops[TOR_DROP_PORT], 0u);
    s.expect_conservation();
}

TEST(tor_model, buffer__full_of_shortest_frames_never_runs_out_of_slots) {
    tor_config cfg = small_config(2);
    cfg.buffer_bytes = cfg.port_buffer_bytes = 60000;
    Switch s(cfg);
    tor_time t = s.teach();
    for (int i = 0; i < 1200; i++)
        s.in(0, t, frame_to(1, 0, 42));
    s.finish();
    EXPECT_EQ(s.out.size(), 1000u);
    s.expect_conservation();
}

TEST(tor_model, fdb__floods_unknown_learns_source) {
    Switch s(small_config(4));
    s.in(0, 0, frame_to(1, 0, 100));       // unknown: to all others
    s.in(1, 5 * kUs, frame_to(0, 1, 100)); // 0 is known now
    s.in(2, 10 * kUs, make_frame({.dst = kBroadcast, .src = node_mac(2), .len = 100}));
    s.in(0, 15 * kUs, frame_to(2, 0, 100));
    s.in(3, 20 * kUs, frame_to(9, 0, 100)); // 0 has moved to port 3; 9 is unknown
    s.in(1, 25 * kUs, frame_to(0, 1, 100));
    s.finish();
    std::vector<uint32_t> ports;
    for (const Departure &d : s.out)
        ports.push_back(d.port);
    EXPECT_THAT(ports, testing::ElementsAre(1, 2, 3, /**/ 0, /**/ 0, 1, 3, /**/ 2, /**/ 0, 1, 2,
                                            /**/ 3));
    EXPECT_EQ(s.counters(0).flooded, 1u);
    EXPECT_EQ(s.counters(0).flood_copies, 2u);
    s.expect_conservation();
}

TEST(tor_model, fdb__destination_behind_the_same_port_is_dropped) {
    Switch s(small_config(2));
    tor_time t = s.teach();
    s.in(0, t, frame_to(0, 5, 100));
    s.finish();
    EXPECT_TRUE(s.out.empty());
    EXPECT_EQ(s.counters(0).drops[TOR_DROP_SAME_PORT], 1u);
}

TEST(tor_model, fdb__many_addresses_do_not_harm) {
    Switch s(small_config(3));
    tor_time t = s.teach();
    for (unsigned i = 0; i < 20000; i++) {
        Mac m = {2,
                 0,
                 static_cast<uint8_t>(i >> 16),
                 static_cast<uint8_t>(i >> 8),
                 static_cast<uint8_t>(i),
                 9};
        s.in(2, t += kUs, make_frame({.dst = node_mac(0), .src = m, .len = 60}));
    }
    s.in(0, t += kUs, frame_to(1, 0, 100)); // node 1 may be forgotten: then it is flooded
    s.finish();
    int reached = 0;
    for (const Departure &d : s.out)
        reached += d.port == 1 && d.frame == frame_to(1, 0, 100);
    EXPECT_EQ(reached, 1);
    s.expect_conservation();
}

TEST(tor_model, input__bad_lengths_are_counted) {
    Switch s(small_config(2));
    Bytes big(3000, 1);
    s.in(0, 0, Bytes(13, 1));
    s.in(0, 0, Bytes());
    s.in(0, 0, big);
    big.resize(1522);
    big[0] = 2;
    s.in(0, 0, big);
    s.finish();
    EXPECT_EQ(s.counters(0).drops[TOR_DROP_RUNT], 2u);
    EXPECT_EQ(s.counters(0).drops[TOR_DROP_OVERSIZE], 1u);
    EXPECT_EQ(s.out.size(), 1u);
}

TEST(tor_model, input__past_is_refused) {
    Switch s(small_config(2));
    Bytes f = frame_to(1, 0, 1000);
    s.in(0, 1000, f);
    EXPECT_EQ(tor_input(&s.t, 0, 999, f.data(), 1000), TOR_E_ORDER);
    EXPECT_EQ(tor_input(&s.t, 0, 1001, f.data(), 1000), TOR_E_ORDER) << "not drained before";
    s.run(5000);
    EXPECT_EQ(tor_input(&s.t, 0, 4999, f.data(), 1000), TOR_E_ORDER);
    EXPECT_EQ(tor_input(&s.t, 2, 6000, f.data(), 1000), TOR_E_CONFIG);
    EXPECT_EQ(tor_input(&s.t, 0, 5000, f.data(), 1000), 0);
}

TEST(tor_model, horizon__is_a_bound_and_tight_when_idle) {
    Switch s(small_config(2));
    tor_time t = s.teach();
    const tor_time kCross = 84 * kByte + 1500 * kNs;
    EXPECT_EQ(tor_horizon(&s.t, 1, TOR_TIME_INF), TOR_TIME_INF);
    EXPECT_EQ(tor_horizon(&s.t, 1, t + 500), t + 500 + kCross);
    s.in(0, t, frame_to(1, 0, 1500));
    s.in(0, t, frame_to(1, 0, 60));
    EXPECT_EQ(tor_horizon(&s.t, 1, TOR_TIME_INF), t + kCross);
    s.run(t + 1);
    EXPECT_EQ(tor_horizon(&s.t, 1, TOR_TIME_INF), t + 1524 * kByte + kCross);
    EXPECT_EQ(tor_horizon(&s.t, 1, t + 2), t + 1524 * kByte + kCross) << "the line is busy";
    EXPECT_EQ(tor_horizon(&s.t, 0, t + 2), t + 2 + kCross);
    s.finish();
    EXPECT_EQ(s.out.back().arrival, t + 1524 * kByte + kCross);
}

TEST(tor_model, samples__periodic) {
    tor_config cfg = small_config(2);
    cfg.sample_ps = 100 * kNs;
    Switch s(cfg);
    tor_time t = s.teach(); // a multiple of 1 us
    for (int i = 0; i < 3; i++)
        s.in(0, t + 50 * kNs, frame_to(1, 0, 976)); // 320 ns each
    s.finish();
    /* Starts at 50, 370, 690: 2 waiting, then 1, then none; the last sample says so. */
    std::vector<Sample> want;
    for (int i = 1; i <= 3; i++)
        want.push_back({1, t + i * 100 * kNs, 2 * 976});
    for (int i = 4; i <= 6; i++)
        want.push_back({1, t + i * 100 * kNs, 976});
    want.push_back({1, t + 700 * kNs, 0});
    EXPECT_EQ(s.samples, want);
}

TEST(tor_model, samples__at_each_change) {
    tor_config cfg = small_config(2);
    cfg.sample_ps = TOR_SAMPLE_EVENTS;
    Switch s(cfg);
    tor_time t = s.teach();
    s.in(0, t, frame_to(1, 0, 976));
    s.in(0, t, frame_to(1, 0, 976));
    s.finish();
    std::vector<Sample> want = {{1, t, 976}, {1, t, 1952}, {1, t, 976}, {1, t + 320 * kNs, 0}};
    EXPECT_EQ(s.samples, want);
    EXPECT_EQ(tor_samples_lost(&s.t), 0u);
}

TEST(tor_model, block__may_be_copied_and_used_at_two_addresses) {
    tor_config cfg = small_config(4);
    cfg.faults = 1;
    cfg.fault[0] = {.port = 1,
                    .kind = TOR_FAULT_REORDER,
                    .directions = TOR_IN | TOR_OUT,
                    .reserved = 0,
                    .from = 0,
                    .to = TOR_TIME_INF,
                    .p32 = TOR_P32_ONE / 3,
                    .delay_ps = 3 * kUs};
    cfg.buffer_bytes = cfg.port_buffer_bytes = 200000;
    auto traffic = [](Switch &s, int from, int to) {
        for (int i = from; i < to; i++) {
            std::mt19937_64 rng(static_cast<uint64_t>(i));
            unsigned a = rng() % 4, b = rng() % 4;
            s.in(a, i * 50 * kNs, frame_to(b, a, 60 + rng() % 1400, rng() % 64, rng() % 4));
        }
    };
    Switch straight(cfg);
    traffic(straight, 0, 3000);
    straight.finish();

    Switch first(cfg), second(cfg);
    traffic(first, 0, 1500);
    std::memcpy(second.t.mem, first.t.mem, first.t.size);
    std::memset(first.t.mem, 0xee, first.t.size); // nothing points back
    ASSERT_EQ(tor_attach(&second.t, second.t.mem, second.t.size), 0);
    second.out = first.out;
    traffic(second, 1500, 3000);
    second.finish();
    EXPECT_EQ(straight.out, second.out);
    second.expect_conservation();
}

TEST(tor_model, attach__refuses_what_is_not_a_model) {
    tor_config cfg = small_config(2);
    Switch s(cfg);
    tor t;
    EXPECT_EQ(tor_attach(&t, s.t.mem, s.t.size), 0);
    EXPECT_EQ(tor_attach(&t, s.t.mem, s.t.size - 1), TOR_E_BLOCK);
    EXPECT_EQ(tor_attach(&t, s.t.mem, 16), TOR_E_BLOCK);
    s.t.mem[0] ^= 1;
    EXPECT_EQ(tor_attach(&t, s.t.mem, s.t.size), TOR_E_BLOCK);
    cfg.ports = 1;
    EXPECT_EQ(tor_init(&t, s.t.mem, s.t.size, &cfg), TOR_E_CONFIG);
}

} // namespace
} // namespace etran_test
