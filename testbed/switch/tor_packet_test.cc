/* SPDX-License-Identifier: MIT
 * Copyright (c) The eTran artifact authors
 */
#include "tor_packet.h"

#include <gtest/gtest.h>

#include <random>

#include "test_frames.h"

namespace etran_test {
namespace {

tor_packet parse(const Bytes &f) {
    tor_packet p;
    tor_packet_parse(&p, f.data(), static_cast<uint32_t>(f.size()));
    return p;
}

TEST(tor_packet, parse__finds_the_headers) {
    tor_packet p = parse(make_frame({.dscp = 46, .ecn = 1, .proto = 6, .len = 100}));
    EXPECT_EQ(p.version, 4);
    EXPECT_EQ(p.ip, 14u);
    EXPECT_EQ(p.l4, 34u);
    EXPECT_EQ(p.end, 100u);
    EXPECT_EQ(p.proto, 6);
    EXPECT_EQ(p.dscp, 46);
    EXPECT_EQ(p.ecn, 1);
    p = parse(make_frame({.vlan = 3, .version = 6, .dscp = 46, .ecn = 2, .len = 200}));
    EXPECT_EQ(p.version, 6);
    EXPECT_EQ(p.ip, 18u);
    EXPECT_EQ(p.l4, 58u);
    EXPECT_EQ(p.end, 200u);
    EXPECT_EQ(p.dscp, 46);
    EXPECT_EQ(p.ecn, 2);
}

TEST(tor_packet, parse__ethernet_padding_is_not_payload) {
    Bytes f = make_frame({.len = 50});
    f.resize(60);
    EXPECT_EQ(parse(f).end, 50u);
}

TEST(tor_packet, parse__cut_or_strange_frames_are_not_ip) {
    Bytes whole = make_frame({.dscp = 46, .len = 100});
    for (size_t n = 14; n < 34; n++)
        EXPECT_EQ(parse(Bytes(whole.begin(), whole.begin() + static_cast<long>(n))).version, 0);
    Bytes f = whole;
    f[14] = 0x44; // header shorter than it can be
    EXPECT_EQ(parse(f).version, 0);
    f = whole;
    f[16] = f[17] = 0; // total length 0
    EXPECT_EQ(parse(f).version, 0);
    EXPECT_EQ(parse(make_frame({.version = 0})).version, 0);
}

TEST(tor_packet, mark_ce__every_header_keeps_its_checksum) {
    for (int tos = 0; tos < 256; tos++) {
        for (int version : {4, 6}) {
            Bytes f = make_frame({.version = version,
                                  .dscp = static_cast<uint8_t>(tos >> 2),
                                  .ecn = static_cast<uint8_t>(tos & 3),
                                  .len = 100u + static_cast<uint32_t>(tos)});
            tor_packet p = parse(f);
            tor_packet_mark_ce(&p, f.data());
            EXPECT_EQ(ecn_of(f), 3);
            EXPECT_EQ(parse(f).dscp, tos >> 2);
            EXPECT_TRUE(ip_checksum_ok(f));
            EXPECT_TRUE(transport_checksum_ok(f));
        }
    }
}

TEST(tor_packet, mark_ce__a_wrong_checksum_stays_wrong) {
    Bytes f = make_frame({.ecn = 2, .len = 100});
    f[24] ^= 0x10;
    tor_packet p = parse(f);
    tor_packet_mark_ce(&p, f.data());
    EXPECT_FALSE(ip_checksum_ok(f));
}

TEST(tor_packet, corrupt__stays_inside_and_always_changes_something) {
    std::mt19937_64 rng(1);
    for (int i = 0; i < 20000; i++) {
        Bytes f(14 + rng() % 100);
        for (uint8_t &b : f)
            b = static_cast<uint8_t>(rng());
        if (rng() % 2 && f.size() >= 14) {
            f[12] = rng() % 2 ? 0x08 : 0x86;
            f[13] = f[12] == 8 ? 0 : 0xdd;
        }
        if (f.size() > 14)
            f[14] = f[12] == 8 ? 0x45 : 0x60;
        Bytes before = f;
        bool changed = tor_packet_corrupt(f.data(), static_cast<uint32_t>(f.size()), rng());
        EXPECT_EQ(changed, f != before);
        EXPECT_EQ(changed, f.size() > 14);
        EXPECT_TRUE(std::equal(f.begin(), f.begin() + 14, before.begin()));
    }
}

TEST(tor_packet, corrupt__hits_payload_of_every_kind_of_frame) {
    for (uint64_t random = 0; random < 5000; random++) {
        for (int version : {4, 6}) {
            for (uint8_t proto : {uint8_t{6}, uint8_t{17}}) {
                Bytes f = make_frame({.version = version, .proto = proto, .len = 120});
                ASSERT_TRUE(tor_packet_corrupt(f.data(), 120, random * 0x9e3779b97f4a7c15));
                EXPECT_FALSE(transport_checksum_ok(f));
                EXPECT_TRUE(ip_checksum_ok(f));
            }
        }
    }
}

TEST(tor_packet, corrupt__bare_segment_is_hit_in_its_transport_header) {
    for (uint64_t random = 0; random < 1000; random++) {
        Bytes f = make_frame({.proto = 6, .len = 54});
        f.resize(60); // padding must not be chosen
        ASSERT_TRUE(tor_packet_corrupt(f.data(), 60, random * 0x9e3779b97f4a7c15));
        EXPECT_FALSE(transport_checksum_ok(f));
    }
}

} // namespace
} // namespace etran_test
