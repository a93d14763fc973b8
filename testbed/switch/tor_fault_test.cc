/* SPDX-License-Identifier: MIT
 * Copyright (c) The eTran artifact authors
 *
 * Every fault kind: what it does, how often, in which interval and direction, and that only the
 * seed decides.
 */
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <map>
#include <set>

#include "test_model.h"

namespace etran_test {
namespace {

constexpr tor_time kUs = 1000 * TOR_NS;
constexpr int kFrames = 20000;

tor_fault fault(uint32_t kind, double p, uint32_t port = 0, uint32_t dir = TOR_IN) {
    return {.port = port,
            .kind = kind,
            .directions = dir,
            .reserved = 0,
            .from = 0,
            .to = TOR_TIME_INF,
            .p32 = static_cast<uint64_t>(std::llround(p * TOR_P32_ONE)),
            .delay_ps = 10 * kUs};
}

tor_config with(std::vector<tor_fault> faults, uint64_t seed = 1) {
    tor_config cfg = small_config(2);
    cfg.seed = seed;
    for (const tor_fault &f : faults)
        cfg.fault[cfg.faults++] = f;
    return cfg;
}

/* Tagged frames from node 0 to node 1, one per microsecond, and the tags that came through. */
std::vector<uint64_t> pass(Switch &s, int frames = kFrames, uint8_t proto = 17) {
    tor_time t = s.teach();
    for (int i = 0; i < frames; i++) {
        FrameSpec f{.proto = proto, .len = 200, .tag = static_cast<uint64_t>(i) + 1};
        s.in(0, t + i * kUs, make_frame(f));
    }
    s.finish();
    s.expect_conservation();
    std::vector<uint64_t> tags;
    for (const Departure &d : s.out)
        tags.push_back(tag_of(d.frame));
    return tags;
}

/* Within five standard deviations of a binomial. */
void expect_rate(uint64_t hits, int n, double p) {
    EXPECT_NEAR(static_cast<double>(hits), n * p, 5 * std::sqrt(n * p * (1 - p)) + 1e-9);
}

/* Faults per direction: from node 0 (port 0, in) or to node 1 (port 1, out). */
class tor_fault_at : public testing::TestWithParam<uint32_t> {
  protected:
    uint32_t port() const { return GetParam() == TOR_IN ? 0 : 1; }
    tor_config one(uint32_t kind, double p, uint64_t seed = 1) const {
        return with({fault(kind, p, port(), GetParam())}, seed);
    }
};

TEST_P(tor_fault_at, loss__rate_and_counters) {
    for (double p : {0.0, 0.001, 0.1, 0.5, 1.0}) {
        Switch s(one(TOR_FAULT_LOSS, p));
        uint64_t lost = kFrames - pass(s).size();
        expect_rate(lost, kFrames, p);
        /* Lost while teaching, too: port 0 sends one, port 1 gets one. */
        uint64_t counted =
            s.counters(0).drops[TOR_DROP_IN_LOSS] + s.counters(1).drops[TOR_DROP_OUT_LOSS];
        EXPECT_GE(counted, lost);
        EXPECT_LE(counted, lost + 1);
    }
}

TEST_P(tor_fault_at, dup__twice_in_a_row) {
    Switch s(one(TOR_FAULT_DUP, 0.1));
    std::map<uint64_t, int> seen;
    for (uint64_t t : pass(s))
        seen[t]++;
    EXPECT_EQ(seen.size(), static_cast<size_t>(kFrames));
    uint64_t twice = 0;
    for (auto [tag, n] : seen) {
        EXPECT_LE(n, 2);
        twice += n == 2;
    }
    expect_rate(twice, kFrames, 0.1);
}

TEST_P(tor_fault_at, dup__certain_duplicates_once) {
    Switch s(one(TOR_FAULT_DUP, 1));
    EXPECT_EQ(pass(s, 100).size(), 200u);
}

TEST_P(tor_fault_at, reorder__late_by_the_delay_and_nothing_lost) {
    Switch s(one(TOR_FAULT_REORDER, 0.05));
    std::vector<uint64_t> tags = pass(s);
    ASSERT_EQ(tags.size(), static_cast<size_t>(kFrames));
    EXPECT_EQ(std::set<uint64_t>(tags.begin(), tags.end()).size(), tags.size());
    uint64_t late = 0;
    tor_time first = s.out[0].start - (static_cast<tor_time>(tags[0]) - 1) * kUs;
    for (size_t i = 0; i < tags.size(); i++) {
        tor_time due = first + (static_cast<tor_time>(tags[i]) - 1) * kUs;
        tor_time by = s.out[i].start - due;
        if (by >= 5 * kUs) {
            late++;
            EXPECT_GE(by, 10 * kUs);
            EXPECT_LT(by, 10 * kUs + kUs) << "the line is almost idle";
        } else {
            EXPECT_LT(by, kUs);
        }
    }
    expect_rate(late, kFrames, 0.05);
    EXPECT_GE(s.counters(port()).delayed, late);
}

TEST_P(tor_fault_at, corrupt__one_payload_byte_and_the_checksum_shows_it) {
    for (uint8_t proto : {uint8_t{6}, uint8_t{17}}) {
        Switch s(one(TOR_FAULT_CORRUPT, 0.2));
        pass(s, 5000, proto);
        ASSERT_EQ(s.out.size(), 5000u);
        uint64_t bad = 0;
        for (size_t i = 0; i < s.out.size(); i++) {
            Bytes good = make_frame({.proto = proto, .len = 200, .tag = i + 1});
            const Bytes &got = s.out[i].frame;
            ASSERT_EQ(got.size(), good.size());
            int differ = 0;
            for (size_t k = 0; k < good.size(); k++) {
                if (good[k] != got[k]) {
                    differ++;
                    EXPECT_GE(k, 34u + (proto == 6 ? 20 : 8)) << "a header was hit";
                }
            }
            EXPECT_LE(differ, 1);
            EXPECT_EQ(transport_checksum_ok(got), differ == 0);
            EXPECT_TRUE(ip_checksum_ok(got));
            bad += differ;
        }
        expect_rate(bad, 5000, 0.2);
    }
}

TEST_P(tor_fault_at, down__interval_is_half_open) {
    tor_config cfg = one(TOR_FAULT_DOWN, 1);
    Switch probe(small_config(2));
    tor_time t = probe.teach(); // the time at which pass() begins
    cfg.fault[0].from = t + 10 * kUs;
    cfg.fault[0].to = t + 20 * kUs;
    Switch s(cfg);
    std::vector<uint64_t> tags = pass(s, 30), want;
    for (uint64_t i = 0; i < 30; i++) {
        if (i < 10 || i >= 20)
            want.push_back(i + 1);
    }
    EXPECT_EQ(tags, want);
    EXPECT_EQ(s.counters(0).drops[TOR_DROP_IN_DOWN] + s.counters(1).drops[TOR_DROP_OUT_DOWN], 10u);
}

TEST_P(tor_fault_at, seed__decides_and_nothing_else) {
    std::vector<tor_fault> all;
    for (uint32_t k : {TOR_FAULT_LOSS, TOR_FAULT_DUP, TOR_FAULT_REORDER, TOR_FAULT_CORRUPT})
        all.push_back(fault(k, 0.1, port(), GetParam()));
    auto outcome = [&](uint64_t seed) {
        Switch s(with(all, seed));
        pass(s, 2000);
        return s.out;
    };
    EXPECT_EQ(outcome(7), outcome(7));
    EXPECT_NE(outcome(7), outcome(8));
}

TEST_P(tor_fault_at, seed__other_ports_traffic_does_not_matter) {
    auto lost = [&](bool noise) {
        tor_config cfg = one(TOR_FAULT_LOSS, 0.3);
        cfg.ports = 4;
        Switch s(cfg);
        tor_time t = s.teach();
        std::set<uint64_t> came;
        for (uint64_t i = 1; i <= 1000; i++) {
            tor_time at = t + static_cast<tor_time>(i) * kUs;
            s.in(0, at, make_frame({.len = 200, .tag = i}));
            if (noise)
                s.in(2, at, make_frame({.dst = node_mac(3), .src = node_mac(2), .len = 999}));
        }
        s.finish();
        for (const Departure &d : s.out) {
            if (d.port == 1)
                came.insert(tag_of(d.frame));
        }
        return came;
    };
    EXPECT_EQ(lost(false), lost(true));
}

INSTANTIATE_TEST_SUITE_P(direction, tor_fault_at, testing::Values(TOR_IN, TOR_OUT),
                         [](const auto &param) { return param.param == TOR_IN ? "in" : "out"; });

TEST(tor_fault, directions__are_independent) {
    Switch s(with({fault(TOR_FAULT_LOSS, 1, 0, TOR_OUT)}));
    EXPECT_EQ(pass(s, 100).size(), 100u) << "frames from port 0 are not meant";
    Switch both(with({fault(TOR_FAULT_LOSS, 0.5, 0, TOR_IN | TOR_OUT)}));
    tor_time t = both.teach();
    for (int i = 0; i < 1000; i++)
        both.in(1, t + i * kUs, make_frame({.dst = node_mac(0), .src = node_mac(1), .len = 99}));
    both.finish();
    expect_rate(both.out.size(), 1000, 0.5);
}

TEST(tor_fault, loss__on_the_line_takes_line_time) {
    tor_config cfg = with({fault(TOR_FAULT_LOSS, 1, 1, TOR_OUT)});
    Switch s(cfg);
    tor_time t = s.teach();
    s.in(0, t, make_frame({.len = 1000}));
    s.run(t + 1);
    EXPECT_EQ(tor_horizon(&s.t, 1, t + 1),
              t + 1024 * 320 + 84 * 320 + cfg.latency_ps); // the line is busy although it is lost
    s.finish();
    EXPECT_TRUE(s.out.empty());
}

TEST(tor_fault, down__flushes_the_queue_without_line_time) {
    tor_config cfg = with({fault(TOR_FAULT_DOWN, 1, 1, TOR_OUT)});
    cfg.fault[0].from = 5 * kUs;
    Switch s(cfg);
    tor_time t = s.teach(); // 3 us
    for (int i = 0; i < 20; i++)
        s.in(0, t, make_frame({.len = 1000}));
    s.finish();
    EXPECT_EQ(s.out.size(), 7u); // 327.68 ns each until 5 us
    EXPECT_EQ(s.counters(1).drops[TOR_DROP_OUT_DOWN], 13u);
    s.expect_conservation();
}

TEST(tor_fault, reorder__too_many_held_are_counted) {
    tor_config cfg = with({fault(TOR_FAULT_REORDER, 1, 0, TOR_IN)});
    cfg.fault[0].delay_ps = 1000000 * kUs;
    Switch s(cfg);
    tor_time t = s.teach();
    for (int i = 0; i < TOR_DELAYED_MAX + 100; i++)
        s.in(0, t + i * kUs, make_frame({.len = 100}));
    s.finish();
    EXPECT_EQ(s.counters(0).drops[TOR_DROP_DELAYED], 101u); // one is held since teaching
    s.expect_conservation();
}

TEST(tor_fault, all__together_conserve_frames) {
    std::vector<tor_fault> all;
    for (uint32_t k = 0; k < TOR_FAULT_DOWN; k++) {
        for (uint32_t p = 0; p < 2; p++)
            all.push_back(fault(k, 0.2, p, TOR_IN | TOR_OUT));
    }
    tor_config cfg = with(all, 3);
    cfg.ports = 5;
    cfg.buffer_bytes = 30000;
    cfg.port_buffer_bytes = 10000;
    Switch s(cfg);
    for (int i = 0; i < 20000; i++) {
        unsigned from = static_cast<unsigned>(i) % 5, to = static_cast<unsigned>(i) * 7 % 6;
        FrameSpec f{.dst = to == 5 ? kBroadcast : node_mac(to), .src = node_mac(from), .len = 700};
        s.in(from, i * 100 * TOR_NS, make_frame(f));
    }
    s.finish();
    s.expect_conservation();
}

} // namespace
} // namespace etran_test
