/* SPDX-License-Identifier: MIT
 * Copyright (c) The eTran artifact authors
 *
 * The life of a port: attach, join, leave, detach. Contracts in vt_core.h.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "vt_vm.h"

vt_status vt_misuse(vt_vm *vm, const char *fmt, ...) {
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(vm->error, sizeof(vm->error), fmt, ap);
    va_end(ap);
    return VT_MISUSE;
}

vt_status vt_broken(vt_vm *vm) {
    char reason[VT_REASON_BYTES];

    memcpy(reason, vm->net.shm->reason, sizeof(reason));
    snprintf(vm->error, sizeof(vm->error), "virtual time is broken: %.*s",
             (int)strnlen(reason, sizeof(reason)), reason);
    return VT_BROKEN;
}

void vt_blame(vt_vm *vm, const char *what) {
    vt_lock(&vm->net);
    vt_break(&vm->net, vm->port, "port %u: %s", vm->port, what);
    vt_unlock(&vm->net);
}

static bool alive(int32_t pid) {
    return pid > 0 && (!kill(pid, 0) || errno != ESRCH);
}

/* Locked. NULL, or why the port cannot be had. */
static const char *take_port(vt_vm *vm, char *text, size_t bytes) {
    vt_net *n = &vm->net;
    vt_port *p = vm->p;

    switch (vt_load(&n->shm->state)) {
    case VT_NET_FREE:
        break;
    case VT_NET_EPOCH:
        return "an epoch is running";
    case VT_NET_BROKEN:
        vt_broken(vm);
        return vm->error;
    default:
        return "torswitch has ended";
    }
    if (p->state != VT_PORT_ABSENT && p->state != VT_PORT_DEAD && alive(p->pid)) {
        snprintf(text, bytes, "port %u is taken by process %d", vm->port, p->pid);
        return text;
    }
    memset(&p->limit, 0, offsetof(vt_port, attaches) - offsetof(vt_port, limit));
    memset(&p->reports, 0, sizeof(*p) - offsetof(vt_port, reports));
    vt_count(&p->attaches);
    __atomic_store_n(&p->pid, (int32_t)getpid(), __ATOMIC_RELAXED);
    vt_ring_clear(&vm->up);
    vt_ring_clear(&vm->down);
    vt_store(&p->state, VT_PORT_FREE);
    return NULL;
}

vt_vm *vt_attach(const char *path, uint32_t port, int64_t sync_ns, char *err, size_t err_bytes) {
    char text[96];
    vt_vm *vm = calloc(1, sizeof(*vm));

    if (!vm) {
        snprintf(err, err_bytes, "%s: out of memory", path);
        return NULL;
    }
    if (vt_net_open(&vm->net, path, err, err_bytes)) {
        free(vm);
        return NULL;
    }
    const char *why = NULL;
    if (port >= vm->net.ports) {
        snprintf(text, sizeof(text), "port: %u, permitted 0..%u", port, vm->net.ports - 1);
        why = text;
    } else if (sync_ns < 0 || sync_ns > VT_NEVER_NS / 16) {
        why = "sync: permitted 0 (default) or more nanoseconds";
    } else {
        vm->port = port;
        vm->p = &vm->net.shm->port[port];
        vm->up = vt_up(&vm->net, port);
        vm->down = vt_down(&vm->net, port);
        vm->sync = sync_ns ? vt_to_ps(sync_ns) : vm->net.sync_ps;
        vt_lock(&vm->net);
        why = take_port(vm, text, sizeof(text));
        vt_unlock(&vm->net);
    }
    if (why) {
        snprintf(err, err_bytes, "%s: %s", path, why);
        vt_net_close(&vm->net);
        free(vm);
        return NULL;
    }
    return vm;
}

static bool somebody_joins(const vt_net *n, uint32_t except) {
    for (uint32_t i = 0; i < n->ports; i++) {
        if (i != except && n->shm->port[i].state == VT_PORT_JOIN)
            return true;
    }
    return false;
}

void vt_abandon(vt_vm *vm) {
    vt_net *n = &vm->net;

    vt_lock(n);
    switch (vm->p->state) {
    case VT_PORT_RUN:
    case VT_PORT_BLOCKED:
    case VT_PORT_IDLE:
        vt_break(n, vm->port, "port %u was detached inside the epoch", vm->port);
        break;
    case VT_PORT_FREE:
    case VT_PORT_JOIN:
        if (somebody_joins(n, vm->port))
            vt_break(n, vm->port, "port %u was detached while others wait to join", vm->port);
        break;
    default:
        break;
    }
    __atomic_store_n(&vm->p->pid, 0, __ATOMIC_RELAXED);
    if (vm->p->state != VT_PORT_LEFT) /* the epoch goes on without it */
        vt_release(n, vm->port, VT_PORT_ABSENT);
    vt_unlock(n);
}

void vt_detach(vt_vm *vm) {
    if (!vm)
        return;
    if (vm->p->pid == (int32_t)getpid())
        vt_abandon(vm);
    vt_net_close(&vm->net);
    free(vm);
}

bool vt_in_epoch(const vt_vm *vm) {
    return vm->in_epoch;
}

/* Common end of the calls that wait. */
vt_status vt_wait_for(vt_vm *vm, int64_t timeout_ns) {
    if (!vt_wait(&vm->net, vm->port, timeout_ns))
        return VT_AGAIN;
    vm->pending = NOTHING;
    return VT_OK;
}

/* Is this call permitted now? VT_OK: yes, and *again says whether it goes on with a wait. */
vt_status vt_enter(vt_vm *vm, enum pending what, bool in_epoch, bool *again) {
    *again = vm->pending == what;
    if (*again)
        return VT_OK;
    if (vt_is_broken(&vm->net))
        return vt_broken(vm);
    if (vm->pending != NOTHING)
        return vt_misuse(vm, "another call for this port has not finished (it returned VT_AGAIN)");
    if (vm->in_epoch != in_epoch)
        return vt_misuse(vm, in_epoch ? "the port is not in an epoch" : "the port is in an epoch");
    return VT_OK;
}

vt_status vt_check_time(vt_vm *vm, int64_t now) {
    if (now < 0 || now >= VT_NEVER_NS || vt_to_ps(now) < vm->clock)
        return vt_misuse(vm, "time %" PRId64 " ns is before the last report (%" PRId64 " ns)", now,
                         vt_to_ns(vm->clock));
    return VT_OK;
}

vt_status vt_join(vt_vm *vm, int64_t timeout_ns) {
    vt_net *n = &vm->net;
    bool again;
    vt_status ret = vt_enter(vm, TO_JOIN, false, &again);

    if (ret)
        return ret;
    if (!again) {
        vt_lock(n);
        if (vt_load(&n->shm->state) == VT_NET_CLOSED)
            vt_break(n, VT_NOBODY, "torswitch has ended");
        vt_store(&vm->p->state, VT_PORT_JOIN);
        vm->pending = TO_JOIN;
        if (!vt_is_broken(n) && vt_all_ports(n, VT_PORT_JOIN))
            vt_epoch_start(n);
        vt_unlock(n);
        vt_count(&vm->p->waits);
    }
    ret = vt_wait_for(vm, timeout_ns);
    if (ret)
        return ret;
    if (vt_is_broken(n))
        return vt_broken(vm);
    vm->clock = vm->mac_busy = 0;
    vm->in_epoch = true;
    return VT_OK;
}

vt_status vt_leave(vt_vm *vm, int64_t now, int64_t timeout_ns) {
    vt_net *n = &vm->net;
    vt_port *p = vm->p;
    bool again;
    vt_status ret = vt_enter(vm, TO_LEAVE, true, &again);

    if (ret || (!again && (ret = vt_check_time(vm, now))))
        return ret;
    if (!again) {
        int64_t ps = vt_to_ps(now);
        vm->in_epoch = false;
        vm->clock = ps;
        vm->pending = TO_LEAVE;
        vt_lock(n);
        vt_count(&p->waits);
        vt_set_time(&p->clock, ps);
        if (ps > n->shm->end_ps)
            n->shm->end_ps = ps;
        vt_store(&p->state, VT_PORT_LEFT);
        if (vt_all_ports(n, VT_PORT_LEFT))
            vt_epoch_finish(n);
        else
            vt_advance(n);
        vt_unlock(n);
    }
    ret = vt_wait_for(vm, timeout_ns);
    if (ret)
        return ret;
    /* An epoch that ended well stays so, even if somebody broke something right after it. */
    return vt_load(&p->state) == VT_PORT_FREE ? VT_OK : vt_broken(vm);
}

const char *vt_error(vt_vm *vm) {
    if (!vm->error[0] && vt_is_broken(&vm->net))
        vt_broken(vm);
    return vm->error;
}

void vt_get_info(const vt_vm *vm, vt_info *info) {
    const vt_net *n = &vm->net;

    *info = (vt_info){
        .ports = n->ports,
        .port = vm->port,
        .rate_mbps = n->model.cfg.rate_mbps[vm->port],
        .frame_max = n->model.cfg.frame_max,
        .latency_ns = vt_to_ns(n->latency_ps),
        .lookahead_ns = vt_to_ns(2 * n->hop_ps),
        .sync_ns = vt_to_ns(vm->sync),
    };
}

static uint64_t count_of(const uint64_t *c) {
    return __atomic_load_n(c, __ATOMIC_RELAXED);
}

void vt_get_stats(const vt_vm *vm, vt_stats *stats) {
    const vt_port *p = vm->p;

    *stats = (vt_stats){
        .reports = count_of(&p->reports),
        .waits = count_of(&p->waits),
        .spins = count_of(&p->spins),
        .idles = count_of(&p->idles),
        .wakes = count_of(&p->wakes),
        .host_wakes = count_of(&p->host_wakes),
        .sent = count_of(&p->sent),
        .backlogged = count_of(&p->backlogged),
        .free_sent = count_of(&p->free_sent),
        .free_lost = count_of(&p->free_lost),
        .late = count_of(&p->late),
    };
}
