// SPDX-License-Identifier: MIT
// Copyright (c) The eTran artifact authors
//
// What a 25 Gbit/s NIC does to frames on their way between the driver and the wire: checksum
// insertion, TCP segmentation (TSO), checksum validation, flow hashing.
//
// Pure functions over bytes: no allocation, no clock, no global state, no types of the machine
// emulator, so that they can be tested on their own. Everything that comes from the guest is
// untrusted: a malformed request is refused with a reason, never followed. Not thread-safe on the
// same struct nic_tx; otherwise callable from any thread.
#ifndef NIC_OFFLOAD_H
#define NIC_OFFLOAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

// Longest packet a driver may hand over: an IP datagram of 65,535 bytes behind Ethernet and VLANs.
#define NIC_MAX_PACKET (14 + 8 + 65535)

// The driver's request, as in struct virtio_net_hdr but in host byte order.
// hdr_len of the original is not used: it is only a hint, and Linux does not put the length of
// the headers there.
struct nic_tx_request {
    bool csum;            // insert a checksum (VIRTIO_NET_HDR_F_NEEDS_CSUM)
    bool tso;             // cut into segments (any of the TCP gso_types; the IP version is parsed)
    uint16_t csum_start;  // bytes: where summing begins
    uint16_t csum_offset; // bytes from csum_start: where the checksum is written
    uint16_t gso_size;    // bytes of payload in each segment but the last
};

// Why a packet was refused. To add a reason: also extend nic_tx_error_name().
enum nic_tx_error {
    NIC_TX_OK,
    NIC_TX_TOO_SHORT,  // shorter than an Ethernet header
    NIC_TX_TOO_LONG,   // longer than NIC_MAX_PACKET, or a wire frame longer than the link takes
    NIC_TX_CSUM_RANGE, // csum_start or the checksum lies outside the packet
    NIC_TX_GSO_SIZE,   // gso_size is 0
    NIC_TX_GSO_PROTO,  // segmentation of something that is not IPv4 or IPv6
    NIC_TX_GSO_HEADER, // headers reach beyond the packet, or disagree with csum_start
    NIC_TX_ERRORS
};

// One packet on its way out. Filled by nic_tx_begin(); read-only for the caller.
struct nic_tx {
    const uint8_t *pkt;   // borrowed: must stay valid until the last frame was taken
    uint32_t len;         // bytes of the packet
    uint32_t payload;     // bytes behind the headers (only with tso)
    uint32_t sent;        // of these, already in frames
    uint16_t segment;     // index of the next frame
    uint16_t l3, l4, hdr; // bytes: start of IP, start of TCP, length of all headers (only with tso)
    uint16_t mss;         // bytes of payload per frame (only with tso)
    uint16_t csum_at;     // where the checksum goes
    uint16_t csum_start;
    uint8_t proto; // of the transport (only with tso)
    bool csum, tso, ipv6, done;
};

// Checks a packet and prepares it for nic_tx_frame(). max_frame: longest frame the link takes,
// without FCS. Returns NIC_TX_OK, or the reason why nothing may be sent.
enum nic_tx_error nic_tx_begin(struct nic_tx *t, const struct nic_tx_request *r, const uint8_t *pkt,
                               uint32_t len, uint32_t max_frame);

// Bytes of the next wire frame; 0 when the packet is completely sent.
uint32_t nic_tx_frame_len(const struct nic_tx *t);

// Writes the next wire frame to `out`, which has nic_tx_frame_len() bytes of room, and returns its
// length; 0 when there is none left.
//
// Segments are what a TSO NIC makes: all headers copied; IP lengths, IPv4 identification (+1 per
// segment) and header checksum renewed; the 32-bit number at byte 4 of the transport header
// advanced by the payload sent before; PSH and FIN only on the last segment, CWR only on the
// first. Only the layout of a TCP header is assumed, not the protocol number, so a transport that
// borrows that layout (Homa, protocol 146) is segmented as by real NICs. The transport
// checksum is written only if the request asked for one.
uint32_t nic_tx_frame(struct nic_tx *t, uint8_t *out);

// The transport checksum of a received frame.
enum nic_rx_csum {
    NIC_RX_CSUM_NONE, // no TCP or UDP checksum to check (other protocol, fragment, malformed)
    NIC_RX_CSUM_GOOD,
    NIC_RX_CSUM_BAD,
};
enum nic_rx_csum nic_rx_check(const uint8_t *frame, uint32_t len);

// A hash of the flow that is the same for both directions: addresses, protocol and, for
// transports with ports at byte 0 (TCP, UDP, DCCP, SCTP, Homa) that are not fragmented, ports.
// 0 for what is not IP.
uint32_t nic_flow_hash(const uint8_t *frame, uint32_t len);

// For messages and counters, in lower case without spaces, such as "gso-size".
const char *nic_tx_error_name(enum nic_tx_error e);

#ifdef __cplusplus
}
#endif

#endif
