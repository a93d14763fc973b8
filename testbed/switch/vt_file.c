/* SPDX-License-Identifier: MIT
 * Copyright (c) The eTran artifact authors
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "vt_file.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "vt_net.h"

#define RING_MIN (UINT32_C(1) << 18)
#define RING_MAX (UINT32_C(1) << 26)

void vt_setup_default(vt_setup *setup, uint32_t ports) {
    memset(setup, 0, sizeof(*setup));
    tor_config_default(&setup->model, ports);
    setup->backlog_ns = 2000;
}

static uint64_t align_line(uint64_t v) {
    return (v + VT_LINE - 1) & ~(uint64_t)(VT_LINE - 1);
}

/*
 * Bytes of a ring such that it cannot fill up in an epoch: a VM runs at most 4 H ahead of what the
 * switch has taken (README.md), plus the backlog of its MAC, and a record is hardly larger than its
 * line time. Twice that.
 */
static uint64_t ring_bytes_needed(const vt_setup *s) {
    uint64_t need = 0, ring = RING_MIN;

    for (uint32_t i = 0; i < s->model.ports; i++) {
        double window_ps = 4.0 * (double)tor_hop(&s->model) + (double)s->backlog_ns * TOR_NS +
                           (double)tor_line_time(&s->model, i, s->model.frame_max);
        double bytes = window_ps * s->model.rate_mbps[i] / 8e6;
        if (2 * bytes > (double)need)
            need = (uint64_t)(2 * bytes);
    }
    while (ring < need)
        ring *= 2;
    return ring;
}

static bool check_setup(const vt_setup *s, char *err, size_t bytes) {
    uint64_t ring;

    if (tor_config_check(&s->model, err, bytes))
        return false;
    if (s->sync_ns < 0 || s->sync_ns > 1000000000) {
        snprintf(err, bytes, "sync_ns: %" PRId64 ", permitted 0 (default)..1000000000", s->sync_ns);
        return false;
    }
    if (s->backlog_ns < 0 || s->backlog_ns > 10000000) {
        snprintf(err, bytes, "backlog_ns: %" PRId64 ", permitted 0..10000000", s->backlog_ns);
        return false;
    }
    if (s->trace_bytes && (s->trace_bytes < 1u << 16 || s->trace_bytes > 1u << 30 ||
                           (s->trace_bytes & (s->trace_bytes - 1)))) {
        snprintf(err, bytes, "trace_bytes: %u, permitted 0 or a power of two in 65536..2^30",
                 s->trace_bytes);
        return false;
    }
    ring = ring_bytes_needed(s);
    if (ring > RING_MAX) {
        snprintf(err, bytes,
                 "latency_ns and rate_mbps: together they need %" PRIu64
                 " MiB per ring of frames, permitted %u MiB; lower one of them",
                 ring >> 20, RING_MAX >> 20);
        return false;
    }
    return true;
}

static int init_lock(vt_shm *s) {
    pthread_mutexattr_t a;
    int ret = pthread_mutexattr_init(&a);

    if (ret)
        return ret;
    pthread_mutexattr_setpshared(&a, PTHREAD_PROCESS_SHARED);
    pthread_mutexattr_setrobust(&a, PTHREAD_MUTEX_ROBUST);
    ret = pthread_mutex_init(&s->lock.mutex, &a);
    pthread_mutexattr_destroy(&a);
    return ret;
}

/* Fills the header; the rest of the file is zero. Returns the file's size. */
static uint64_t layout(vt_shm *s, const vt_setup *setup) {
    uint64_t off = align_line(sizeof(*s));

    memset(s, 0, sizeof(*s));
    s->magic = VT_MAGIC;
    s->version = VT_VERSION;
    s->header_bytes = sizeof(*s);
    s->ports = setup->model.ports;
    s->ring_bytes = (uint32_t)ring_bytes_needed(setup);
    s->rings_off = off;
    off += align_line(2 * s->ports * vt_ring_stride(s->ring_bytes));
    if (setup->trace_bytes) {
        s->trace_off = off;
        s->trace_bytes = setup->trace_bytes;
        s->trace_in = setup->trace_in;
        s->trace_out = setup->trace_out;
        off += align_line(vt_ring_stride(s->trace_bytes));
    }
    s->model_off = off; /* last: huge, and mostly never touched */
    s->model_bytes = tor_size(&setup->model);
    off += align_line(s->model_bytes);
    s->file_bytes = off;
    s->spin = setup->spin;
    s->latency_ps = setup->model.latency_ps;
    s->hop_ps = tor_hop(&setup->model);
    s->sync_ps = setup->sync_ns ? setup->sync_ns * TOR_NS : 2 * s->latency_ps;
    s->backlog_ps = setup->backlog_ns * TOR_NS;
    s->supervisor = (int32_t)getpid();
    s->broken_port = VT_NOBODY;
    return off;
}

/* May `path` be (re)placed? */
static bool place_is_free(const char *path, char *err, size_t bytes) {
    char ignored[256];
    vt_net old;

    if (access(path, F_OK))
        return true;
    if (vt_net_open(&old, path, ignored, sizeof(ignored))) {
        snprintf(err, bytes,
                 "%s: exists and is not a file of torswitch; remove it or choose another", path);
        return false;
    }
    int32_t pid = old.shm->supervisor;
    bool used =
        pid > 0 && vt_load(&old.shm->state) != VT_NET_CLOSED && (!kill(pid, 0) || errno != ESRCH);
    vt_net_close(&old);
    if (used)
        snprintf(err, bytes, "%s: in use by torswitch (process %d)", path, pid);
    return !used;
}

static bool fill(int fd, const vt_setup *setup) {
    vt_shm head;
    uint64_t bytes = layout(&head, setup);
    tor model;

    if (ftruncate(fd, (off_t)bytes))
        return false;
    uint8_t *mem = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (mem == MAP_FAILED)
        return false;
    vt_shm *s = (vt_shm *)(void *)mem;
    memcpy(s, &head, sizeof(head));
    int ret = tor_init(&model, mem + s->model_off, s->model_bytes, &setup->model);
    if (!ret)
        ret = init_lock(s);
    munmap(mem, bytes);
    return ret == 0;
}

vt_net *vt_create(const char *path, const vt_setup *setup, char *err, size_t err_bytes) {
    char tmp[4096];
    vt_net *n;

    if (!check_setup(setup, err, err_bytes) || !place_is_free(path, err, err_bytes))
        return NULL;
    if ((size_t)snprintf(tmp, sizeof(tmp), "%s.%d", path, (int)getpid()) >= sizeof(tmp)) {
        snprintf(err, err_bytes, "%s: path too long", path);
        return NULL;
    }
    /* Complete under another name first, so that nobody ever attaches to half a file. */
    int fd = open(tmp, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    bool ok = fd >= 0 && fill(fd, setup) && !rename(tmp, path);
    if (!ok) {
        snprintf(err, err_bytes, "%s: cannot create: %s", path, strerror(errno));
        unlink(tmp);
    }
    if (fd >= 0)
        close(fd);
    if (!ok)
        return NULL;
    n = calloc(1, sizeof(*n));
    if (!n || vt_net_open(n, path, err, err_bytes)) {
        unlink(path);
        free(n);
        return NULL;
    }
    return n;
}

bool vt_shutdown(vt_net *n, const char *why) {
    vt_shm *s = n->shm;
    bool joining = false;

    if (!vt_try_lock(n))
        return false;
    for (uint32_t i = 0; i < n->ports; i++)
        joining |= s->port[i].state == VT_PORT_JOIN;
    if (s->state == VT_NET_EPOCH || joining)
        vt_break(n, VT_NOBODY, "%s", why);
    else if (s->state == VT_NET_FREE)
        vt_store(&s->state, VT_NET_CLOSED);
    vt_unlock(n);
    return true;
}

void vt_destroy(vt_net *n, const char *path) {
    if (!n)
        return;
    unlink(path);
    vt_net_close(n);
    free(n);
}

bool vt_mark_dead(vt_net *n, uint32_t port) {
    static const char *const doing[] = {
        [VT_PORT_ABSENT] = "detached",        [VT_PORT_FREE] = "running free",
        [VT_PORT_JOIN] = "joining",           [VT_PORT_RUN] = "in the epoch",
        [VT_PORT_BLOCKED] = "in the epoch",   [VT_PORT_IDLE] = "in the epoch",
        [VT_PORT_LEFT] = "leaving the epoch", [VT_PORT_DEAD] = "dead",
    };
    vt_port *p = &n->shm->port[port];

    if (!vt_try_lock(n))
        return false;
    uint32_t state = p->state;
    if (state != VT_PORT_ABSENT && state != VT_PORT_DEAD) {
        vt_break(n, port, "the VM at port %u (process %d) died while %s", port, p->pid,
                 state <= VT_PORT_DEAD ? doing[state] : "in an unknown state");
        vt_store(&p->state, VT_PORT_DEAD);
    }
    vt_unlock(n);
    return true;
}

void vt_get_overview(const vt_net *n, vt_overview *out) {
    const vt_shm *s = n->shm;

    memset(out, 0, sizeof(*out));
    out->state = vt_load(&s->state);
    out->epoch = vt_load(&s->epoch);
    out->ports = n->ports;
    out->real_start_ns = vt_time(&s->real_start_ns);
    out->advances = __atomic_load_n(&s->advances, __ATOMIC_RELAXED);
    out->trace_lost = __atomic_load_n(&s->trace_lost, __ATOMIC_RELAXED);
    if (out->state == VT_NET_BROKEN) {
        memcpy(out->reason, s->reason, sizeof(out->reason));
        out->reason[sizeof(out->reason) - 1] = 0;
    }
    out->clock_ps = VT_TIME_INF;
    for (uint32_t i = 0; i < n->ports; i++) {
        const vt_port *p = &s->port[i];
        out->port[i].state = vt_load(&p->state);
        out->port[i].pid = __atomic_load_n(&p->pid, __ATOMIC_RELAXED);
        out->port[i].clock_ps = vt_time(&p->clock);
        out->port[i].attaches = __atomic_load_n(&p->attaches, __ATOMIC_RELAXED);
        if (out->port[i].state >= VT_PORT_RUN && out->port[i].state <= VT_PORT_IDLE &&
            out->port[i].clock_ps < out->clock_ps)
            out->clock_ps = out->port[i].clock_ps;
    }
}

void vt_get_port(const vt_net *n, uint32_t port, vt_port *out) {
    const uint64_t *from = (const uint64_t *)(const void *)&n->shm->port[port];
    uint64_t *to = (uint64_t *)(void *)out;

    for (size_t i = 0; i < sizeof(*out) / sizeof(*to); i++)
        to[i] = __atomic_load_n(&from[i], __ATOMIC_RELAXED);
}

bool vt_get_record(const vt_net *n, uint32_t number, vt_epoch_record *out) {
    const vt_epoch_record *r = &n->shm->record[number % VT_RECORDS];

    if (!number || vt_load(&r->number) != number)
        return false;
    *out = *r;
    return true;
}

int vt_trace_next(vt_net *n, vt_trace *t) {
    vt_ring_ref r = vt_trace_ring(n);
    vt_view v;
    int ret = n->trace_off ? vt_ring_first(&r, &v) : 0;

    if (ret <= 0)
        return ret;
    t->kind = v.info & 0xff;
    t->port = v.info >> 8;
    t->time = v.time;
    t->data = v.data;
    t->length = v.length;
    bool number = t->kind == VT_TRACE_SAMPLE || t->kind == VT_TRACE_EPOCH;
    if (t->port >= n->ports || (number && v.length != sizeof(uint64_t)))
        return -1;
    return 1;
}

void vt_trace_pop(vt_net *n) {
    vt_ring_ref r = vt_trace_ring(n);
    vt_view v;

    if (vt_ring_first(&r, &v) > 0)
        vt_ring_pop(&r, &v);
}
