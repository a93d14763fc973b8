/* SPDX-License-Identifier: MIT
 * Copyright (c) The eTran artifact authors
 *
 * What the switch looks at in a frame. Pure functions on bytes; no access beyond `len`, whatever
 * they hold.
 */
#ifndef ETRAN_TOR_PACKET_H
#define ETRAN_TOR_PACKET_H

#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum { TOR_ECN_NOT_ECT = 0, TOR_ECN_ECT1 = 1, TOR_ECN_ECT0 = 2, TOR_ECN_CE = 3 };

/* Where the network header is. `ip` = 0: not IP, or cut short; then DSCP and ECN are 0. */
typedef struct tor_packet {
    uint32_t ip;     /* offset of the IP header */
    uint32_t l4;     /* offset behind the IP header (IPv6: behind the fixed header), <= end */
    uint32_t end;    /* offset behind the IP packet, without Ethernet padding, <= len */
    uint8_t version; /* 4, 6 or 0 */
    uint8_t proto;   /* IP protocol of what follows; 255 for all but the first fragment */
    uint8_t dscp;
    uint8_t ecn;
} tor_packet;

/* Looks through up to two VLAN tags. len >= 14. */
void tor_packet_parse(tor_packet *p, const uint8_t *frame, uint32_t len);

/* Sets ECN to CE (p: parsed from this frame; version 4 or 6) and keeps an IPv4 header checksum as
 * right as it was. */
void tor_packet_mark_ce(const tor_packet *p, uint8_t *frame);

/*
 * Changes one byte of the frame, chosen by `random`: of the TCP or UDP payload; if there is none,
 * of the transport header; of the IP payload for other protocols; of what follows the Ethernet
 * header if the frame is not IP. One changed byte always changes an Internet checksum that covers
 * it. False: there is no such byte (nothing changed).
 */
bool tor_packet_corrupt(uint8_t *frame, uint32_t len, uint64_t random);

#ifdef __cplusplus
}
#endif
#endif
