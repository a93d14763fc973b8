/* SPDX-License-Identifier: MIT
 * Copyright (c) The eTran artifact authors
 *
 * Memory of the switch: slots, output queues with drop-tail and marking, delayed frames, samples.
 * To add a queue discipline: admission and marking are in tor_enqueue, the choice of the next frame
 * in tor_dequeue.
 */
#include <stdbool.h>
#include <string.h>

#include "tor_block.h"

static bool valid_time(tor_time t) {
    return t >= 0 && t <= TOR_TIME_INF;
}

uint32_t tor_slot_take(tor *t) {
    tor_block *b = tor_get(t);
    uint32_t index = tor_once(&b->free_slot);
    tor_slot_t *s = tor_slot(t, index);

    if (s) {
        b->free_slot = s->next;
        return index;
    }
    index = tor_once(&b->fresh_slot);
    if (index >= t->slots)
        return TOR_NIL;
    b->fresh_slot = index + 1;
    return index;
}

void tor_slot_give(tor *t, uint32_t index) {
    tor_block *b = tor_get(t);
    tor_slot_t *s = tor_slot(t, index);

    if (s) {
        s->next = b->free_slot;
        b->free_slot = index;
    }
}

/* A slot with a copy of the frame, or TOR_NIL. */
static uint32_t store(tor *t, const void *frame, uint32_t len) {
    uint32_t index = tor_slot_take(t);
    tor_slot_t *s = tor_slot(t, index);

    if (!s)
        return TOR_NIL;
    s->next = TOR_NIL;
    s->len = len;
    memmove(s->data, frame, len); /* a garbled list may give the frame's own slot */
    return index;
}

static void depth_changed(tor *t, uint32_t port) {
    tor_block *b = tor_get(t);

    if (t->cfg.sample_ps == TOR_SAMPLE_EVENTS) {
        uint32_t n = tor_once(&b->sample_count);
        if (n >= TOR_SAMPLES) {
            b->samples_lost++;
            return;
        }
        b->sample[(tor_once(&b->sample_first) + n) % TOR_SAMPLES] =
            (tor_sample){.time = b->now, .depth = b->port[port].bytes, .port = port};
        b->sample_count = n + 1;
    } else if (t->cfg.sample_ps > 0 && !(b->sampled_ports >> port & 1)) {
        if (!b->sampled_ports) {
            tor_time tick = (b->now + t->cfg.sample_ps - 1) / t->cfg.sample_ps * t->cfg.sample_ps;
            b->next_tick = tick == b->last_tick ? tick + t->cfg.sample_ps : tick;
            b->tick_port = 0;
        }
        b->sampled_ports |= 1u << port;
    }
}

void tor_enqueue(tor *t, uint32_t port, const tor_packet *p, const void *frame, uint32_t len,
                 uint64_t number) {
    tor_block *b = tor_get(t);
    tor_port *o = &b->port[port];
    uint32_t qi = t->cfg.class_of_dscp[p->dscp];
    tor_queue *q = &o->queue[qi];
    tor_queue_counters *c = &o->counters.queue[qi];
    uint64_t bytes = tor_line_bytes(len);
    enum tor_drop drop = TOR_DROP_POOL;
    uint32_t index = TOR_NIL;

    if (o->bytes + bytes > t->cfg.port_buffer_bytes)
        drop = TOR_DROP_PORT;
    else if (b->pool_bytes + bytes <= t->cfg.buffer_bytes)
        index = store(t, frame, len);
    tor_slot_t *s = tor_slot(t, index);
    if (!s) {
        o->counters.drops[drop]++;
        c->dropped++;
        return;
    }
    s->queue = qi;
    s->number = number;
    if (q->bytes > t->cfg.ecn_k_bytes && (p->ecn == TOR_ECN_ECT0 || p->ecn == TOR_ECN_ECT1)) {
        tor_packet_mark_ce(p, s->data);
        c->marked++;
    }
    tor_slot_t *tail = (o->waiting >> qi & 1) ? tor_slot(t, tor_once(&q->tail)) : NULL;
    if (tail)
        tail->next = index;
    else
        q->head = index;
    q->tail = index;
    o->waiting |= 1u << qi;
    if (o->next_start >= TOR_TIME_INF)
        o->next_start = o->busy > b->now ? o->busy : b->now;

    b->pool_bytes += bytes;
    o->bytes += bytes;
    q->bytes += bytes;
    c->enqueued_frames++;
    c->enqueued_bytes += bytes;
    if (q->bytes > c->max_bytes)
        c->max_bytes = q->bytes;
    if (o->bytes > o->counters.max_bytes)
        o->counters.max_bytes = o->bytes;
    if (t->cfg.sample_ps)
        depth_changed(t, port);
}

uint32_t tor_dequeue(tor *t, uint32_t port) {
    tor_block *b = tor_get(t);
    tor_port *o = &b->port[port];
    uint32_t waiting = tor_once(&o->waiting) & ((1u << TOR_QUEUES) - 1);

    if (!waiting)
        return TOR_NIL;
    uint32_t qi = 31u - (uint32_t)__builtin_clz(waiting);
    tor_queue *q = &o->queue[qi];
    uint32_t index = tor_once(&q->head);
    tor_slot_t *s = tor_slot(t, index);
    if (!s)
        return TOR_NIL;
    uint64_t bytes = tor_line_bytes(s->len);
    if (index == q->tail)
        o->waiting = waiting & ~(1u << qi);
    q->head = s->next;
    q->bytes -= bytes;
    o->bytes -= bytes;
    b->pool_bytes -= bytes;
    if (t->cfg.sample_ps)
        depth_changed(t, port);
    return index;
}

/* Heap of delayed frames. */

static bool earlier(const tor_delayed *a, const tor_delayed *b) {
    return a->time != b->time ? a->time < b->time : a->order < b->order;
}

static uint32_t delayed_count(const tor *t) {
    uint32_t n = tor_once(&tor_get(t)->delayed_count);

    return n > TOR_DELAYED_MAX ? TOR_DELAYED_MAX : n;
}

int tor_delay(tor *t, const tor_delayed *what, const void *frame, uint32_t len) {
    tor_block *b = tor_get(t);
    uint32_t i = delayed_count(t);

    if (i >= TOR_DELAYED_MAX)
        return -1;
    tor_delayed d = *what;
    d.slot = store(t, frame, len);
    if (d.slot == TOR_NIL)
        return -1;
    d.order = b->delayed_order++;
    b->delayed_count = i + 1;
    for (; i > 0 && earlier(&d, &b->delayed[(i - 1) / 2]); i = (i - 1) / 2)
        b->delayed[i] = b->delayed[(i - 1) / 2];
    b->delayed[i] = d;
    return 0;
}

tor_time tor_delayed_first(const tor *t) {
    return delayed_count(t) ? tor_get(t)->delayed[0].time : TOR_TIME_INF;
}

int tor_delayed_pop(tor *t, tor_delayed *what) {
    tor_block *b = tor_get(t);
    uint32_t n = delayed_count(t);
    uint32_t i = 0;

    if (!n)
        return -1;
    *what = b->delayed[0];
    b->delayed_count = --n;
    tor_delayed last = b->delayed[n];
    for (uint32_t child = 1; child < n; child = 2 * i + 1) {
        if (child + 1 < n && earlier(&b->delayed[child + 1], &b->delayed[child]))
            child++;
        if (!earlier(&b->delayed[child], &last))
            break;
        b->delayed[i] = b->delayed[child];
        i = child;
    }
    b->delayed[i] = last;
    return what->port < t->cfg.ports && tor_slot(t, what->slot) ? 0 : -1;
}

/* Samples. */

static int pending_sample(tor *t, tor_event *ev) {
    tor_block *b = tor_get(t);
    uint32_t first = tor_once(&b->sample_first) % TOR_SAMPLES;
    const tor_sample *s = &b->sample[first];

    *ev = (tor_event){
        .kind = TOR_EV_SAMPLE, .port = s->port % TOR_MAX_PORTS, .time = s->time, .depth = s->depth};
    b->sample_first = (first + 1) % TOR_SAMPLES;
    b->sample_count--;
    return 1;
}

int tor_sample_next(tor *t, tor_time until, tor_time event, tor_event *ev) {
    tor_block *b = tor_get(t);

    if (b->sample_count)
        return tor_once(&b->sample_count) <= TOR_SAMPLES ? pending_sample(t, ev) : TOR_E_BLOCK;
    while (b->sampled_ports) {
        tor_time tick = b->next_tick;
        if (!valid_time(tick))
            return TOR_E_BLOCK;
        if (tick >= until || tick > event)
            return 0;
        uint32_t port = tor_once(&b->tick_port);
        b->last_tick = tick;
        if (port >= t->cfg.ports) {
            b->tick_port = 0;
            b->next_tick = tick + t->cfg.sample_ps;
            b->sampled_ports &= (1u << t->cfg.ports) - 1;
            continue;
        }
        b->tick_port = port + 1;
        if (!(b->sampled_ports >> port & 1))
            continue;
        tor_port *o = &b->port[port];
        uint64_t depth = o->bytes;
        if (!depth)
            b->sampled_ports &= ~(1u << port);
        if (!depth && !o->sampled)
            continue;
        o->sampled = depth;
        *ev = (tor_event){.kind = TOR_EV_SAMPLE, .port = port, .time = tick, .depth = depth};
        return 1;
    }
    return 0;
}
