// SPDX-License-Identifier: MIT
// Copyright (c) The eTran artifact authors
#include "nic_offload.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <memory>
#include <random>
#include <string>
#include <tuple>
#include <vector>

namespace {

using Bytes = std::vector<uint8_t>;

constexpr uint32_t kMaxFrame = 1518;
constexpr uint8_t kTcp = 6, kUdp = 17, kHoma = 146;
constexpr uint8_t kFin = 0x01, kPsh = 0x08, kAck = 0x10, kCwr = 0x80;

void put16(Bytes &b, size_t at, uint32_t v) {
    b[at] = static_cast<uint8_t>(v >> 8);
    b[at + 1] = static_cast<uint8_t>(v);
}
void put32(Bytes &b, size_t at, uint32_t v) {
    put16(b, at, v >> 16);
    put16(b, at + 2, v & 0xffff);
}
uint32_t get16(const Bytes &b, size_t at) {
    return b.at(at) << 8 | b.at(at + 1);
}
uint32_t get32(const Bytes &b, size_t at) {
    return get16(b, at) << 16 | get16(b, at + 2);
}

// The textbook checksum, byte pair by byte pair, to check the fast one against.
uint16_t reference_sum(const Bytes &b, size_t from, size_t to) {
    uint32_t total = 0;
    for (size_t i = from; i < to; i += 2) {
        total += b[i] << 8 | (i + 1 < to ? b[i + 1] : 0);
        total = (total & 0xffff) + (total >> 16);
    }
    return static_cast<uint16_t>(total);
}

struct Shape {
    bool ipv6 = false;
    int vlans = 0;
    uint32_t ip_options = 0; // bytes; IPv6: an extension header
    uint32_t tcp_options = 12;
    uint8_t proto = kTcp;
    uint8_t flags = kAck;
    uint32_t payload = 0;

    size_t l3() const { return 14 + 4 * static_cast<size_t>(vlans); }
    size_t l4() const { return l3() + (ipv6 ? 40 : 20) + ip_options; }
    size_t headers() const { return l4() + (proto == kUdp ? 8 : 20 + tcp_options); }
};

// A packet as a driver hands it over: sum of the pseudo header in the checksum field.
class Packet {
  public:
    explicit Packet(const Shape &s, uint32_t seed = 1) : shape(s), bytes(s.headers() + s.payload) {
        std::mt19937 rng(seed);
        for (auto &b : bytes)
            b = static_cast<uint8_t>(rng());
        size_t type = 12;
        for (int i = 0; i < s.vlans; i++, type += 4)
            put16(bytes, type, i + 1 < s.vlans ? 0x88a8 : 0x8100);
        put16(bytes, type, s.ipv6 ? 0x86dd : 0x0800);
        size_t ip = s.l3(), l4 = s.l4();
        if (s.ipv6) {
            bytes[ip] = 0x60;
            put16(bytes, ip + 4, bytes.size() - ip - 40);
            bytes[ip + 6] = s.ip_options ? 60 : s.proto;
            if (s.ip_options) {
                bytes[ip + 40] = s.proto;
                bytes[ip + 41] = static_cast<uint8_t>(s.ip_options / 8 - 1);
            }
        } else {
            bytes[ip] = static_cast<uint8_t>(0x40 | (5 + s.ip_options / 4));
            put16(bytes, ip + 2, bytes.size() - ip);
            put16(bytes, ip + 6, 0x4000);
            bytes[ip + 9] = s.proto;
            put16(bytes, ip + 10, 0);
            put16(bytes, ip + 10, ~reference_sum(bytes, ip, l4) & 0xffff);
        }
        if (s.proto == kUdp) {
            put16(bytes, l4 + 4, bytes.size() - l4);
        } else {
            bytes[l4 + 12] = static_cast<uint8_t>((20 + s.tcp_options) / 4 << 4);
            bytes[l4 + 13] = s.flags;
        }
        put16(bytes, l4 + csum_offset(), pseudo(bytes.size() - l4));
    }

    uint32_t csum_offset() const { return shape.proto == kUdp ? 6 : 16; }

    uint16_t pseudo(size_t l4_len) const {
        size_t ip = shape.l3();
        Bytes b(bytes.begin() + static_cast<long>(ip) + (shape.ipv6 ? 8 : 12),
                bytes.begin() + static_cast<long>(ip) + (shape.ipv6 ? 40 : 20));
        b.insert(b.end(),
                 {0, shape.proto, static_cast<uint8_t>(l4_len >> 8), static_cast<uint8_t>(l4_len)});
        return reference_sum(b, 0, b.size());
    }

    nic_tx_request request(uint16_t gso_size = 0) const {
        nic_tx_request r = {};
        r.csum = true;
        r.tso = gso_size != 0;
        r.csum_start = static_cast<uint16_t>(shape.l4());
        r.csum_offset = static_cast<uint16_t>(csum_offset());
        r.gso_size = gso_size;
        return r;
    }

    Shape shape;
    Bytes bytes;
};

// Every frame in a heap block of exactly its length, so that sanitizers see each byte too many.
std::vector<Bytes> frames_of(const Bytes &packet, const nic_tx_request &request,
                             uint32_t max_frame = kMaxFrame) {
    auto exact = std::make_unique<uint8_t[]>(packet.size());
    std::copy(packet.begin(), packet.end(), exact.get());
    nic_tx t;
    std::vector<Bytes> out;
    if (nic_tx_begin(&t, &request, exact.get(), static_cast<uint32_t>(packet.size()), max_frame) !=
        NIC_TX_OK)
        return out;
    while (uint32_t len = nic_tx_frame_len(&t)) {
        Bytes frame(len);
        EXPECT_EQ(nic_tx_frame(&t, frame.data()), len);
        EXPECT_LE(len, max_frame);
        out.push_back(std::move(frame));
    }
    EXPECT_EQ(nic_tx_frame(&t, nullptr), 0U);
    return out;
}

nic_tx_error refusal(const Bytes &packet, const nic_tx_request &request) {
    nic_tx t;
    nic_tx_error e =
        nic_tx_begin(&t, &request, packet.data(), static_cast<uint32_t>(packet.size()), kMaxFrame);
    if (e != NIC_TX_OK) {
        EXPECT_EQ(nic_tx_frame_len(&t), 0U) << "a refused packet must not yield frames";
    }
    return e;
}

// Does the transport checksum of a frame hold, by the textbook?
bool checksum_holds(Shape s, const Bytes &frame) {
    s.payload = 0;
    Packet like(s);
    std::copy_n(frame.begin(), std::min(frame.size(), like.bytes.size()), like.bytes.begin());
    uint32_t total =
        reference_sum(frame, s.l4(), frame.size()) + like.pseudo(frame.size() - s.l4());
    return ((total & 0xffff) + (total >> 16)) % 0xffff == 0;
}

TEST(nic_tx_begin, plain_packet_passes_unchanged) {
    Packet p({.payload = 100});
    auto frames = frames_of(p.bytes, {});
    ASSERT_EQ(frames.size(), 1U);
    EXPECT_EQ(frames[0], p.bytes);
}

TEST(nic_tx_begin, refuses_lengths) {
    EXPECT_EQ(refusal(Bytes(13), {}), NIC_TX_TOO_SHORT);
    EXPECT_EQ(refusal(Bytes(14), {}), NIC_TX_OK);
    EXPECT_EQ(refusal(Bytes(kMaxFrame), {}), NIC_TX_OK);
    EXPECT_EQ(refusal(Bytes(kMaxFrame + 1), {}), NIC_TX_TOO_LONG);
    Packet p({.payload = 65535 - 52}); // the longest IP datagram
    EXPECT_EQ(refusal(p.bytes, p.request(1448)), NIC_TX_OK);
    p.bytes.resize(NIC_MAX_PACKET + 1);
    EXPECT_EQ(refusal(p.bytes, p.request(1448)), NIC_TX_TOO_LONG);
}

TEST(nic_tx_begin, refuses_checksum_outside_packet) {
    Packet p({.payload = 10});
    auto size = static_cast<uint16_t>(p.bytes.size());
    for (auto [start, offset] : {std::pair<uint16_t, uint16_t>{0, 16},
                                 {13, 0},
                                 {size, 0},
                                 {static_cast<uint16_t>(size - 1), 0},
                                 {34, 65535},
                                 {65535, 65535},
                                 {static_cast<uint16_t>(size - 17), 16}}) {
        nic_tx_request r = p.request();
        r.csum_start = start;
        r.csum_offset = offset;
        EXPECT_EQ(refusal(p.bytes, r), NIC_TX_CSUM_RANGE) << start << " " << offset;
    }
    nic_tx_request r = p.request();
    r.csum_start = static_cast<uint16_t>(size - 18);
    EXPECT_EQ(refusal(p.bytes, r), NIC_TX_OK);
}

TEST(nic_tx_begin, refuses_bad_segmentation) {
    Packet p({.payload = 4000});
    nic_tx_request r = p.request(1448);
    r.gso_size = 0;
    EXPECT_EQ(refusal(p.bytes, r), NIC_TX_GSO_SIZE);
    r = p.request(1453); // 66 B of headers: one byte too long for the link
    EXPECT_EQ(refusal(p.bytes, r), NIC_TX_TOO_LONG);
    EXPECT_EQ(refusal(p.bytes, p.request(1452)), NIC_TX_OK);
    r = p.request(1448);
    r.csum_start -= 2;
    EXPECT_EQ(refusal(p.bytes, r), NIC_TX_GSO_HEADER);
    r = p.request(1448);
    r.csum_offset = 31; // its second byte would be payload
    EXPECT_EQ(refusal(p.bytes, r), NIC_TX_GSO_HEADER);

    Packet arp({.payload = 4000});
    put16(arp.bytes, 12, 0x0806);
    EXPECT_EQ(refusal(arp.bytes, arp.request(1448)), NIC_TX_GSO_PROTO);
    Packet fragment({.payload = 4000});
    put16(fragment.bytes, 14 + 6, 0x2000);
    EXPECT_EQ(refusal(fragment.bytes, fragment.request(1448)), NIC_TX_GSO_PROTO);
    Packet short_doff({.payload = 4000});
    short_doff.bytes[34 + 12] = 0x40;
    EXPECT_EQ(refusal(short_doff.bytes, short_doff.request(1448)), NIC_TX_GSO_HEADER);
    Packet cut({.tcp_options = 40});
    cut.bytes.resize(cut.bytes.size() - 1);
    EXPECT_EQ(refusal(cut.bytes, cut.request(1448)), NIC_TX_GSO_HEADER);
    cut.bytes.resize(34 + 19);
    r = cut.request(1448);
    r.csum = false;
    EXPECT_EQ(refusal(cut.bytes, r), NIC_TX_GSO_HEADER);
}

TEST(nic_tx_frame, inserts_checksums) {
    for (bool ipv6 : {false, true})
        for (uint8_t proto : {kTcp, kUdp, kHoma})
            for (uint32_t payload : {0U, 1U, 7U, 8U, 9U, 1000U, 1399U}) {
                Packet p({.ipv6 = ipv6, .proto = proto, .payload = payload}, payload);
                auto frames = frames_of(p.bytes, p.request());
                ASSERT_EQ(frames.size(), 1U);
                EXPECT_TRUE(checksum_holds(p.shape, frames[0])) << int{proto} << " " << payload;
                EXPECT_EQ(nic_rx_check(frames[0].data(), static_cast<uint32_t>(frames[0].size())),
                          proto == kHoma ? NIC_RX_CSUM_NONE : NIC_RX_CSUM_GOOD);
            }
}

TEST(nic_tx_frame, never_writes_a_zero_checksum) {
    Packet p({.proto = kUdp, .payload = 2}); // choose the payload so that everything sums to 0xffff
    put16(p.bytes, p.shape.headers(), 0);
    size_t l4 = p.shape.l4();
    put16(p.bytes, p.shape.headers(), ~reference_sum(p.bytes, l4, p.bytes.size()) & 0xffff);
    auto frames = frames_of(p.bytes, p.request());
    ASSERT_EQ(frames.size(), 1U);
    EXPECT_EQ(get16(frames[0], l4 + 6), 0xffffU);
}

using Segmentation = testing::TestWithParam<std::tuple<Shape, uint32_t, uint16_t>>;

TEST_P(Segmentation, segments_reassemble_to_the_original) {
    auto [shape, payload, mss] = GetParam();
    shape.payload = payload;
    shape.flags = kAck | kPsh | kFin | kCwr;
    Packet p(shape, payload + mss);
    auto frames = frames_of(p.bytes, p.request(mss));
    size_t l3 = shape.l3(), l4 = shape.l4(), hdr = shape.headers();
    ASSERT_EQ(frames.size(), payload ? (payload + mss - 1) / mss : 1);

    Bytes rebuilt(p.bytes.begin(), p.bytes.begin() + static_cast<long>(hdr));
    for (size_t i = 0; i < frames.size(); i++) {
        const Bytes &f = frames[i];
        bool last = i + 1 == frames.size();
        Bytes want(p.bytes.begin(), p.bytes.begin() + static_cast<long>(hdr));
        ASSERT_TRUE(last ? f.size() > hdr || payload == 0 : f.size() == hdr + mss);
        if (shape.ipv6) {
            put16(want, l3 + 4, f.size() - l3 - 40);
        } else {
            put16(want, l3 + 2, f.size() - l3);
            put16(want, l3 + 4, (get16(p.bytes, l3 + 4) + i) & 0xffff);
            put16(want, l3 + 10, 0);
            put16(want, l3 + 10, ~reference_sum(want, l3, l4) & 0xffff);
        }
        put32(want, l4 + 4, get32(p.bytes, l4 + 4) + static_cast<uint32_t>(i) * mss);
        want[l4 + 13] = static_cast<uint8_t>(kAck | (last ? kPsh | kFin : 0) | (i == 0 ? kCwr : 0));
        put16(want, l4 + 16, get16(f, l4 + 16)); // checked by itself
        EXPECT_TRUE(std::equal(want.begin(), want.end(), f.begin())) << "headers of segment " << i;
        EXPECT_TRUE(checksum_holds(shape, f)) << "segment " << i;
        rebuilt.insert(rebuilt.end(), f.begin() + static_cast<long>(hdr), f.end());
    }
    EXPECT_TRUE(rebuilt == p.bytes);
}

INSTANTIATE_TEST_SUITE_P(
    nic_tx_frame, Segmentation,
    testing::Combine(testing::Values(Shape{}, Shape{.ipv6 = true}, Shape{.vlans = 1},
                                     Shape{.ipv6 = true, .vlans = 2},
                                     Shape{.ip_options = 24, .tcp_options = 40},
                                     Shape{.ipv6 = true, .ip_options = 16, .tcp_options = 0},
                                     Shape{.tcp_options = 40, .proto = kHoma},
                                     Shape{.ipv6 = true, .tcp_options = 36, .proto = kHoma}),
                     testing::Values(0U, 1U, 999U, 1000U, 1001U, 12345U, 64000U),
                     testing::Values(uint16_t{7}, uint16_t{1000}, uint16_t{1375})));

// Homa sends through TSO without asking for a checksum, also over IPv4 with the type for IPv6.
TEST(nic_tx_frame, leaves_checksum_alone_if_not_asked) {
    Packet p({.tcp_options = 40, .proto = kHoma, .payload = 5000});
    nic_tx_request r = p.request(1400);
    r.csum = false;
    auto frames = frames_of(p.bytes, r);
    ASSERT_EQ(frames.size(), 4U);
    for (const Bytes &f : frames)
        EXPECT_EQ(get16(f, 34 + 16), get16(p.bytes, 34 + 16));
    EXPECT_EQ(get32(frames[3], 34 + 4), get32(p.bytes, 34 + 4) + 3 * 1400);
}

// What a driver may get wrong must not matter: the length in the pseudo header, the IP length.
TEST(nic_tx_frame, does_not_trust_lengths_of_the_driver) {
    Packet p({.payload = 5000});
    put16(p.bytes, 14 + 2, 7);
    put16(p.bytes, 34 + 16, 0xdead);
    for (const Bytes &f : frames_of(p.bytes, p.request(1400))) {
        EXPECT_TRUE(checksum_holds(p.shape, f));
        EXPECT_EQ(get16(f, 14 + 2), f.size() - 14);
    }
}

TEST(nic_tx_frame, hostile_input_is_refused_or_bounded) {
    std::mt19937 rng(4711);
    int sent = 0, refused = 0;
    for (int i = 0; i < 200000; i++) {
        Shape s{.ipv6 = (rng() & 1) != 0,
                .vlans = static_cast<int>(rng() % 3),
                .proto = (rng() & 1) ? kTcp : kHoma,
                .payload = static_cast<uint32_t>(rng() % 3000)};
        Packet p(s, i);
        for (uint32_t n = rng() % 4; n > 0; n--)
            p.bytes[rng() % std::min<size_t>(p.bytes.size(), 80)] = static_cast<uint8_t>(rng());
        p.bytes.resize(rng() % 3 ? p.bytes.size() : rng() % (p.bytes.size() + 1));
        nic_tx_request r = p.request(static_cast<uint16_t>(rng() % 3 ? 500 : rng()));
        r.csum = rng() % 4 != 0;
        r.tso = rng() % 4 != 0;
        if (rng() % 4 == 0)
            r.csum_start = static_cast<uint16_t>(rng() % 3 ? rng() % 200 : rng());
        if (rng() % 4 == 0)
            r.csum_offset = static_cast<uint16_t>(rng() % 3 ? rng() % 200 : rng());
        auto frames = frames_of(p.bytes, r);
        frames.empty() ? refused++ : sent++;
        for (const Bytes &f : frames) {
            nic_rx_check(f.data(), static_cast<uint32_t>(f.size()));
            nic_flow_hash(f.data(), static_cast<uint32_t>(f.size()));
        }
    }
    EXPECT_GT(sent, 10000);
    EXPECT_GT(refused, 10000);
}

TEST(nic_rx_check, finds_every_flipped_bit) {
    for (bool ipv6 : {false, true})
        for (uint8_t proto : {kTcp, kUdp}) {
            Packet p({.ipv6 = ipv6, .proto = proto, .payload = 61});
            Bytes f = frames_of(p.bytes, p.request()).at(0);
            auto len = static_cast<uint32_t>(f.size());
            for (size_t bit = 8 * p.shape.l4(); bit < 8 * f.size(); bit++) {
                if (proto == kUdp && bit / 8 < p.shape.l4() + 6 && bit / 8 >= p.shape.l4() + 4)
                    continue; // UDP length: malformed, so not judged
                f[bit / 8] ^= 1 << bit % 8;
                EXPECT_EQ(nic_rx_check(f.data(), len), NIC_RX_CSUM_BAD) << "bit " << bit;
                f[bit / 8] ^= 1 << bit % 8;
            }
            EXPECT_EQ(nic_rx_check(f.data(), len), NIC_RX_CSUM_GOOD);
        }
}

TEST(nic_rx_check, ignores_padding) {
    Packet p({.tcp_options = 0});
    Bytes f = frames_of(p.bytes, p.request()).at(0);
    f.resize(60, 0xaa);
    EXPECT_EQ(nic_rx_check(f.data(), 60), NIC_RX_CSUM_GOOD);
}

TEST(nic_rx_check, judges_only_what_it_knows) {
    Packet p({.payload = 100});
    Bytes good = frames_of(p.bytes, p.request()).at(0);
    auto verdict = [](const Bytes &f) {
        return nic_rx_check(f.data(), static_cast<uint32_t>(f.size()));
    };
    Bytes f = good;
    f[14 + 8] ^= 1; // time to live: the IP header is bad
    EXPECT_EQ(verdict(f), NIC_RX_CSUM_NONE);
    f = good;
    put16(f, 14 + 6, 0x2000);
    EXPECT_EQ(verdict(f), NIC_RX_CSUM_NONE) << "fragment";
    f = good;
    f.resize(f.size() - 1);
    EXPECT_EQ(verdict(f), NIC_RX_CSUM_NONE) << "cut off";
    f = good;
    put16(f, 12, 0x0806);
    EXPECT_EQ(verdict(f), NIC_RX_CSUM_NONE) << "not IP";
    Packet u({.proto = kUdp, .payload = 20});
    put16(u.bytes, 34 + 6, 0);
    EXPECT_EQ(verdict(u.bytes), NIC_RX_CSUM_GOOD) << "UDP over IPv4 without checksum";
    Packet u6({.ipv6 = true, .proto = kUdp, .payload = 20});
    put16(u6.bytes, 54 + 6, 0);
    EXPECT_EQ(verdict(u6.bytes), NIC_RX_CSUM_BAD) << "IPv6 demands one";
    for (uint32_t len = 0; len < good.size(); len++) {
        auto exact = std::make_unique<uint8_t[]>(len);
        std::copy_n(good.begin(), len, exact.get());
        EXPECT_EQ(nic_rx_check(exact.get(), len), NIC_RX_CSUM_NONE);
    }
}

TEST(nic_flow_hash, is_symmetric_and_spreads) {
    for (bool ipv6 : {false, true}) {
        std::vector<int> bucket(8);
        for (uint32_t i = 0; i < 8000; i++) {
            Packet p({.ipv6 = ipv6, .payload = 4}, i);
            size_t src = p.shape.l3() + (ipv6 ? 8 : 12), words = ipv6 ? 4 : 1, l4 = p.shape.l4();
            for (size_t w = 0; w < 2 * words; w++) // same hosts, only the client's port differs
                put32(p.bytes, src + 4 * w, 0x0a000000 + static_cast<uint32_t>(w));
            put16(p.bytes, l4, 30000 + i);
            put16(p.bytes, l4 + 2, 80);
            auto len = static_cast<uint32_t>(p.bytes.size());
            uint32_t hash = nic_flow_hash(p.bytes.data(), len);
            std::swap_ranges(p.bytes.begin() + static_cast<long>(src),
                             p.bytes.begin() + static_cast<long>(src + 4 * words),
                             p.bytes.begin() + static_cast<long>(src + 4 * words));
            std::swap_ranges(p.bytes.begin() + static_cast<long>(l4),
                             p.bytes.begin() + static_cast<long>(l4 + 2),
                             p.bytes.begin() + static_cast<long>(l4 + 2));
            ASSERT_EQ(nic_flow_hash(p.bytes.data(), len), hash);
            bucket[hash % 8]++;
        }
        for (int n : bucket)
            EXPECT_NEAR(n, 1000, 150);
    }
}

TEST(nic_flow_hash, keeps_fragments_of_a_datagram_together) {
    Packet first({.proto = kUdp, .payload = 100}, 1), second = first;
    put16(first.bytes, 14 + 6, 0x2000);
    put16(second.bytes, 14 + 6, 0x0010);
    put32(second.bytes, 34, 0x12345678); // payload where the first has its ports
    auto len = static_cast<uint32_t>(first.bytes.size());
    EXPECT_EQ(nic_flow_hash(first.bytes.data(), len), nic_flow_hash(second.bytes.data(), len));
}

TEST(nic_flow_hash, is_zero_for_other_protocols) {
    Bytes arp(60);
    put16(arp, 12, 0x0806);
    EXPECT_EQ(nic_flow_hash(arp.data(), 60), 0U);
    EXPECT_EQ(nic_flow_hash(arp.data(), 5), 0U);
}

TEST(nic_tx_error_name, names_all) {
    for (int e = 0; e < NIC_TX_ERRORS; e++)
        EXPECT_STRNE(nic_tx_error_name(static_cast<nic_tx_error>(e)), "unknown");
    EXPECT_STREQ(nic_tx_error_name(static_cast<nic_tx_error>(99)), "unknown");
}

} // namespace
