/* SPDX-License-Identifier: MIT
 * Copyright (c) The eTran artifact authors
 *
 * Layout of the file that the virtual machines of one emulated cluster share.
 *
 * The file is created by torswitch (vt_create() in vt_file.h) and mapped by every VM (vt_attach()
 * in vt_core.h). QEMU sees only vt_core.h.
 *
 * Rules that hold for the whole file
 *   - Position independent: offsets from the start of the file, never pointers. (The one exception
 *     is inside `lock`, which belongs to the C library.)
 *   - All times are picoseconds of virtual time since the start of the epoch, 0..VT_TIME_INF. Those
 *     a VM can see (clocks, limits, delivery times) are whole nanoseconds, so multiples of 1000.
 *   - "Setup" below: written once by vt_create(), read-only afterwards. Every process copies what
 *     it needs when it attaches and never looks at the shared copy again.
 *   - Anything else may have been garbled by a broken or hostile VM: indices and lengths are
 *     checked at each use. Garbage can break the epoch; it must not make another process read or
 *     write outside the mapping.
 *
 * To change the layout: raise VT_VERSION, adapt the assertions at the end and README.md ("File").
 */
#ifndef ETRAN_VT_SHM_H
#define ETRAN_VT_SHM_H

#include <assert.h>
#include <pthread.h>
#include <stddef.h>
#include <stdint.h>

#include "tor_model.h"

#ifdef __cplusplus
extern "C" {
#endif

#define VT_MAGIC UINT64_C(0x315f54564e415254) /* "TRANVT_1", little endian */
#define VT_VERSION 1u
#define VT_MAX_PORTS TOR_MAX_PORTS
#define VT_TIME_INF TOR_TIME_INF
#define VT_REASON_BYTES 192u
#define VT_RECORDS 16u /* epochs whose results are kept; a power of two */
#define VT_LINE 64u    /* bytes of a cache line */

/* State of a port. Written under the lock; a waiting VM also reads its own without it (atomic). */
enum vt_port_state {
    VT_PORT_ABSENT = 0,  /* no VM attached */
    VT_PORT_FREE = 1,    /* attached, runs free: frames are untimed */
    VT_PORT_JOIN = 2,    /* waits for the others to join */
    VT_PORT_RUN = 3,     /* in the epoch, executes at or after `clock` */
    VT_PORT_BLOCKED = 4, /* in the epoch, has work at `clock`, waits for its limit to pass it */
    VT_PORT_IDLE = 5,    /* in the epoch, all CPUs halted, next timer at `deadline` */
    VT_PORT_LEFT = 6,    /* done with the epoch, waits for the others to leave */
    VT_PORT_DEAD = 7,    /* its process ended without detaching */
};

/* State of the network as a whole. Written under the lock; read without it too (atomic). */
enum vt_net_state {
    VT_NET_FREE = 0,   /* no epoch: before the first, between two, after the last */
    VT_NET_EPOCH = 1,  /* all ports have joined, not all have left */
    VT_NET_BROKEN = 2, /* final: `reason` says why; every call returns VT_BROKEN */
    VT_NET_CLOSED = 3, /* final: the switch program has ended; frames still pass, nobody can join */
};

/*
 * Ring of frames with one producer and one consumer; `data` (setup: ring_bytes, a power of two)
 * follows. head and tail count bytes and wrap at 2^32. A record is a vt_record, the frame, and
 * padding to VT_RECORD_ALIGN; a record never wraps: a record with length VT_RECORD_SKIP fills the
 * rest of the buffer.
 */
typedef struct vt_ring {
    uint32_t head; /* bytes put in; by the producer; atomic */
    uint32_t pad0[15];
    uint32_t tail; /* bytes taken out; by the consumer; atomic */
    uint32_t pad1[15];
} vt_ring;

#define VT_RECORD_ALIGN 16u
#define VT_RECORD_SKIP UINT32_MAX

typedef struct vt_record {
    int64_t time;    /* complete at: the switch (up), the VM (down); trace: see below */
    uint32_t length; /* bytes that follow, or VT_RECORD_SKIP */
    uint32_t info;   /* trace: kind | port << 8; else 0 */
} vt_record;

/* Records in the trace ring. Producer: whoever holds the lock; consumer: torswitch. */
enum vt_trace_kind {
    VT_TRACE_IN = 1,     /* a frame, as received; time: it is complete at the switch */
    VT_TRACE_OUT = 2,    /* a frame, as sent; time: its first bit leaves the switch */
    VT_TRACE_SAMPLE = 3, /* uint64_t bytes that wait at the port; time: of the sample */
    VT_TRACE_EPOCH = 4,  /* uint64_t number of the epoch that begins; time: 0 */
};

/*
 * One port. Times in ps. In the comments: writer; "vm" is the VM attached to the port, "lock"
 * whoever holds the lock; "atomic" fields are also read without it.
 * Lifetime: pid, state and statistics from attach to detach, the clocks from join to leave.
 */
typedef struct vt_port {
    uint32_t state;    /* enum vt_port_state; lock, atomic */
    uint32_t wake;     /* futex word, counts wake-ups; lock, atomic */
    uint32_t sleeps;   /* 1 while the VM sleeps (or is about to) on `wake`; vm, atomic */
    int32_t pid;       /* process of the VM, 0 = none; lock */
    int64_t limit;     /* frames not yet in `down` arrive then or later; only grows; lock, atomic */
    int64_t clock;     /* virtual time reached (last report); lock, atomic */
    int64_t deadline;  /* IDLE: its next timer, or VT_TIME_INF; lock */
    int64_t want;      /* BLOCKED, IDLE: time it waits to pass; lock */
    int64_t arrival;   /* newest arrival taken from `up`, later ones are not earlier; lock */
    uint64_t attaches; /* VMs that have ever been attached; lock, atomic */
    /* Statistics, from attach on. */
    uint64_t reports;    /* clock reports that took the lock; vm */
    uint64_t waits;      /* times the VM had to wait; vm */
    uint64_t spins;      /* waits that ended while spinning; vm */
    uint64_t idles;      /* idle phases, including those that needed no lock; vm */
    uint64_t wakes;      /* futex wake-ups sent to the VM; lock */
    uint64_t host_wakes; /* idle phases ended by the host: 0 in a reproducible run; vm */
    uint64_t sent;       /* frames put into `up`; vm */
    uint64_t backlogged; /* sends refused because the MAC was busy; vm */
    uint64_t free_sent;  /* frames sent while running free; lock */
    uint64_t free_lost;  /* frames to this port lost while running free; lock */
    uint64_t late;       /* frames that came after the port had left the epoch; lock */
    uint64_t pad1[5];
} vt_port;

/* What is left of an epoch when it has ended; valid while `number` matches. Writer: lock. */
typedef struct vt_epoch_record {
    uint32_t number;       /* 1 = first epoch; 0 = unused */
    uint32_t ports;        /* valid entries in `port` */
    int64_t virtual_ps;    /* latest clock at which a port left */
    int64_t real_start_ns; /* CLOCK_MONOTONIC; for the slow-down only */
    int64_t real_end_ns;
    tor_counters counters[VT_MAX_PORTS];
} vt_epoch_record;

typedef struct vt_shm {
    /* Setup: what the file is. */
    uint64_t magic;
    uint32_t version;
    uint32_t header_bytes; /* sizeof(vt_shm) */
    uint64_t file_bytes;
    uint32_t ports;
    uint32_t ring_bytes; /* data bytes of each up and down ring; power of two */
    uint64_t rings_off;  /* up ring of port 0, down ring of port 0, up ring of port 1, ... */
    uint64_t model_off;  /* block of tor_model.h */
    uint64_t model_bytes;
    uint64_t trace_off;   /* trace ring, or 0 = none */
    uint32_t trace_bytes; /* data bytes of the trace ring; power of two */
    uint32_t trace_in;    /* bit p: record frames that port p sends */
    uint32_t trace_out;   /* bit p: record frames sent to port p */
    uint32_t spin;        /* pauses before a waiting VM sleeps: host effort only, never results */
    /* Setup: arithmetic of time, see README.md ("Look-ahead"). */
    int64_t latency_ps; /* L: propagation delay of one link */
    int64_t hop_ps;     /* H: L + the shortest frame's time on the fastest link */
    int64_t sync_ps;    /* default longest virtual time between two reports */
    int64_t backlog_ps; /* frames a MAC accepts ahead of its line */
    uint8_t pad0[16];

    /* Robust, process shared; guards what says "lock". See README.md ("What is trusted"). */
    union {
        pthread_mutex_t mutex;
        uint8_t space[VT_LINE];
    } lock;

    /* The network, written under the lock. First what every call reads and hardly anybody writes.
     */
    uint32_t state;         /* enum vt_net_state; atomic */
    uint32_t epoch;         /* number of the current or last epoch, from 1; atomic */
    int32_t supervisor;     /* pid of torswitch; setup */
    uint32_t broken_port;   /* port that is to blame, or UINT32_MAX */
    int64_t real_start_ns;  /* CLOCK_MONOTONIC at the start of the epoch; atomic */
    int64_t end_ps;         /* latest clock at which a port left this epoch */
    uint64_t trace_lost;    /* trace records dropped because torswitch did not read them */
    uint32_t trace_stalled; /* 1 + tail of the trace ring when it was given up, or 0 */
    uint32_t pad1[5];
    int64_t safe_ps;   /* the model has run up to here: it knows all earlier arrivals */
    uint64_t advances; /* runs of the switch */
    uint64_t pad2[6];
    char reason[VT_REASON_BYTES]; /* text, once state is VT_NET_BROKEN */
    vt_port port[VT_MAX_PORTS];
    tor_fdb free_fdb;                   /* addresses seen while running free */
    vt_epoch_record record[VT_RECORDS]; /* epoch n is in entry n % VT_RECORDS */
} vt_shm;

static_assert(sizeof(vt_ring) == 128, "vt_ring is part of the file format");
static_assert(offsetof(vt_ring, tail) == VT_LINE, "head and tail are on different cache lines");
static_assert(sizeof(vt_record) == VT_RECORD_ALIGN, "a record header fits before a ring's end");
static_assert(sizeof(vt_port) == 192, "vt_port is part of the file format");
static_assert(offsetof(vt_port, limit) == 16 && offsetof(vt_port, reports) == VT_LINE,
              "vt_port is part of the file format");
static_assert(offsetof(vt_shm, lock) == 2 * VT_LINE && offsetof(vt_shm, state) == 3 * VT_LINE,
              "vt_shm is part of the file format");
static_assert(offsetof(vt_shm, safe_ps) == 4 * VT_LINE, "vt_shm is part of the file format");
static_assert(offsetof(vt_shm, port) == 8 * VT_LINE, "ports start on a cache line");
static_assert(sizeof(pthread_mutex_t) <= VT_LINE, "the mutex fits its space");

#ifdef __cplusplus
}
#endif
#endif
