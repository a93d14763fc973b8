// SPDX-License-Identifier: GPL-2.0-or-later
// Copyright (c) The eTran artifact authors
/*
 * vtnet, inside: what its three files share.
 *
 *   vtnet.c        life cycle: options, attach and detach, statistics
 *   vtnet_nic.c    frames: from the guest to the network and back
 *   vtnet_clock.c  time: join, leave, waiting for the network, idle jumps
 *
 * Threads: everything runs in the vCPU thread (rr, single-threaded TCG), in timers of
 * QEMU_CLOCK_VIRTUAL, in register accesses of the guest, or in the three functions of IcountSync.
 * Only the life cycle runs in the main thread, while no CPU runs. Nothing may depend on host time,
 * except freerun and what happens while idle outside an epoch.
 */
#ifndef NET_VTNET_INT_H
#define NET_VTNET_INT_H

#include "net/net.h"
#include "qemu/notify.h"
#include "qemu/timer.h"

#include "nic_offload.h"
#include "vt_core.h"
#include "vtnet_control.h"

#define VTNET_MAX_QUEUES 8
#define VTNET_MIN_FRAME 60 /* without FCS; shorter ones are padded */
#define VTNET_MAX_VNET_HDR 32

enum tx_state {
    TX_EMPTY,
    TX_ACTIVE, /* `tx` holds a packet of which frames are still to be sent */
    TX_DONE,   /* all sent; the completion is still to be told */
};

typedef struct VtNet VtNet;

typedef struct VtNetQueue {
    NetClientState nc;
    VtNet *net;
    bool vnet_hdr; /* the NIC puts a virtio-net header before each packet */
    enum tx_state state;
    bool orphan; /* the NIC has forgotten the packet in `tx`; what it offers next is another one */
    struct nic_tx tx;
    uint32_t frame_len; /* of `frame`, 0 = none built */
    uint8_t *frame;     /* next wire frame: frame_max bytes */
    uint8_t *packet;    /* what `tx` is made from: NIC_MAX_PACKET bytes */
} VtNetQueue;

/* Counts since start, for the statistics file. To add one: also write it in vtnet_write_stats(). */
typedef struct VtNetStats {
    uint64_t tx_packets, tx_frames, tx_lost;
    uint64_t tx_refused[NIC_TX_ERRORS];
    uint64_t rx_frames, rx_csum_good, rx_csum_bad;
    uint64_t rx_no_buffer; /* lost: the guest had no receive buffer posted */
    uint64_t rx_not_ready; /* lost: the driver was not up */
    uint64_t joins, leaves, control_errors;
} VtNetStats;

struct VtNet {
    vt_vm *vm;
    vt_info info;
    VtNetQueue *queue[VTNET_MAX_QUEUES];
    int queues, next_tx;
    bool rx_csum;  /* the guest takes "checksum is good" (GUEST_CSUM) */
    bool freerun;  /* pass frames outside epochs */
    bool waiting;  /* inside a vt_*() call that let go of the BQL */
    bool pending;  /* a vt_*() call returned VT_AGAIN and has to be repeated before any other */
    bool leaving;  /* vt_leave() was called and has not succeeded yet */
    int64_t zero;  /* QEMU_CLOCK_VIRTUAL at time 0 of the epoch */
    int64_t stop;  /* QEMU_CLOCK_VIRTUAL before which the CPUs may execute */
    int64_t ahead; /* free running: idle virtual ns not yet paid for with host time */
    uint32_t epochs;
    uint8_t op; /* control request that vtnet_run() is to handle, 0 = none */
    uint8_t requester[6];
    uint32_t cookie;
    uint8_t *rx; /* header and frame on their way to the guest */
    QEMUTimer *tx_timer;
    Notifier exit;
    Error *blocker;
    char *stats_path;
    VtNetStats stats;
};

/* At most one: the machine has one clock. */
extern VtNet *vtnet;

/* The guest's clock; in the epoch, `now` of vt_core.h is this minus `zero`. */
static inline int64_t vtnet_clock(void) {
    return qemu_clock_get_ns(QEMU_CLOCK_VIRTUAL);
}

/* The network is gone: says so and ends the process with status 1. */
G_NORETURN void vtnet_fatal(VtNet *s, const char *doing);

/* Writes the statistics file, if one was asked for. */
void vtnet_write_stats(VtNet *s);

/* Gives the guest one frame (a wire frame, 14 bytes or more), or loses and counts it. */
void vtnet_rx_frame(VtNet *s, const uint8_t *data, uint32_t len);

/* Gives the guest all frames that have arrived by `now` (epoch time; INT64_MAX = all). */
void vtnet_rx(VtNet *s, int64_t now);

/* NetClientInfo.receive and .receive_iov: a packet from the guest. */
ssize_t vtnet_receive(NetClientState *nc, const uint8_t *buf, size_t size);
ssize_t vtnet_receive_iov(NetClientState *nc, const struct iovec *iov, int iovcnt);

/* Callback of tx_timer: the MAC has room again. */
void vtnet_tx_timer(void *opaque);

/* A control frame came from the guest. Handled before the guest executes anything more. */
void vtnet_control_request(VtNet *s, const uint8_t *frame, uint32_t len);

/* Binds the machine's clock to vtnet_run() and the others; false = impossible, errp says why. */
bool vtnet_bind_clock(Error **errp);

#endif
