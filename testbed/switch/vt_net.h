/* SPDX-License-Identifier: MIT
 * Copyright (c) The eTran artifact authors
 *
 * Inside of the synchronisation core: what the VM's side (vt_core.c), the switch (vt_sync.c) and
 * the supervisor (vt_file.c) share. Callers from outside use vt_core.h and vt_file.h.
 *
 * "Locked" functions are called between vt_lock() and vt_unlock().
 */
#ifndef ETRAN_VT_NET_H
#define ETRAN_VT_NET_H

#include "vt_ring.h"
#include "vt_shm.h"

#ifdef __cplusplus
extern "C" {
#endif

#define VT_NOBODY UINT32_MAX

/* A process' handle on the file: its mapping, and trusted copies of everything that is fixed. */
typedef struct vt_net {
    vt_shm *shm;
    size_t bytes;
    uint32_t ports, ring_bytes, trace_bytes, trace_in, trace_out, spin;
    uint64_t rings_off, trace_off;
    int64_t latency_ps, hop_ps, sync_ps, backlog_ps;
    tor model;
    uint32_t wakes; /* bit p: vt_unlock() is to wake port p */
} vt_net;

/* vt_net.c */

/* Maps the file and checks all of it that is fixed. 0, or -1 with a message that names the path. */
int vt_net_open(vt_net *n, const char *path, char *err, size_t err_bytes);
void vt_net_close(vt_net *n);

/* Takes the lock. If its owner died, the network is broken from then on (and the lock held all the
 * same). */
void vt_lock(vt_net *n);
bool vt_try_lock(vt_net *n); /* false: somebody else has it */
void vt_unlock(vt_net *n);   /* and wakes whoever was released meanwhile */

/* Locked. Declares the network broken, for the first reason given, and releases every port. */
__attribute__((format(printf, 3, 4))) void vt_break(vt_net *n, uint32_t port, const char *fmt, ...);

/* Locked. New state of a port that may be waiting; it is woken at vt_unlock(). */
void vt_release(vt_net *n, uint32_t port, enum vt_port_state state);

/* Waits up to timeout_ns (< 0: no limit) of host time until the port's state is not a waiting one.
 * False: time is up. */
bool vt_wait(vt_net *n, uint32_t port, int64_t timeout_ns);

int64_t vt_host_ns(void); /* CLOCK_MONOTONIC */

static inline uint32_t vt_load(const uint32_t *p) {
    return __atomic_load_n(p, __ATOMIC_ACQUIRE);
}
static inline void vt_store(uint32_t *p, uint32_t v) {
    __atomic_store_n(p, v, __ATOMIC_RELEASE);
}
static inline int64_t vt_time(const int64_t *p) {
    return __atomic_load_n(p, __ATOMIC_ACQUIRE);
}
static inline void vt_set_time(int64_t *p, int64_t v) {
    __atomic_store_n(p, v, __ATOMIC_RELEASE);
}

/* A counter with one writer at a time that others may read. */
static inline void vt_count(uint64_t *c) {
    __atomic_store_n(c, __atomic_load_n(c, __ATOMIC_RELAXED) + 1, __ATOMIC_RELAXED);
}

static inline bool vt_is_broken(const vt_net *n) {
    return vt_load(&n->shm->state) == VT_NET_BROKEN;
}

static inline vt_ring_ref vt_ring_at(const vt_net *n, uint64_t off, uint32_t size) {
    uint8_t *p = (uint8_t *)n->shm + off;
    vt_ring_ref r = {(vt_ring *)(void *)p, p + sizeof(vt_ring), size};
    return r;
}

static inline uint64_t vt_ring_stride(uint32_t ring_bytes) {
    return sizeof(vt_ring) + ring_bytes;
}

static inline vt_ring_ref vt_up(const vt_net *n, uint32_t port) {
    return vt_ring_at(n, n->rings_off + 2 * port * vt_ring_stride(n->ring_bytes), n->ring_bytes);
}

static inline vt_ring_ref vt_down(const vt_net *n, uint32_t port) {
    return vt_ring_at(n, n->rings_off + (2 * port + 1) * vt_ring_stride(n->ring_bytes),
                      n->ring_bytes);
}

static inline vt_ring_ref vt_trace_ring(const vt_net *n) {
    return vt_ring_at(n, n->trace_off, n->trace_bytes);
}

/* Times that VMs see are whole nanoseconds. */
static inline int64_t vt_round_up(int64_t ps) {
    return ps >= VT_TIME_INF ? VT_TIME_INF : (ps + TOR_NS - 1) / TOR_NS * TOR_NS;
}

/* vt_sync.c; all locked */

/* Runs the switch as far as the reported clocks allow, moves the limits, releases who may go on. */
void vt_advance(vt_net *n);

/* All ports have joined: virtual time 0. */
void vt_epoch_start(vt_net *n);

/* All ports have left: runs the switch dry, keeps the results, back to free running. */
void vt_epoch_finish(vt_net *n);

/* A frame while running free: straight into the receivers' rings. True if somebody got it. */
bool vt_forward_free(vt_net *n, uint32_t port, const uint8_t *frame, uint32_t len);

/* Is everybody in this state? */
bool vt_all_ports(const vt_net *n, enum vt_port_state state);

#ifdef __cplusplus
}
#endif
#endif
