// SPDX-License-Identifier: MIT
// Copyright (c) The eTran artifact authors
//
// How a program in the guest tells its virtual NIC to enter and leave synchronised virtual time.
// Included by both sides: QEMU's net/vtnet.c and etran-agent.
//
// The program sends one Ethernet frame through an AF_PACKET socket on the vtnet interface: any
// destination address, ethertype VTNET_ETHERTYPE, then struct vtnet_control, zero-padded to 60
// bytes. The NIC keeps it (it never reaches the network) and answers with one frame of the same
// ethertype from VTNET_CONTROL_MAC to the sender's address: the same struct with VTNET_OP_REPLY
// added to `op`, the cookie echoed, and the rest filled in.
//
//   join   The guest's clock stops until every port of the network has joined; that moment is time
//          0 of the epoch on all ports. The answer arrives at time 0.
//   leave  The guest's clock stops until every port has left; the answer says when this one did.
//          From then on the clocks are on their own again.
//   query  Answered at once. A NIC of another kind never answers: that is how to tell.
//
// The clock stands still while the NIC waits, so a guest cannot wait too long in its own time;
// whoever started the machines must bound the real time. When the epoch cannot be (a machine died),
// no answer comes: QEMU prints the reason and exits with status 1.
//
// To change this protocol: raise VTNET_VERSION, and adapt "Joining and leaving" in ../README.md.
#ifndef VTNET_CONTROL_H
#define VTNET_CONTROL_H

#include <assert.h>
#include <stddef.h>
#include <stdint.h>

#define VTNET_ETHERTYPE 0x88b5 // IEEE 802 local experimental ethertype 1
#define VTNET_MAGIC 0x65547674u
#define VTNET_VERSION 1u

// Locally administered; source address of the answers.
#define VTNET_CONTROL_MAC                                                                          \
    { 0x02, 0x65, 0x54, 0x76, 0x74, 0x00 }

enum vtnet_op {
    VTNET_OP_JOIN = 1,
    VTNET_OP_LEAVE = 2,
    VTNET_OP_QUERY = 3,
    VTNET_OP_REPLY = 0x80, // added to the op of the request
};

enum vtnet_control_status {
    VTNET_STATUS_OK = 0,
    VTNET_STATUS_VERSION = 1, // the NIC speaks the version in `version`, not the requested one
    VTNET_STATUS_OP = 2,      // no such op
    VTNET_STATUS_STATE = 3,   // join while in an epoch, leave while not in one
};

// Follows the Ethernet header. All numbers in network byte order. A request sets the first four
// fields (status 0), the rest is 0 and ignored.
struct vtnet_control {
    uint32_t magic;
    uint8_t version;
    uint8_t op;
    uint16_t status;
    uint32_t cookie;
    uint32_t epoch;      // number of the current epoch, or of the last one; from 1, 0 = none yet
    uint32_t port;       // of this machine
    uint32_t ports;      // of the network
    uint64_t tsc_zero;   // the guest's TSC at time 0 of the epoch; it counts nanoseconds (1 GHz)
    uint64_t now_ns;     // time in the epoch when the answer was made
    uint32_t in_epoch;   // 1 = the clock is synchronised now
    uint32_t rate_mbps;  // line rate of the port
    uint32_t latency_ns; // of one link; a frame crosses two
    uint32_t reserved;
};

static_assert(sizeof(struct vtnet_control) == 56, "struct vtnet_control is a wire format");
static_assert(offsetof(struct vtnet_control, tsc_zero) == 24, "no hidden padding");

#endif
