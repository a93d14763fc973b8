/* SPDX-License-Identifier: MIT
 * Copyright (c) The eTran artifact authors
 *
 * Inside of the model's memory block. Only for tor_model.c, tor_buffer.c and tests that garble it.
 *
 * Slots hold frames: waiting ones (one list per port and queue), delayed ones, the one just handed
 * out, and a free list. Indices read from the block are checked (tor_slot) before each use.
 */
#ifndef ETRAN_TOR_BLOCK_H
#define ETRAN_TOR_BLOCK_H

#include <assert.h>

#include "tor_model.h"
#include "tor_packet.h"

#ifdef __cplusplus
extern "C" {
#endif

#define TOR_MAGIC UINT64_C(0x315f4c45444f4d54)
#define TOR_NIL UINT32_MAX
enum { TOR_SAMPLES = 64 }; /* one input leaves at most 15 ports x 2 copies x 2 */

typedef struct tor_slot_t {
    uint32_t next; /* in its list, or TOR_NIL */
    uint32_t len;
    uint32_t queue;
    uint32_t reserved;
    uint64_t number; /* of the frame at its output port, for faults */
    uint64_t reserved2;
    uint8_t data[];
} tor_slot_t;

typedef struct tor_queue {
    uint32_t head, tail; /* slots, TOR_NIL = empty */
    uint64_t bytes;
} tor_queue;

typedef struct tor_port {
    tor_time busy;       /* the line is taken until then */
    tor_time next_start; /* next start of transmission, TOR_TIME_INF = nothing waits */
    uint64_t bytes;      /* waiting in all queues */
    uint64_t sampled;    /* depth in the last sample */
    uint64_t in_number, out_number;
    uint32_t waiting; /* bit q: queue q is not empty */
    uint32_t reserved;
    tor_queue queue[TOR_QUEUES];
    tor_counters counters;
} tor_port;

typedef struct tor_delayed {
    tor_time time;
    uint64_t order; /* ties: first delayed, first out */
    uint32_t slot;
    uint32_t port;      /* it came from (IN) or goes to (OUT) */
    uint32_t direction; /* enum tor_direction */
    uint32_t reserved;
} tor_delayed;

typedef struct tor_sample {
    tor_time time;
    uint64_t depth;
    uint32_t port;
    uint32_t reserved;
} tor_sample;

typedef struct tor_block {
    uint64_t magic;
    uint64_t size;
    tor_config cfg;
    tor_time now;        /* everything before has happened */
    uint64_t pool_bytes; /* waiting at all ports */
    uint32_t free_slot;  /* head of the free list */
    uint32_t fresh_slot; /* slots from here on have never been used */
    uint32_t lent_slot;  /* handed out by the last tor_next */
    uint32_t delayed_count;
    uint64_t delayed_order;
    tor_time next_tick;     /* periodic samples, if sampled_ports */
    tor_time last_tick;     /* the last one looked at, or -1 */
    uint32_t tick_port;     /* first port that this tick has not looked at */
    uint32_t sampled_ports; /* ports that a tick looks at: not empty, or not yet reported as such */
    uint32_t sample_first, sample_count;
    uint64_t samples_lost;
    tor_sample sample[TOR_SAMPLES]; /* TOR_SAMPLE_EVENTS: not yet handed out */
    tor_fdb fdb;
    tor_port port[TOR_MAX_PORTS];
    tor_delayed
        delayed[TOR_DELAYED_MAX]; /* binary heap by (time, order); last: not touched by tor_init */
} tor_block;

static_assert(sizeof(tor_slot_t) == 32, "the frame starts at a fixed place of a slot");
static_assert(sizeof(tor_delayed) == 32, "no padding, the block is copied between processes");

static inline tor_block *tor_get(const tor *t) {
    return (tor_block *)(void *)t->mem;
}

/* Once from shared memory, so that a check and the use that follows see the same value. */
static inline uint32_t tor_once(const uint32_t *p) {
    return __atomic_load_n(p, __ATOMIC_RELAXED);
}

/* NULL if there is no such slot. */
static inline tor_slot_t *tor_slot(const tor *t, uint32_t index) {
    return index < t->slots
               ? (tor_slot_t *)(void *)(t->mem + t->slots_off + (size_t)index * t->slot_bytes)
               : (tor_slot_t *)0;
}

static inline uint32_t tor_line_bytes(uint32_t len) {
    return len < TOR_LINE_MIN ? (uint32_t)TOR_LINE_MIN : len;
}

/* tor_buffer.c: slots, queues, delayed frames, samples. Nothing here looks at faults or addresses.
 */

uint32_t tor_slot_take(tor *t); /* TOR_NIL: none left */
void tor_slot_give(tor *t, uint32_t index);

/* A copy of the frame at the tail of its queue at `port`, marked if the queue says so, or counted
 * as dropped. */
void tor_enqueue(tor *t, uint32_t port, const tor_packet *p, const void *frame, uint32_t len,
                 uint64_t number);

/* Head of the highest waiting queue of the port, taken out. TOR_NIL: garbled. */
uint32_t tor_dequeue(tor *t, uint32_t port);

/* Keeps a copy of the frame until `time`. 0, or -1 if there is no room. */
int tor_delay(tor *t, const tor_delayed *what, const void *frame, uint32_t len);
tor_time tor_delayed_first(const tor *t);       /* TOR_TIME_INF: none */
int tor_delayed_pop(tor *t, tor_delayed *what); /* 0, or -1: none or garbled */

/* The next periodic or pending sample before `until`, not after `event`: 1 = *ev, 0 = none,
 * TOR_E_BLOCK. */
int tor_sample_next(tor *t, tor_time until, tor_time event, tor_event *ev);

#ifdef __cplusplus
}
#endif
#endif
