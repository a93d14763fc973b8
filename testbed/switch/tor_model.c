/* SPDX-License-Identifier: MIT
 * Copyright (c) The eTran artifact authors
 *
 * The switch as a discrete-event model: set-up, arrivals, events in order of time. Its memory is in
 * tor_buffer.c.
 */
#include <stdbool.h>
#include <string.h>

#include "tor_block.h"
#include "tor_fault.h"

#define FAULT_COPY (UINT64_C(1) << 63) /* in a frame number: the second of a duplicated frame */

static uint32_t slot_stride(const tor_config *cfg) {
    return ((uint32_t)sizeof(tor_slot_t) + cfg->frame_max + 63) & ~63u;
}

/* Enough for a buffer full of the shortest frames, all delayed frames, the one lent, and one in
 * hand. */
static uint32_t slot_count(const tor_config *cfg) {
    return (uint32_t)(cfg->buffer_bytes / TOR_LINE_MIN) + TOR_DELAYED_MAX + 2;
}

static size_t slots_offset(void) {
    return (sizeof(tor_block) + 63) & ~(size_t)63;
}

size_t tor_size(const tor_config *cfg) {
    return slots_offset() + (size_t)slot_count(cfg) * slot_stride(cfg);
}

/* Everything the handle trusts comes from cfg, which has been checked. */
static void open_handle(tor *t, void *mem, size_t size, const tor_config *cfg) {
    memset(t, 0, sizeof(*t));
    t->mem = mem;
    t->size = size;
    t->slots_off = slots_offset();
    t->slots = slot_count(cfg);
    t->slot_bytes = slot_stride(cfg);
    t->cfg = *cfg;
    for (uint32_t i = 0; i < cfg->faults; i++) {
        if (cfg->fault[i].directions & TOR_IN)
            t->fault_ports[TOR_IN] |= 1u << cfg->fault[i].port;
        if (cfg->fault[i].directions & TOR_OUT)
            t->fault_ports[TOR_OUT] |= 1u << cfg->fault[i].port;
    }
    for (uint32_t i = 0; i < cfg->ports; i++)
        t->line_min[i] = tor_line_time(cfg, i, 0);
}

int tor_init(tor *t, void *mem, size_t size, const tor_config *cfg) {
    tor_block *b = mem;

    if (tor_config_check(cfg, NULL, 0) || size < tor_size(cfg))
        return TOR_E_CONFIG;
    open_handle(t, mem, size, cfg);
    memset(b, 0, offsetof(tor_block, delayed));
    b->magic = TOR_MAGIC;
    b->size = size;
    b->cfg = *cfg;
    b->free_slot = b->lent_slot = TOR_NIL;
    b->last_tick = -1;
    for (int p = 0; p < TOR_MAX_PORTS; p++) {
        b->port[p].next_start = TOR_TIME_INF;
        for (int q = 0; q < TOR_QUEUES; q++)
            b->port[p].queue[q].head = b->port[p].queue[q].tail = TOR_NIL;
    }
    return 0;
}

int tor_attach(tor *t, void *mem, size_t size) {
    const tor_block *b = mem;
    tor_config cfg;

    if (size < sizeof(*b) || b->magic != TOR_MAGIC)
        return TOR_E_BLOCK;
    cfg = b->cfg;
    if (tor_config_check(&cfg, NULL, 0) || size < tor_size(&cfg))
        return TOR_E_BLOCK;
    open_handle(t, mem, size, &cfg);
    return 0;
}

/* The handle's copy decides how far a configuration reaches; a block may be reset with another one
 * only by tor_init. */

static bool has_fault(const tor *t, uint32_t port, enum tor_direction d) {
    return t->fault_ports[d] >> port & 1;
}

static bool valid_len(const tor *t, uint32_t len) {
    return len >= TOR_FRAME_MIN && len <= t->cfg.frame_max;
}

/* The frame goes to one output port. */
static void output(tor *t, uint32_t port, const tor_packet *p, const void *frame, uint32_t len) {
    tor_port *o = &tor_get(t)->port[port];
    uint64_t number = o->out_number++;
    tor_verdict v;

    if (has_fault(t, port, TOR_OUT)) {
        tor_time now = tor_get(t)->now;
        tor_fault_out(&t->cfg, port, now, number, &v);
        if (v.duplicate) {
            o->counters.duplicated++;
            tor_enqueue(t, port, p, frame, len, number | FAULT_COPY);
        }
        if (v.delay) {
            tor_delayed d = {.time = now + v.delay, .port = port, .direction = TOR_OUT};
            if (tor_delay(t, &d, frame, len))
                o->counters.drops[TOR_DROP_DELAYED]++;
            else
                o->counters.delayed++;
            return;
        }
    }
    tor_enqueue(t, port, p, frame, len, number);
}

/* The frame has passed the link from `port`: choose where it goes. */
static void forward(tor *t, uint32_t port, const uint8_t *frame, uint32_t len) {
    tor_block *b = tor_get(t);
    tor_counters *c = &b->port[port].counters;
    tor_packet p;

    tor_packet_parse(&p, frame, len);
    int to = tor_fdb_lookup(&b->fdb, frame, t->cfg.ports);
    if (to == (int)port) {
        c->drops[TOR_DROP_SAME_PORT]++;
    } else if (to >= 0) {
        output(t, (uint32_t)to, &p, frame, len);
    } else {
        c->flooded++;
        c->flood_copies += t->cfg.ports - 2;
        for (uint32_t o = 0; o < t->cfg.ports; o++) {
            if (o != port)
                output(t, o, &p, frame, len);
        }
    }
}

/* All that a fault on the link from the VM does to a frame. */
static void faulty_arrival(tor *t, uint32_t port, uint64_t number, const void *frame,
                           uint32_t len) {
    tor_block *b = tor_get(t);
    tor_counters *c = &b->port[port].counters;
    uint8_t copy[TOR_FRAME_LIMIT];
    tor_verdict v;

    tor_fault_in(&t->cfg, port, b->now, number, &v);
    if (v.down || v.lost) {
        c->drops[v.down ? TOR_DROP_IN_DOWN : TOR_DROP_IN_LOSS]++;
        return;
    }
    memcpy(copy, frame, len);
    tor_fdb_learn(&b->fdb, copy + 6, port);
    if (v.corrupt)
        c->corrupted += tor_packet_corrupt(copy, len, v.random);
    if (v.duplicate) {
        c->duplicated++;
        forward(t, port, copy, len);
    }
    if (v.delay) {
        tor_delayed d = {.time = b->now + v.delay, .port = port, .direction = TOR_IN};
        if (tor_delay(t, &d, copy, len))
            c->drops[TOR_DROP_DELAYED]++;
        else
            c->delayed++;
        return;
    }
    forward(t, port, copy, len);
}

/* The port whose transmission starts first, and when. */
static uint32_t next_port(const tor *t, tor_time *start) {
    const tor_block *b = tor_get(t);
    uint32_t port = 0;

    *start = TOR_TIME_INF;
    for (uint32_t p = 0; p < t->cfg.ports; p++) {
        if (b->port[p].next_start < *start) {
            *start = b->port[p].next_start;
            port = p;
        }
    }
    return port;
}

static void return_lent(tor *t) {
    tor_block *b = tor_get(t);

    if (b->lent_slot != TOR_NIL) {
        tor_slot_give(t, tor_once(&b->lent_slot));
        b->lent_slot = TOR_NIL;
    }
}

int tor_input(tor *t, uint32_t port, tor_time at, const void *frame, uint32_t len) {
    tor_block *b = tor_get(t);
    tor_time start;

    if (port >= t->cfg.ports)
        return TOR_E_CONFIG;
    next_port(t, &start);
    if (at < b->now || at > TOR_TIME_INF || start < at || tor_delayed_first(t) < at ||
        (b->sampled_ports && b->next_tick < at))
        return TOR_E_ORDER;
    return_lent(t);
    b->now = at;
    tor_port *p = &b->port[port];
    p->counters.rx_frames++;
    p->counters.rx_bytes += tor_line_bytes(len);
    if (!valid_len(t, len)) {
        p->counters.drops[len < TOR_FRAME_MIN ? TOR_DROP_RUNT : TOR_DROP_OVERSIZE]++;
        return 0;
    }
    uint64_t number = p->in_number++;
    if (has_fault(t, port, TOR_IN)) {
        faulty_arrival(t, port, number, frame, len);
    } else {
        tor_fdb_learn(&b->fdb, (const uint8_t *)frame + 6, port);
        forward(t, port, frame, len);
    }
    return 0;
}

/* A delayed frame goes on where it was stopped. */
static int release_delayed(tor *t, tor_time now) {
    tor_block *b = tor_get(t);
    tor_delayed d;

    if (tor_delayed_pop(t, &d))
        return TOR_E_BLOCK;
    tor_slot_t *s = tor_slot(t, d.slot);
    uint32_t len = tor_once(&s->len);
    if (!valid_len(t, len))
        return TOR_E_BLOCK;
    b->now = now;
    if (d.direction == TOR_IN) {
        forward(t, d.port, s->data, len);
    } else {
        tor_packet p;
        tor_packet_parse(&p, s->data, len);
        tor_enqueue(t, d.port, &p, s->data, len, b->port[d.port].out_number++);
    }
    tor_slot_give(t, d.slot);
    return 0;
}

/* Puts the next frame of the port on the line: 1 = *ev, 0 = the frame was dropped, TOR_E_BLOCK. */
static int transmit(tor *t, uint32_t port, tor_time start, tor_event *ev) {
    tor_block *b = tor_get(t);
    tor_port *o = &b->port[port];
    tor_verdict v = {0};

    b->now = start;
    uint32_t index = tor_dequeue(t, port);
    tor_slot_t *s = tor_slot(t, index);
    if (!s)
        return TOR_E_BLOCK;
    uint32_t len = tor_once(&s->len);
    uint32_t queue = tor_once(&s->queue);
    if (!valid_len(t, len) || queue >= TOR_QUEUES)
        return TOR_E_BLOCK;
    if (has_fault(t, port, TOR_OUT))
        tor_fault_line(&t->cfg, port, start, s->number, &v);
    if (!v.down)
        o->busy = start + tor_line_time(&t->cfg, port, len);
    o->next_start = !o->waiting ? TOR_TIME_INF : v.down ? start : o->busy;
    if (v.down || v.lost) {
        o->counters.drops[v.down ? TOR_DROP_OUT_DOWN : TOR_DROP_OUT_LOSS]++;
        tor_slot_give(t, index);
        return 0;
    }
    if (v.corrupt)
        o->counters.corrupted += tor_packet_corrupt(s->data, len, v.random);
    uint64_t bytes = tor_line_bytes(len);
    o->counters.tx_frames++;
    o->counters.tx_bytes += bytes;
    o->counters.queue[queue].tx_frames++;
    o->counters.queue[queue].tx_bytes += bytes;
    b->lent_slot = index;
    *ev = (tor_event){.kind = TOR_EV_DEPART,
                      .port = port,
                      .time = start,
                      .end = o->busy,
                      .arrival = o->busy + t->cfg.latency_ps,
                      .frame = s->data,
                      .len = len,
                      .queue = queue};
    return 1;
}

int tor_next(tor *t, tor_time until, tor_event *ev) {
    tor_block *b = tor_get(t);

    return_lent(t);
    /* Each turn uses up a slot; more turns than this mean that a list bites its tail. */
    for (uint32_t turn = 0; turn < 4 * t->slots; turn++) {
        tor_time start, delayed = tor_delayed_first(t);
        uint32_t port = next_port(t, &start);
        tor_time event = delayed < start ? delayed : start;
        int ret = tor_sample_next(t, until, event, ev);

        if (ret)
            return ret;
        if (event >= until || event >= TOR_TIME_INF) {
            if (until > b->now)
                b->now = until;
            return 0;
        }
        if (event < 0 || event < b->now)
            return TOR_E_BLOCK;
        ret = delayed <= start ? release_delayed(t, delayed) : transmit(t, port, start, ev);
        if (ret)
            return ret;
    }
    return TOR_E_BLOCK;
}

tor_time tor_next_time(const tor *t) {
    const tor_block *b = tor_get(t);
    tor_time start, delayed = tor_delayed_first(t);

    next_port(t, &start);
    if (delayed < start)
        start = delayed;
    if (b->sampled_ports && b->next_tick < start)
        start = b->next_tick;
    return b->sample_count ? b->now : start;
}

tor_time tor_horizon(const tor *t, uint32_t port, tor_time next_input) {
    const tor_block *b = tor_get(t);
    const tor_port *o = &b->port[port];
    tor_time start = tor_delayed_first(t);

    if (next_input < start)
        start = next_input;
    if (start < o->busy)
        start = o->busy;
    if (o->next_start < start)
        start = o->next_start;
    return start >= 0 && start < TOR_TIME_INF ? start + t->line_min[port] + t->cfg.latency_ps
                                              : TOR_TIME_INF;
}

void tor_get_counters(const tor *t, uint32_t port, tor_counters *out) {
    *out = tor_get(t)->port[port % TOR_MAX_PORTS].counters;
}

uint64_t tor_samples_lost(const tor *t) {
    return tor_get(t)->samples_lost;
}
