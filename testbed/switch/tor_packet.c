/* SPDX-License-Identifier: MIT
 * Copyright (c) The eTran artifact authors
 */
#include "tor_packet.h"

#include <string.h>

enum {
    ETH_HEADER = 14,
    TYPE_IPV4 = 0x0800,
    TYPE_IPV6 = 0x86dd,
    TYPE_VLAN = 0x8100,
    TYPE_QINQ = 0x88a8,
    PROTO_TCP = 6,
    PROTO_UDP = 17,
    PROTO_NONE = 255,
    IPV4_HEADER = 20,
    IPV6_HEADER = 40,
};

static uint32_t get16(const uint8_t *p) {
    return (uint32_t)p[0] << 8 | p[1];
}

static void put16(uint8_t *p, uint32_t v) {
    p[0] = (uint8_t)(v >> 8);
    p[1] = (uint8_t)v;
}

static uint32_t min32(uint32_t a, uint32_t b) {
    return a < b ? a : b;
}

static void parse_ipv4(tor_packet *p, const uint8_t *frame, uint32_t len, uint32_t off) {
    if (len - off < IPV4_HEADER || frame[off] >> 4 != 4)
        return;
    uint32_t header = (frame[off] & 15u) * 4;
    uint32_t total = get16(frame + off + 2);
    if (header < IPV4_HEADER || total < header || len - off < header)
        return;
    p->ip = off;
    p->l4 = off + header;
    p->end = off + min32(total, len - off);
    p->version = 4;
    p->proto = (get16(frame + off + 6) & 0x1fff) ? PROTO_NONE : frame[off + 9];
    p->dscp = frame[off + 1] >> 2;
    p->ecn = frame[off + 1] & 3;
}

static void parse_ipv6(tor_packet *p, const uint8_t *frame, uint32_t len, uint32_t off) {
    if (len - off < IPV6_HEADER || frame[off] >> 4 != 6)
        return;
    uint32_t traffic_class = get16(frame + off) >> 4 & 0xff;
    p->ip = off;
    p->l4 = off + IPV6_HEADER;
    p->end = min32(p->l4 + get16(frame + off + 4), len);
    p->version = 6;
    p->proto = frame[off + 6];
    p->dscp = (uint8_t)(traffic_class >> 2);
    p->ecn = traffic_class & 3;
}

void tor_packet_parse(tor_packet *p, const uint8_t *frame, uint32_t len) {
    uint32_t off = ETH_HEADER;
    uint32_t type = get16(frame + off - 2);

    memset(p, 0, sizeof(*p));
    for (int tags = 0; tags < 2 && (type == TYPE_VLAN || type == TYPE_QINQ); tags++) {
        if (len - off < 4)
            return;
        type = get16(frame + off + 2);
        off += 4;
    }
    if (type == TYPE_IPV4)
        parse_ipv4(p, frame, len, off);
    else if (type == TYPE_IPV6)
        parse_ipv6(p, frame, len, off);
}

void tor_packet_mark_ce(const tor_packet *p, uint8_t *frame) {
    uint8_t *ip = frame + p->ip;

    if (p->version == 6) {
        ip[1] |= TOR_ECN_CE << 4;
        return;
    }
    /* RFC 1624, equation 3: only the first word of the header changes. */
    uint32_t before = get16(ip);
    ip[1] |= TOR_ECN_CE;
    uint32_t sum = (~get16(ip + 10) & 0xffff) + (~before & 0xffff) + get16(ip);
    sum = (sum & 0xffff) + (sum >> 16);
    sum = (sum & 0xffff) + (sum >> 16);
    put16(ip + 10, ~sum & 0xffff);
}

/* Bytes of the transport header that starts at off, 0 = unknown or cut short. */
static uint32_t transport_header(const tor_packet *p, const uint8_t *frame) {
    uint32_t left = p->end - p->l4;

    if (p->proto == PROTO_UDP && left >= 8)
        return 8;
    if (p->proto == PROTO_TCP && left >= 20)
        return (frame[p->l4 + 12] >> 4) * 4u;
    return 0;
}

bool tor_packet_corrupt(uint8_t *frame, uint32_t len, uint64_t random) {
    tor_packet p;
    uint32_t from = ETH_HEADER, to = len;

    if (len < ETH_HEADER)
        return false;
    tor_packet_parse(&p, frame, len);
    if (p.version && p.end > p.l4) {
        uint32_t header = transport_header(&p, frame);
        from = p.l4;
        to = p.end;
        if (header < to - from)
            from += header;
    } else if (p.version) {
        from = p.ip;
        to = p.l4;
    }
    uint32_t span = to - from;
    if (!span)
        return false;
    uint32_t at = from + (uint32_t)((random >> 8) % span);
    frame[at] ^= (uint8_t)(1 + (random & 0xff) % 255);
    return true;
}
