// SPDX-License-Identifier: MIT
// Copyright (c) The eTran artifact authors
#include "nic_offload.h"

#include <string.h>

enum {
    ETH_HEADER = 14,
    VLAN_TAG = 4,
    MAX_VLANS = 2,
    IPV4_HEADER = 20,
    IPV6_HEADER = 40,
    TCP_HEADER = 20,
    UDP_HEADER = 8,
    MAX_EXTENSIONS = 8, // IPv6 extension headers followed before giving up
};

enum { TYPE_IPV4 = 0x0800, TYPE_IPV6 = 0x86dd, TYPE_VLAN = 0x8100, TYPE_QINQ = 0x88a8 };

enum {
    PROTO_HOP_BY_HOP = 0,
    PROTO_TCP = 6,
    PROTO_UDP = 17,
    PROTO_DCCP = 33,
    PROTO_ROUTING = 43,
    PROTO_FRAGMENT = 44,
    PROTO_DEST_OPTIONS = 60,
    PROTO_SCTP = 132,
    PROTO_HOMA = 146,
};

enum { TCP_SEQ = 4, TCP_DOFF = 12, TCP_FLAGS = 13, TCP_FIN = 0x01, TCP_PSH = 0x08, TCP_CWR = 0x80 };

struct headers {
    bool ip, ipv6;
    bool fragment;
    uint8_t proto;
    uint16_t l3, l4;
    uint32_t end; // of the IP datagram, as its header says
};

static uint16_t get16(const uint8_t *p) {
    return (uint16_t)(p[0] << 8 | p[1]);
}

static uint32_t get32(const uint8_t *p) {
    return (uint32_t)get16(p) << 16 | get16(p + 2);
}

static void put16(uint8_t *p, uint32_t v) {
    p[0] = (uint8_t)(v >> 8);
    p[1] = (uint8_t)v;
}

static void put32(uint8_t *p, uint32_t v) {
    put16(p, v >> 16);
    put16(p + 2, v);
}

// One's complement sum of bytes taken as big-endian 16-bit words. Summed in the host's byte order,
// eight bytes at a time, and swapped at the end: the sum is the same (RFC 1071, section 2).
static uint32_t sum(const uint8_t *p, uint32_t len) {
    uint64_t total = 0;

    for (; len >= 8; p += 8, len -= 8) {
        uint64_t v;

        memcpy(&v, p, 8);
        total += v;
        total += total < v;
    }
    total = (total >> 32) + (total & 0xffffffff);
    for (; len >= 2; p += 2, len -= 2) {
        uint16_t v;

        memcpy(&v, p, 2);
        total += v;
    }
    if (len) {
        uint16_t v = 0;

        memcpy(&v, p, 1);
        total += v;
    }
    while (total >> 16)
        total = (total >> 16) + (total & 0xffff);

    uint16_t folded = (uint16_t)total;
    uint8_t bytes[2];

    memcpy(bytes, &folded, 2);
    return get16(bytes);
}

static uint16_t fold(uint32_t total) {
    while (total >> 16)
        total = (total >> 16) + (total & 0xffff);
    return (uint16_t)total;
}

// 0 means "no checksum" in UDP; its complement says the same sum.
static uint16_t finish(uint32_t total) {
    uint16_t c = (uint16_t)~fold(total);

    return c ? c : 0xffff;
}

static uint32_t pseudo_header(const uint8_t *ip, bool ipv6, uint8_t proto, uint32_t l4_len) {
    uint32_t addresses = ipv6 ? sum(ip + 8, 32) : sum(ip + 12, 8);

    return addresses + proto + (l4_len >> 16) + (l4_len & 0xffff);
}

// Follows IPv6 extension headers that may precede a transport header.
static bool skip_extensions(const uint8_t *f, uint32_t len, struct headers *h) {
    uint32_t at = h->l4;

    for (int i = 0; i < MAX_EXTENSIONS; i++) {
        if (h->proto != PROTO_HOP_BY_HOP && h->proto != PROTO_ROUTING &&
            h->proto != PROTO_DEST_OPTIONS && h->proto != PROTO_FRAGMENT) {
            h->l4 = (uint16_t)at;
            return true;
        }
        if (at + 8 > len)
            return false;

        uint32_t size = 8;

        if (h->proto == PROTO_FRAGMENT)
            h->fragment = h->fragment || (get16(f + at + 2) & 0xfff9) != 0;
        else
            size += 8u * f[at + 1];
        h->proto = f[at];
        at += size;
        if (at > len)
            return false;
    }
    return false;
}

// Finds IP and transport header. False: not IP, or cut off before the transport header.
static bool parse(const uint8_t *f, uint32_t len, struct headers *h) {
    uint32_t at = ETH_HEADER;

    memset(h, 0, sizeof(*h));
    if (len < ETH_HEADER)
        return false;

    uint16_t type = get16(f + 12);

    for (int i = 0; i < MAX_VLANS && (type == TYPE_VLAN || type == TYPE_QINQ); i++) {
        if (len < at + VLAN_TAG)
            return false;
        type = get16(f + at + 2);
        at += VLAN_TAG;
    }
    h->l3 = (uint16_t)at;
    if (type == TYPE_IPV4) {
        if (len < at + IPV4_HEADER || f[at] >> 4 != 4 || (f[at] & 15) < 5)
            return false;
        h->l4 = (uint16_t)(at + 4u * (f[at] & 15));
        h->proto = f[at + 9];
        h->fragment = (get16(f + at + 6) & 0x3fff) != 0;
        h->end = at + get16(f + at + 2);
    } else if (type == TYPE_IPV6) {
        if (len < at + IPV6_HEADER || f[at] >> 4 != 6)
            return false;
        h->ipv6 = true;
        h->l4 = (uint16_t)(at + IPV6_HEADER);
        h->proto = f[at + 6];
        h->end = at + IPV6_HEADER + get16(f + at + 4);
        if (!skip_extensions(f, len, h))
            return false;
    } else {
        return false;
    }
    h->ip = h->l4 <= len;
    return h->ip;
}

static enum nic_tx_error begin_tso(struct nic_tx *t, const struct nic_tx_request *r,
                                   uint32_t max_frame) {
    struct headers h;

    if (r->gso_size == 0)
        return NIC_TX_GSO_SIZE;
    if (!parse(t->pkt, t->len, &h) || h.fragment)
        return NIC_TX_GSO_PROTO;
    if (h.l4 + (uint32_t)TCP_HEADER > t->len)
        return NIC_TX_GSO_HEADER;

    uint32_t transport = (t->pkt[h.l4 + TCP_DOFF] >> 4) * 4u;

    if (transport < TCP_HEADER || h.l4 + transport > t->len)
        return NIC_TX_GSO_HEADER;
    if (r->csum && (r->csum_start != h.l4 || r->csum_offset + 2u > transport))
        return NIC_TX_GSO_HEADER;
    t->l3 = h.l3;
    t->l4 = h.l4;
    t->ipv6 = h.ipv6;
    t->proto = h.proto;
    t->hdr = (uint16_t)(h.l4 + transport);
    t->mss = r->gso_size;
    t->payload = t->len - t->hdr;

    uint32_t first = t->payload < t->mss ? t->payload : t->mss;

    return t->hdr + first > max_frame ? NIC_TX_TOO_LONG : NIC_TX_OK;
}

enum nic_tx_error nic_tx_begin(struct nic_tx *t, const struct nic_tx_request *r, const uint8_t *pkt,
                               uint32_t len, uint32_t max_frame) {
    memset(t, 0, sizeof(*t));
    t->pkt = pkt;
    t->len = len;
    t->done = true; // until it is known to be sound
    if (len < ETH_HEADER)
        return NIC_TX_TOO_SHORT;
    if (len > NIC_MAX_PACKET)
        return NIC_TX_TOO_LONG;
    t->csum = r->csum;
    t->tso = r->tso;
    if (r->csum) {
        if (r->csum_start < ETH_HEADER || (uint32_t)r->csum_start + r->csum_offset + 2 > len)
            return NIC_TX_CSUM_RANGE;
        t->csum_start = r->csum_start;
        t->csum_at = (uint16_t)(r->csum_start + r->csum_offset);
    }
    if (r->tso) {
        enum nic_tx_error e = begin_tso(t, r, max_frame);

        if (e != NIC_TX_OK)
            return e;
    } else if (len > max_frame) {
        return NIC_TX_TOO_LONG;
    }
    t->done = false;
    return NIC_TX_OK;
}

static uint32_t next_payload(const struct nic_tx *t) {
    uint32_t left = t->payload - t->sent;

    return left < t->mss ? left : t->mss;
}

uint32_t nic_tx_frame_len(const struct nic_tx *t) {
    if (t->done)
        return 0;
    return t->tso ? t->hdr + next_payload(t) : t->len;
}

// The frame is already copied; renews what differs between the segments of a packet.
static void edit_segment(const struct nic_tx *t, uint8_t *f, uint32_t payload) {
    uint8_t *ip = f + t->l3, *tcp = f + t->l4;
    uint32_t l4_len = t->hdr - t->l4 + payload;
    bool last = t->sent + payload == t->payload;

    if (t->ipv6) {
        put16(ip + 4, t->l4 - t->l3 - IPV6_HEADER + l4_len);
    } else {
        put16(ip + 2, t->l4 - t->l3 + l4_len);
        put16(ip + 4, get16(ip + 4) + t->segment);
        put16(ip + 10, 0);
        put16(ip + 10, (uint16_t)~sum(ip, t->l4 - t->l3));
    }
    put32(tcp + TCP_SEQ, get32(tcp + TCP_SEQ) + t->sent);
    if (!last)
        tcp[TCP_FLAGS] &= (uint8_t) ~(TCP_FIN | TCP_PSH);
    if (t->segment > 0)
        tcp[TCP_FLAGS] &= (uint8_t)~TCP_CWR;
    if (t->csum) {
        put16(f + t->csum_at, 0);
        put16(f + t->csum_at,
              finish(sum(tcp, l4_len) + pseudo_header(ip, t->ipv6, t->proto, l4_len)));
    }
}

uint32_t nic_tx_frame(struct nic_tx *t, uint8_t *out) {
    if (t->done)
        return 0;
    if (!t->tso) {
        memcpy(out, t->pkt, t->len);
        // The driver has put the sum of the pseudo header where the checksum goes.
        if (t->csum)
            put16(out + t->csum_at, finish(sum(out + t->csum_start, t->len - t->csum_start)));
        t->done = true;
        return t->len;
    }

    uint32_t payload = next_payload(t);

    memcpy(out, t->pkt, t->hdr);
    memcpy(out + t->hdr, t->pkt + t->hdr + t->sent, payload);
    edit_segment(t, out, payload);
    t->sent += payload;
    t->segment++;
    t->done = t->sent == t->payload;
    return t->hdr + payload;
}

enum nic_rx_csum nic_rx_check(const uint8_t *f, uint32_t len) {
    struct headers h;

    if (!parse(f, len, &h) || h.fragment || h.end > len || h.end < h.l4)
        return NIC_RX_CSUM_NONE;

    uint32_t l4_len = h.end - h.l4;

    if (h.proto == PROTO_UDP) {
        if (l4_len < UDP_HEADER || get16(f + h.l4 + 4) != l4_len)
            return NIC_RX_CSUM_NONE;
        if (get16(f + h.l4 + 6) == 0)
            return h.ipv6 ? NIC_RX_CSUM_BAD : NIC_RX_CSUM_GOOD; // IPv4 allows to leave it out
    } else if (h.proto != PROTO_TCP || l4_len < TCP_HEADER) {
        return NIC_RX_CSUM_NONE;
    }
    if (!h.ipv6 && fold(sum(f + h.l3, h.l4 - h.l3)) != 0xffff)
        return NIC_RX_CSUM_NONE; // the stack finds the bad IP header
    return fold(sum(f + h.l4, l4_len) + pseudo_header(f + h.l3, h.ipv6, h.proto, l4_len)) == 0xffff
               ? NIC_RX_CSUM_GOOD
               : NIC_RX_CSUM_BAD;
}

static uint32_t mix(uint32_t v) {
    v ^= v >> 16;
    v *= 0x7feb352d;
    v ^= v >> 15;
    v *= 0x846ca68b;
    return v ^ v >> 16;
}

uint32_t nic_flow_hash(const uint8_t *f, uint32_t len) {
    struct headers h;
    uint32_t hash, words;

    if (!parse(f, len, &h))
        return 0;
    words = h.ipv6 ? 4 : 1;
    hash = h.proto;
    // Sums and products of both ends do not depend on which end is the source.
    for (uint32_t i = 0; i < words; i++) {
        const uint8_t *src = f + h.l3 + (h.ipv6 ? 8 : 12) + 4 * i;
        uint32_t a = mix(get32(src)), b = mix(get32(src + 4 * words));

        hash = mix(hash ^ (a + b));
    }

    bool ports = h.proto == PROTO_TCP || h.proto == PROTO_UDP || h.proto == PROTO_DCCP ||
                 h.proto == PROTO_SCTP || h.proto == PROTO_HOMA;

    if (ports && !h.fragment && h.l4 + 4u <= len)
        hash = mix(hash ^ (mix(get16(f + h.l4)) + mix(get16(f + h.l4 + 2))));
    return hash;
}

const char *nic_tx_error_name(enum nic_tx_error e) {
    static const char *const names[NIC_TX_ERRORS] = {
        [NIC_TX_OK] = "ok",
        [NIC_TX_TOO_SHORT] = "too-short",
        [NIC_TX_TOO_LONG] = "too-long",
        [NIC_TX_CSUM_RANGE] = "csum-range",
        [NIC_TX_GSO_SIZE] = "gso-size",
        [NIC_TX_GSO_PROTO] = "gso-protocol",
        [NIC_TX_GSO_HEADER] = "gso-header",
    };

    return (unsigned)e < NIC_TX_ERRORS ? names[e] : "unknown";
}
