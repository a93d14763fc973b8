/* SPDX-License-Identifier: MIT
 * Copyright (c) The eTran artifact authors
 */
#include "test_frames.h"

#include <algorithm>

namespace etran_test {
namespace {

void put16(Bytes &b, size_t at, unsigned v) {
    b[at] = static_cast<uint8_t>(v >> 8);
    b[at + 1] = static_cast<uint8_t>(v);
}

unsigned get16(const Bytes &b, size_t at) {
    return static_cast<unsigned>(b[at]) << 8 | b[at + 1];
}

uint32_t sum(const Bytes &b, size_t from, size_t to, uint32_t s = 0) {
    for (size_t i = from; i < to; i++)
        s += (i - from) % 2 ? b[i] : static_cast<uint32_t>(b[i]) << 8;
    return s;
}

unsigned fold(uint32_t s) {
    while (s >> 16)
        s = (s & 0xffff) + (s >> 16);
    return s;
}

struct Offsets {
    size_t ip = 14, l4 = 0, end = 0;
    int version = 0;
    uint8_t proto = 0;
};

Offsets find(const Bytes &b) {
    Offsets o;
    unsigned type = get16(b, 12);
    if (type == 0x8100) {
        type = get16(b, 16);
        o.ip = 18;
    }
    if (type == 0x0800) {
        o.version = 4;
        o.l4 = o.ip + (b[o.ip] & 15) * 4;
        o.end = o.ip + get16(b, o.ip + 2);
        o.proto = b[o.ip + 9];
    } else if (type == 0x86dd) {
        o.version = 6;
        o.l4 = o.ip + 40;
        o.end = o.l4 + get16(b, o.ip + 4);
        o.proto = b[o.ip + 6];
    }
    return o;
}

uint32_t pseudo_header(const Bytes &b, const Offsets &o) {
    uint32_t s = o.proto + static_cast<uint32_t>(o.end - o.l4);
    return o.version == 4 ? sum(b, o.ip + 12, o.ip + 20, s) : sum(b, o.ip + 8, o.ip + 40, s);
}

size_t transport_header(uint8_t proto) {
    return proto == 17 ? 8 : proto == 6 ? 20 : 0;
}

} // namespace

Bytes make_frame(const FrameSpec &spec) {
    size_t ip = spec.vlan >= 0 ? 18 : 14;
    size_t l4 = ip + (spec.version == 4 ? 20 : spec.version == 6 ? 40 : 0);
    size_t payload = l4 + (spec.version ? transport_header(spec.proto) : 0);
    Bytes b(std::max<size_t>(spec.len, payload), 0);

    std::copy(spec.dst.begin(), spec.dst.end(), b.begin());
    std::copy(spec.src.begin(), spec.src.end(), b.begin() + 6);
    if (spec.vlan >= 0) {
        put16(b, 12, 0x8100);
        put16(b, 14, static_cast<unsigned>(spec.vlan));
    }
    put16(b, ip - 2, spec.version == 4 ? 0x0800 : spec.version == 6 ? 0x86dd : 0x0806);
    for (size_t i = payload; i < b.size(); i++)
        b[i] = i - payload < 8 ? static_cast<uint8_t>(spec.tag >> 8 * (i - payload))
                               : static_cast<uint8_t>(i * 7);
    unsigned tos = static_cast<unsigned>(spec.dscp << 2 | spec.ecn);
    if (spec.version == 4) {
        b[ip] = 0x45;
        b[ip + 1] = static_cast<uint8_t>(tos);
        put16(b, ip + 2, static_cast<unsigned>(b.size() - ip));
        b[ip + 8] = 64;
        b[ip + 9] = spec.proto;
        for (int i = 0; i < 8; i++)
            b[ip + 12 + i] = static_cast<uint8_t>(10 + i);
        put16(b, ip + 10, ~fold(sum(b, ip, ip + 20)) & 0xffff);
    } else if (spec.version == 6) {
        put16(b, ip, 0x6000 | tos << 4 | 3);
        put16(b, ip + 4, static_cast<unsigned>(b.size() - l4));
        b[ip + 6] = spec.proto;
        b[ip + 7] = 64;
        for (int i = 0; i < 32; i++)
            b[ip + 8 + i] = static_cast<uint8_t>(i + 1);
    } else {
        return b;
    }
    size_t checksum = spec.proto == 17 ? l4 + 6 : spec.proto == 6 ? l4 + 16 : 0;
    if (spec.proto == 17)
        put16(b, l4 + 4, static_cast<unsigned>(b.size() - l4));
    if (spec.proto == 6)
        b[l4 + 12] = 5 << 4;
    if (checksum) {
        Offsets o = find(b);
        unsigned c = ~fold(sum(b, o.l4, o.end, pseudo_header(b, o))) & 0xffff;
        put16(b, checksum, c ? c : 0xffff);
    }
    return b;
}

uint8_t ecn_of(const Bytes &frame) {
    Offsets o = find(frame);
    return o.version == 6 ? frame[o.ip + 1] >> 4 & 3 : frame[o.ip + 1] & 3;
}

bool ip_checksum_ok(const Bytes &frame) {
    Offsets o = find(frame);
    return o.version == 6 || (o.version == 4 && fold(sum(frame, o.ip, o.l4)) == 0xffff);
}

bool transport_checksum_ok(const Bytes &frame) {
    Offsets o = find(frame);
    return fold(sum(frame, o.l4, o.end, pseudo_header(frame, o))) == 0xffff;
}

uint64_t tag_of(const Bytes &frame) {
    Offsets o = find(frame);
    uint64_t tag = 0;
    for (size_t i = 0; i < 8 && o.l4 + 8 + i < frame.size(); i++)
        tag |= static_cast<uint64_t>(frame[o.l4 + 8 + i]) << 8 * i;
    return tag;
}

} // namespace etran_test
