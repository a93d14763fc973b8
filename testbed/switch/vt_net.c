/* SPDX-License-Identifier: MIT
 * Copyright (c) The eTran artifact authors
 *
 * Mapping, lock, waiting and the end of it all. Nothing here knows what the switch does.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "vt_net.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

int64_t vt_host_ns(void) {
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static bool power_of_two(uint32_t v) {
    return v && !(v & (v - 1));
}

/* Everything the handle will trust; NULL = fine, else what is wrong. */
static const char *check_setup(const vt_net *n, const vt_shm *s, uint64_t model_off,
                               uint64_t model_bytes) {
    uint64_t rings = n->ports * 2 * vt_ring_stride(n->ring_bytes);

    if (s->file_bytes > n->bytes)
        return "it is shorter than it says";
    if (n->ports < 2 || n->ports > VT_MAX_PORTS)
        return "number of ports out of range";
    if (!power_of_two(n->ring_bytes) || n->ring_bytes < 1u << 16 || n->ring_bytes > 1u << 30 ||
        n->rings_off % VT_LINE || n->rings_off < sizeof(vt_shm) || n->rings_off > n->bytes ||
        rings > n->bytes - n->rings_off)
        return "rings out of range";
    if (model_off % VT_LINE || model_off < sizeof(vt_shm) || model_off > n->bytes ||
        model_bytes > n->bytes - model_off)
        return "switch model out of range";
    if (n->trace_off &&
        (!power_of_two(n->trace_bytes) || n->trace_bytes < 1u << 16 || n->trace_bytes > 1u << 30 ||
         n->trace_off % VT_LINE || n->trace_off < sizeof(vt_shm) || n->trace_off > n->bytes ||
         vt_ring_stride(n->trace_bytes) > n->bytes - n->trace_off))
        return "trace ring out of range";
    if (n->latency_ps <= 0 || n->latency_ps > VT_TIME_INF / 16 || n->hop_ps <= n->latency_ps ||
        n->hop_ps > VT_TIME_INF / 16 || n->sync_ps <= 0 || n->sync_ps > VT_TIME_INF / 16 ||
        n->backlog_ps < 0 || n->backlog_ps > VT_TIME_INF / 16)
        return "times out of range";
    return NULL;
}

static int fail(char *err, size_t bytes, const char *path, const char *what) {
    snprintf(err, bytes, "%s: %s", path, what);
    return -1;
}

int vt_net_open(vt_net *n, const char *path, char *err, size_t err_bytes) {
    struct stat st;
    int fd = open(path, O_RDWR | O_CLOEXEC);

    memset(n, 0, sizeof(*n));
    if (fd < 0)
        return fail(err, err_bytes, path, strerror(errno));
    if (fstat(fd, &st) || (size_t)st.st_size < sizeof(vt_shm)) {
        close(fd);
        return fail(err, err_bytes, path, "not a file made by torswitch (too short)");
    }
    n->bytes = (size_t)st.st_size;
    void *mem = mmap(NULL, n->bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    int map_errno = errno;
    close(fd);
    if (mem == MAP_FAILED)
        return fail(err, err_bytes, path, strerror(map_errno));

    vt_shm *s = mem;
    const char *wrong = NULL;
    uint64_t model_off = s->model_off, model_bytes = s->model_bytes;
    n->shm = s;
    n->ports = s->ports;
    n->ring_bytes = s->ring_bytes;
    n->rings_off = s->rings_off;
    n->trace_off = s->trace_off;
    n->trace_bytes = s->trace_bytes;
    n->trace_in = s->trace_in;
    n->trace_out = s->trace_out;
    n->spin = s->spin;
    n->latency_ps = s->latency_ps;
    n->hop_ps = s->hop_ps;
    n->sync_ps = s->sync_ps;
    n->backlog_ps = s->backlog_ps;
    if (s->magic != VT_MAGIC)
        wrong = "not a file made by torswitch";
    else if (s->version != VT_VERSION || s->header_bytes != sizeof(vt_shm))
        wrong = "made by a torswitch of another version; rebuild both sides";
    else
        wrong = check_setup(n, s, model_off, model_bytes);
    if (!wrong && tor_attach(&n->model, (uint8_t *)mem + model_off, model_bytes))
        wrong = "switch model garbled";
    if (!wrong && n->model.cfg.ports != n->ports)
        wrong = "switch model has another number of ports";
    if (wrong) {
        vt_net_close(n);
        return fail(err, err_bytes, path, wrong);
    }
    return 0;
}

void vt_net_close(vt_net *n) {
    if (n->shm)
        munmap(n->shm, n->bytes);
    n->shm = NULL;
}

static void wake(vt_port *p) {
    syscall(SYS_futex, &p->wake, FUTEX_WAKE, 1, NULL, NULL, 0);
}

static void locked(vt_net *n, int ret) {
    if (ret == EOWNERDEAD) {
        pthread_mutex_consistent(&n->shm->lock.mutex);
        vt_break(n, VT_NOBODY, "a process died while it ran the switch");
    }
}

void vt_lock(vt_net *n) {
    locked(n, pthread_mutex_lock(&n->shm->lock.mutex));
}

bool vt_try_lock(vt_net *n) {
    int ret = pthread_mutex_trylock(&n->shm->lock.mutex);

    locked(n, ret);
    return ret != EBUSY;
}

void vt_unlock(vt_net *n) {
    uint32_t wakes = n->wakes;

    n->wakes = 0;
    pthread_mutex_unlock(&n->shm->lock.mutex);
    for (; wakes; wakes &= wakes - 1) {
        /* A port that does not sleep sees its state when it looks again before sleeping. */
        vt_port *p = &n->shm->port[__builtin_ctz(wakes)];
        if (__atomic_load_n(&p->sleeps, __ATOMIC_SEQ_CST))
            wake(p);
    }
}

void vt_release(vt_net *n, uint32_t port, enum vt_port_state state) {
    vt_port *p = &n->shm->port[port];

    __atomic_store_n(&p->state, state, __ATOMIC_SEQ_CST);
    __atomic_fetch_add(&p->wake, 1, __ATOMIC_SEQ_CST);
    if (__atomic_load_n(&p->sleeps, __ATOMIC_SEQ_CST))
        vt_count(&p->wakes);
    n->wakes |= 1u << port;
}

void vt_break(vt_net *n, uint32_t port, const char *fmt, ...) {
    vt_shm *s = n->shm;
    va_list ap;

    if (vt_is_broken(n))
        return;
    va_start(ap, fmt);
    vsnprintf(s->reason, sizeof(s->reason), fmt, ap);
    va_end(ap);
    s->broken_port = port;
    __atomic_store_n(&s->state, VT_NET_BROKEN, __ATOMIC_SEQ_CST);
    for (uint32_t i = 0; i < n->ports; i++) {
        __atomic_fetch_add(&s->port[i].wake, 1, __ATOMIC_SEQ_CST);
        n->wakes |= 1u << i;
    }
}

static bool must_wait(const vt_net *n, const vt_port *p) {
    switch (__atomic_load_n(&p->state, __ATOMIC_SEQ_CST)) {
    case VT_PORT_JOIN:
    case VT_PORT_BLOCKED:
    case VT_PORT_IDLE:
    case VT_PORT_LEFT:
        return !vt_is_broken(n);
    default:
        return false;
    }
}

static void pause_cpu(void) {
#if defined(__x86_64__)
    __builtin_ia32_pause();
#endif
}

bool vt_wait(vt_net *n, uint32_t port, int64_t timeout_ns) {
    vt_port *p = &n->shm->port[port];
    int64_t deadline = 0;

    if (!must_wait(n, p))
        return true;
    for (uint32_t i = 0; i < n->spin; i++) {
        pause_cpu();
        if (!must_wait(n, p)) {
            vt_count(&p->spins);
            return true;
        }
    }
    for (;;) {
        uint32_t seen = __atomic_load_n(&p->wake, __ATOMIC_SEQ_CST);
        __atomic_store_n(&p->sleeps, 1, __ATOMIC_SEQ_CST);
        bool done = !must_wait(n, p);
        int64_t left = 0;
        if (!done && timeout_ns >= 0) {
            int64_t now = vt_host_ns();
            if (!deadline)
                deadline = now + timeout_ns;
            left = deadline - now;
        }
        if (!done && (timeout_ns < 0 || left > 0)) {
            struct timespec ts = {.tv_sec = left / 1000000000, .tv_nsec = left % 1000000000};
            syscall(SYS_futex, &p->wake, FUTEX_WAIT, seen, timeout_ns < 0 ? NULL : &ts, NULL, 0);
        }
        __atomic_store_n(&p->sleeps, 0, __ATOMIC_SEQ_CST);
        if (done || !must_wait(n, p))
            return true;
        if (timeout_ns >= 0 && left <= 0)
            return false;
    }
}
