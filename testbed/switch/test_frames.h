/* SPDX-License-Identifier: MIT
 * Copyright (c) The eTran artifact authors
 *
 * Frames for tests: made from a few fields, with real checksums, and taken apart again.
 */
#ifndef ETRAN_TEST_FRAMES_H
#define ETRAN_TEST_FRAMES_H

#include <array>
#include <cstdint>
#include <vector>

namespace etran_test {

using Bytes = std::vector<uint8_t>;
using Mac = std::array<uint8_t, 6>;

inline constexpr Mac kBroadcast = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff};

/* The address of the node at `port`, as the launcher gives them. */
inline Mac node_mac(unsigned port) {
    return {0x52, 0x54, 0, 0, 0, static_cast<uint8_t>(port + 1)};
}

struct FrameSpec {
    Mac dst = node_mac(1);
    Mac src = node_mac(0);
    int vlan = -1;   // VLAN id, -1 = untagged
    int version = 4; // 4, 6, or 0 = ARP-like
    uint8_t dscp = 0;
    uint8_t ecn = 0;
    uint8_t proto = 17; // 17 UDP, 6 TCP, else no transport header
    uint32_t len = 100; // whole frame; what headers do not need is payload
    uint64_t tag = 0;   // first bytes of the payload, little endian, as far as there is room
};

Bytes make_frame(const FrameSpec &spec);

uint8_t ecn_of(const Bytes &frame);
bool ip_checksum_ok(const Bytes &frame);        // true for IPv6
bool transport_checksum_ok(const Bytes &frame); // UDP or TCP
uint64_t tag_of(const Bytes &frame);            // for UDP frames made with a tag

} // namespace etran_test

#endif
