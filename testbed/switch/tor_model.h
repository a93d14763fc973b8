/* SPDX-License-Identifier: MIT
 * Copyright (c) The eTran artifact authors
 *
 * Forwarding model of a top-of-rack switch: a pure discrete-event model.
 *
 * Same configuration and same inputs give the same outputs, always: no clock, no allocation, no
 * global state. All state is in one caller-given memory block without pointers, which may be mapped
 * at different addresses by several processes (one at a time may use it), or copied. What is
 * modelled, and what is not: README.md.
 *
 * Time: int64_t picoseconds since the caller's zero, so that a line rate has no rounding error per
 * frame worth mentioning (25 Gbit/s = 320 ps per byte).
 *
 * Use, in a loop:
 *     while (tor_next(t, until, &ev) > 0) handle(ev);    everything that happens before `until`
 *     tor_input(t, port, at, frame, len);                at >= until; frames of one instant in port
 * order `until` must be *safe*: the caller knows every frame that is complete at the switch before
 * it. A frame's departure is decided when the model reaches the start of its transmission, not when
 * it is enqueued, because a frame of higher priority may arrive in between.
 *
 * Order of what happens at one instant: arrivals (in the order of tor_input), periodic samples,
 * frames whose extra delay ends (in the order in which they were delayed), starts of transmission
 * (by port).
 *
 * Threads: none; the caller serialises. Robustness: the block may be garbled at any time by
 * somebody else who has it mapped; results are then arbitrary, but no access leaves the block and
 * every call returns.
 */
#ifndef ETRAN_TOR_MODEL_H
#define ETRAN_TOR_MODEL_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef int64_t tor_time; /* ps */

#define TOR_TIME_INF (INT64_MAX / 4)
#define TOR_NS INT64_C(1000) /* ps per ns */

enum {
    TOR_MAX_PORTS = 16,
    TOR_QUEUES = 8, /* per output port; 7 is served first */
    TOR_MAX_FAULTS = 64,
    TOR_DSCPS = 64,
    TOR_FRAME_MIN = 14,     /* shorter frames are malformed */
    TOR_FRAME_LIMIT = 9216, /* upper bound of tor_config.frame_max */
    TOR_LINE_MIN = 60,      /* a shorter frame takes as much line time and buffer as this */
    TOR_LINE_EXTRA = 24, /* preamble 8, FCS 4, inter-frame gap 12: bytes of line time per frame */
    TOR_DELAYED_MAX = 4096, /* frames that a `reorder` fault holds at once */
    TOR_FDB_SLOTS = 1024,
};

/*
 * Fault kinds. To add one: its name in switch_config.cc, its place in tor_fault.c (tor_fault_in,
 * tor_fault_out or tor_fault_line), a counter or drop cause below, a row of the table in README.md,
 * a case in tor_fault_test.cc.
 */
enum tor_fault_kind {
    TOR_FAULT_LOSS = 0,    /* the frame vanishes on the link */
    TOR_FAULT_DUP = 1,     /* the frame comes twice, at most once more per direction */
    TOR_FAULT_REORDER = 2, /* the frame is held for delay_ps, others pass it */
    TOR_FAULT_CORRUPT = 3, /* one byte of the transport payload is changed */
    TOR_FAULT_DOWN = 4,    /* the link carries nothing */
    TOR_FAULT_KINDS
};

enum tor_direction { TOR_IN = 1 /* VM to switch */, TOR_OUT = 2 /* switch to VM */ };

typedef struct tor_fault {
    uint32_t port;
    uint32_t kind;       /* enum tor_fault_kind */
    uint32_t directions; /* TOR_IN | TOR_OUT */
    uint32_t reserved;
    tor_time from; /* active in [from, to) */
    tor_time to;
    uint64_t p32;      /* probability per frame and direction, times 2^32 */
    tor_time delay_ps; /* REORDER: extra delay */
} tor_fault;

#define TOR_P32_ONE (UINT64_C(1) << 32)
#define TOR_ECN_OFF UINT64_MAX
#define TOR_SAMPLE_OFF INT64_C(0)
#define TOR_SAMPLE_EVENTS INT64_C(-1) /* a sample at each enqueue and dequeue */

typedef struct tor_config {
    uint32_t ports;     /* 2..TOR_MAX_PORTS */
    uint32_t frame_max; /* longest frame in bytes without FCS; longer ones are dropped */
    uint32_t rate_mbps[TOR_MAX_PORTS];
    tor_time latency_ps; /* propagation delay of one link */
    /* An ECT frame is marked CE when more than this many bytes wait in its queue (port and
     * priority) as it comes. */
    uint64_t ecn_k_bytes;
    uint64_t buffer_bytes;      /* all ports together; a frame that does not fit is dropped */
    uint64_t port_buffer_bytes; /* one output port, all its queues; likewise */
    tor_time sample_ps;         /* interval of queue samples, TOR_SAMPLE_OFF or TOR_SAMPLE_EVENTS */
    uint64_t seed;              /* of the faults; nothing else is random */
    uint8_t class_of_dscp[TOR_DSCPS]; /* 0..7; frames that are not IP count as DSCP 0 */
    uint32_t faults;
    uint32_t reserved;
    tor_fault fault[TOR_MAX_FAULTS];
} tor_config;

/* Why a frame was dropped. RUNT..IN_DOWN count at the port it came from, the rest at the port it
 * was going to. */
enum tor_drop {
    TOR_DROP_RUNT = 0,  /* shorter than TOR_FRAME_MIN */
    TOR_DROP_OVERSIZE,  /* longer than frame_max */
    TOR_DROP_SAME_PORT, /* destination is behind the port it came from */
    TOR_DROP_IN_LOSS,   /* fault */
    TOR_DROP_IN_DOWN,   /* fault */
    TOR_DROP_DELAYED,  /* fault: more than TOR_DELAYED_MAX frames held (at the port of the fault) */
    TOR_DROP_POOL,     /* shared buffer full */
    TOR_DROP_PORT,     /* share of the port full */
    TOR_DROP_OUT_LOSS, /* fault */
    TOR_DROP_OUT_DOWN, /* fault */
    TOR_DROPS
};

typedef struct tor_queue_counters {
    uint64_t enqueued_frames, enqueued_bytes;
    uint64_t tx_frames, tx_bytes;
    uint64_t marked;    /* frames changed from ECT to CE */
    uint64_t dropped;   /* POOL + PORT */
    uint64_t max_bytes; /* largest number of bytes waiting */
} tor_queue_counters;

/*
 * Counters of one port since tor_init. Bytes: frame without FCS, at least TOR_LINE_MIN.
 * Conservation, over all ports, when nothing is queued or held:
 *     rx_frames + flood_copies + duplicated = tx_frames + sum of drops
 */
typedef struct tor_counters {
    uint64_t rx_frames, rx_bytes; /* from the VM, everything that was put in */
    uint64_t tx_frames, tx_bytes; /* to the VM, everything that reaches it */
    uint64_t flooded;             /* frames from the VM sent to all other ports */
    uint64_t flood_copies;        /* frames added by that (copies - 1 per flooded frame) */
    uint64_t duplicated, delayed, corrupted; /* faults */
    uint64_t max_bytes; /* largest number of bytes waiting in all queues to the VM */
    uint64_t drops[TOR_DROPS];
    tor_queue_counters queue[TOR_QUEUES];
} tor_counters;

/* Addresses learned. An entry is MAC (48 bit, as a number) << 8 | port + 1; 0 = empty. Full: the
 * oldest hash place is reused. */
typedef struct tor_fdb {
    uint64_t entry[TOR_FDB_SLOTS];
} tor_fdb;

/* Handle of a process on a block. Private; holds copies of everything that is fixed, so that it can
 * be trusted. */
typedef struct tor {
    uint8_t *mem;
    size_t size;
    size_t slots_off;
    uint32_t slots, slot_bytes;
    uint32_t fault_ports[3];          /* by enum tor_direction: bit p = some fault on port p */
    tor_time line_min[TOR_MAX_PORTS]; /* line time of the shortest frame */
    tor_config cfg;
} tor;

enum tor_event_kind { TOR_EV_DEPART = 1, TOR_EV_SAMPLE = 2 };

typedef struct tor_event {
    uint32_t kind; /* enum tor_event_kind */
    uint32_t port; /* output port */
    tor_time time; /* DEPART: first bit leaves; SAMPLE: moment of the sample */
    /* DEPART only */
    tor_time end;         /* last bit leaves */
    tor_time arrival;     /* frame is complete at the VM: end + latency */
    const uint8_t *frame; /* in the block; valid until the next tor_ call */
    uint32_t len;
    uint32_t queue;
    /* SAMPLE only */
    uint64_t depth; /* bytes waiting at the port, without the frame being sent */
} tor_event;

enum tor_error {
    TOR_E_CONFIG = -1, /* configuration invalid, or block too small */
    TOR_E_ORDER = -2,  /* input in the past, or tor_next(at) was not drained before */
    TOR_E_BLOCK = -3,  /* the block is not a model, or is garbled */
};

/* Default configuration: 25 Gbit/s, 1.5 us per link, K = 83,000 B, 4 MiB buffer, 1 MiB per port,
 * class = DSCP / 8. */
void tor_config_default(tor_config *cfg, uint32_t ports);

/* 0, or TOR_E_CONFIG with "field: value, permitted range" in err. */
int tor_config_check(const tor_config *cfg, char *err, size_t err_bytes);

/* Bytes of the block for a valid configuration. Large (worst case of short frames), but touched
 * only as far as used. */
size_t tor_size(const tor_config *cfg);

/* Formats mem (8-byte aligned) as an empty switch. Writes only some 30 kB. 0 or
 * TOR_E_CONFIG. */
int tor_init(tor *t, void *mem, size_t size, const tor_config *cfg);

/* Opens a block that tor_init made, in another process or at another address. 0 or TOR_E_BLOCK. */
int tor_attach(tor *t, void *mem, size_t size);

/* A frame from `port` is complete at the switch at `at`. 0, TOR_E_ORDER (nothing changed) or
 * TOR_E_BLOCK. */
int tor_input(tor *t, uint32_t port, tor_time at, const void *frame, uint32_t len);

/* The next event before `until`: 1 = *ev is filled, 0 = none left (inputs before `until` are
 * refused from now on), TOR_E_BLOCK. */
int tor_next(tor *t, tor_time until, tor_event *ev);

/* When tor_next would have something to do without further inputs, TOR_TIME_INF = never. */
tor_time tor_next_time(const tor *t);

/*
 * Lower bound of the moment at which a frame that has not departed yet can be complete at the VM of
 * `port`, if no input comes before `next_input` (TOR_TIME_INF: none at all). This is where
 * look-ahead comes from.
 */
tor_time tor_horizon(const tor *t, uint32_t port, tor_time next_input);

/* Line time of a frame on a port, ps. */
tor_time tor_line_time(const tor_config *cfg, uint32_t port, uint32_t len);

/* Latency + line time of the shortest frame on the fastest port: no frame crosses a link in less.
 */
tor_time tor_hop(const tor_config *cfg);

void tor_get_counters(const tor *t, uint32_t port, tor_counters *out);

/* Samples that were lost because tor_next was not called between many inputs (TOR_SAMPLE_EVENTS
 * only). */
uint64_t tor_samples_lost(const tor *t);

/* Address table, also used alone. Returns the port, or -1 = unknown or multicast. */
int tor_fdb_lookup(const tor_fdb *fdb, const uint8_t mac[6], uint32_t ports);
void tor_fdb_learn(tor_fdb *fdb, const uint8_t mac[6],
                   uint32_t port); /* ignores multicast addresses */

#ifdef __cplusplus
}
#endif
#endif
