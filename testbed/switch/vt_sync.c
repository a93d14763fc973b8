/* SPDX-License-Identifier: MIT
 * Copyright (c) The eTran artifact authors
 *
 * The switch at work: conservative synchronisation around the model. Everything here runs under the
 * lock, in whichever process has just reported. The arithmetic is derived in README.md
 * ("Look-ahead").
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "vt_net.h"

/* More than any window of virtual time can hold: a garbled clock must not keep the lock for ever.
 */
enum { EVENTS_MAX = 1 << 22 };
#define TRACE_PATIENCE_NS INT64_C(30000000000)
#define TRACE_POLL_NS 20000

/* The first frame of each port that the model has not seen. */
typedef struct arrivals {
    int64_t time[VT_MAX_PORTS]; /* VT_TIME_INF: none */
    vt_view view[VT_MAX_PORTS]; /* valid where there is one */
    int64_t first, second;      /* the two earliest times of different ports */
    uint32_t first_port;
} arrivals;

bool vt_all_ports(const vt_net *n, enum vt_port_state state) {
    for (uint32_t i = 0; i < n->ports; i++) {
        if (n->shm->port[i].state != (uint32_t)state)
            return false;
    }
    return true;
}

/*
 * Time does not pass while the lock is held, so a full trace waits for its reader; but not for
 * ever, since the trace is worth less than the run.
 */
static void trace(vt_net *n, uint32_t kind, uint32_t port, int64_t time, const void *data,
                  uint32_t len) {
    vt_ring_ref r = vt_trace_ring(n);
    vt_shm *s = n->shm;
    uint32_t info = kind | port << 8;
    int64_t give_up = 0;

    while (!vt_ring_put(&r, time, info, data, len)) {
        uint32_t stalled = 1 + vt_load(&r.ring->tail);
        if (s->trace_stalled == stalled) {
            vt_count(&s->trace_lost);
            return;
        }
        int64_t now = vt_host_ns();
        if (!give_up)
            give_up = now + TRACE_PATIENCE_NS;
        if (now >= give_up || (kill(s->supervisor, 0) && errno == ESRCH))
            s->trace_stalled = stalled;
        struct timespec ts = {.tv_nsec = TRACE_POLL_NS};
        nanosleep(&ts, NULL);
    }
}

static void deliver(vt_net *n, const tor_event *ev) {
    vt_port *p = &n->shm->port[ev->port];

    if (n->trace_out >> ev->port & 1)
        trace(n, VT_TRACE_OUT, ev->port, ev->time, ev->frame, ev->len);
    if (p->state == VT_PORT_LEFT) {
        vt_count(&p->late);
        return;
    }
    vt_ring_ref r = vt_down(n, ev->port);
    if (!vt_ring_put(&r, vt_round_up(ev->arrival), 0, ev->frame, ev->len))
        vt_break(n, ev->port, "port %u does not take its frames", ev->port);
}

/* Looks at the ring of one port. False: broken. */
static bool look(vt_net *n, uint32_t port, arrivals *a) {
    vt_ring_ref r = vt_up(n, port);
    vt_view *v = &a->view[port];
    int ret = vt_ring_first(&r, v);

    if (ret < 0 || (ret && (v->time < n->shm->port[port].arrival || v->time >= VT_TIME_INF))) {
        vt_break(n, port, "port %u has garbled its ring of frames", port);
        return false;
    }
    a->time[port] = ret ? v->time : VT_TIME_INF;
    return true;
}

static void order(const vt_net *n, arrivals *a) {
    a->first = a->second = VT_TIME_INF;
    a->first_port = 0;
    for (uint32_t i = 0; i < n->ports; i++) {
        int64_t t = a->time[i];
        if (t < a->first) {
            a->second = a->first;
            a->first = t;
            a->first_port = i;
        } else if (t < a->second) {
            a->second = t;
        }
    }
}

/* Looks at the rings of all ports. False: broken. */
static bool gather(vt_net *n, arrivals *a) {
    for (uint32_t i = 0; i < VT_MAX_PORTS; i++)
        a->time[i] = VT_TIME_INF;
    for (uint32_t i = 0; i < n->ports; i++) {
        if (!look(n, i, a))
            return false;
    }
    order(n, a);
    return true;
}

/* All events before `until`, at most `budget`. Number of them, or -1: broken. */
static int run_events(vt_net *n, int64_t until, int budget) {
    tor_event ev;
    int count = 0, ret;

    while ((ret = tor_next(&n->model, until, &ev)) > 0) {
        if (ev.kind == TOR_EV_DEPART)
            deliver(n, &ev);
        else if (n->trace_off)
            trace(n, VT_TRACE_SAMPLE, ev.port, ev.time, &ev.depth, sizeof(ev.depth));
        if (++count > budget || vt_is_broken(n))
            ret = TOR_E_BLOCK;
        if (ret < 0)
            break;
    }
    if (ret < 0) {
        vt_break(n, VT_NOBODY, "the memory of the switch has been garbled");
        return -1;
    }
    return count;
}

/* All arrivals and events before `until`, at most `budget`. Number of them, or -1: broken. */
static int run_model(vt_net *n, arrivals *a, int64_t until, int budget) {
    int count = 0;

    for (;;) {
        uint32_t port = a->first_port;
        vt_view *v = &a->view[port];
        bool arrival = a->first < until && a->first < VT_TIME_INF;
        int ret = run_events(n, arrival ? a->first : until, budget - count);
        if (ret < 0)
            return -1;
        count += ret;
        if (!arrival)
            return count;
        if (n->trace_in >> port & 1)
            trace(n, VT_TRACE_IN, port, v->time, v->data, v->length);
        if (tor_input(&n->model, port, v->time, v->data, v->length)) {
            vt_break(n, port, "port %u sent a frame in the past", port);
            return -1;
        }
        vt_ring_ref r = vt_up(n, port);
        n->shm->port[port].arrival = v->time;
        vt_ring_pop(&r, v);
        if (++count > budget) {
            vt_break(n, VT_NOBODY, "virtual time does not pass: the file has been garbled");
            return -1;
        }
        if (!look(n, port, a))
            return -1;
        order(n, a);
    }
}

/* Lower bounds, in virtual time, of what each port may still do; see README.md. */
typedef struct bounds {
    int64_t known[VT_MAX_PORTS]; /* earliest arrival at the port among frames already sent */
    int64_t first, second;       /* the two earliest moments at which different ports may act */
    uint32_t first_port;
} bounds;

/* False: broken. */
static bool find_bounds(vt_net *n, const arrivals *a, bounds *b) {
    b->first = b->second = VT_TIME_INF;
    b->first_port = VT_NOBODY;
    for (uint32_t i = 0; i < n->ports; i++) {
        vt_port *p = &n->shm->port[i];
        int64_t act = VT_TIME_INF;
        int64_t others = i == a->first_port ? a->second : a->first;
        b->known[i] = vt_round_up(tor_horizon(&n->model, i, others));
        if (p->state == VT_PORT_RUN || p->state == VT_PORT_BLOCKED) {
            act = p->clock;
        } else if (p->state == VT_PORT_IDLE) {
            vt_ring_ref r = vt_down(n, i);
            vt_view v;
            int ret = vt_ring_first(&r, &v);
            if (ret < 0) {
                vt_break(n, i, "port %u has garbled its ring of frames", i);
                return false;
            }
            p->want = ret && v.time < p->deadline ? v.time : p->deadline;
            act = p->want < b->known[i] ? p->want : b->known[i];
        }
        if (act < 0) {
            vt_break(n, i, "port %u has a garbled clock", i);
            return false;
        }
        if (act < b->first) {
            b->second = b->first;
            b->first = act;
            b->first_port = i;
        } else if (act < b->second) {
            b->second = act;
        }
    }
    return true;
}

static void move_limits(vt_net *n, const bounds *b) {
    const int64_t ahead = 2 * n->hop_ps;

    for (uint32_t i = 0; i < n->ports; i++) {
        vt_port *p = &n->shm->port[i];
        if (p->state != VT_PORT_RUN && p->state != VT_PORT_BLOCKED && p->state != VT_PORT_IDLE)
            continue;
        int64_t others = b->first; /* earliest moment at which another port may act */
        if (i == b->first_port) {
            others = b->second;
            if (b->first + ahead < others) /* it answers what this one sends */
                others = b->first + ahead;
        }
        int64_t limit = vt_round_up(others + ahead);
        if (b->known[i] < limit)
            limit = b->known[i];
        if (limit > p->limit)
            vt_set_time(&p->limit, limit);
        if (p->state != VT_PORT_RUN && p->limit > p->want) {
            vt_set_time(&p->clock, p->want);
            vt_release(n, i, VT_PORT_RUN);
        }
    }
}

void vt_advance(vt_net *n) {
    arrivals a;
    bounds b = {0};
    int events, budget = EVENTS_MAX;

    if (vt_load(&n->shm->state) != VT_NET_EPOCH)
        return;
    vt_count(&n->shm->advances);
    if (!gather(n, &a))
        return;
    for (;;) {
        if (!find_bounds(n, &a, &b))
            return;
        if (b.first >= VT_TIME_INF)
            return; /* all are idle for ever or have left, and nothing is under way */
        if (b.first + n->hop_ps > n->shm->safe_ps)
            n->shm->safe_ps = b.first + n->hop_ps;
        events = run_model(n, &a, n->shm->safe_ps, budget);
        if (events < 0)
            return;
        if (!events) {
            move_limits(n, &b);
            return;
        }
        budget -= events;
    }
}

static void clear_rings(vt_net *n) {
    for (uint32_t i = 0; i < n->ports; i++) {
        vt_ring_ref up = vt_up(n, i), down = vt_down(n, i);
        vt_ring_clear(&up);
        vt_ring_clear(&down);
    }
}

void vt_epoch_start(vt_net *n) {
    vt_shm *s = n->shm;
    tor_config cfg = n->model.cfg;

    if (tor_init(&n->model, n->model.mem, n->model.size, &cfg)) {
        vt_break(n, VT_NOBODY, "the switch cannot be reset");
        return;
    }
    clear_rings(n);
    vt_store(&s->epoch, s->epoch + 1);
    s->safe_ps = s->end_ps = 0;
    vt_set_time(&s->real_start_ns, vt_host_ns());
    __atomic_store_n(&s->state, VT_NET_EPOCH, __ATOMIC_SEQ_CST);
    if (n->trace_off) {
        uint64_t number = s->epoch;
        trace(n, VT_TRACE_EPOCH, 0, 0, &number, sizeof(number));
    }
    for (uint32_t i = 0; i < n->ports; i++) {
        vt_port *p = &s->port[i];
        p->deadline = p->want = p->arrival = 0;
        vt_set_time(&p->limit, 0);
        vt_set_time(&p->clock, 0);
        vt_store(&p->state, VT_PORT_BLOCKED);
    }
    vt_advance(n);
}

void vt_epoch_finish(vt_net *n) {
    vt_shm *s = n->shm;
    vt_epoch_record *r = &s->record[s->epoch % VT_RECORDS];
    arrivals a;

    if (!gather(n, &a))
        return;
    if (run_model(n, &a, VT_TIME_INF, EVENTS_MAX) < 0)
        return;
    for (uint32_t i = 0; i < n->ports; i++)
        tor_get_counters(&n->model, i, &r->counters[i]);
    r->ports = n->ports;
    r->virtual_ps = s->end_ps;
    r->real_start_ns = s->real_start_ns;
    r->real_end_ns = vt_host_ns();
    vt_store(&r->number, s->epoch);
    clear_rings(n);
    __atomic_store_n(&s->state, VT_NET_FREE, __ATOMIC_SEQ_CST);
    for (uint32_t i = 0; i < n->ports; i++)
        vt_release(n, i, s->port[i].pid ? VT_PORT_FREE : VT_PORT_ABSENT);
}

bool vt_forward_free(vt_net *n, uint32_t port, const uint8_t *frame, uint32_t len) {
    vt_shm *s = n->shm;
    int to = tor_fdb_lookup(&s->free_fdb, frame, n->ports);
    bool delivered = false;

    tor_fdb_learn(&s->free_fdb, frame + 6, port);
    for (uint32_t i = 0; i < n->ports; i++) {
        vt_port *p = &s->port[i];
        if (i == port || (to >= 0 && i != (uint32_t)to))
            continue;
        vt_ring_ref r = vt_down(n, i);
        if (p->state == VT_PORT_FREE && vt_ring_put(&r, 0, 0, frame, len))
            delivered = true;
        else
            vt_count(&p->free_lost);
    }
    vt_count(&s->port[port].free_sent);
    return delivered;
}
