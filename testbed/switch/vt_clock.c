/* SPDX-License-Identifier: MIT
 * Copyright (c) The eTran artifact authors
 *
 * A port in the epoch: clock and frames. Contracts in vt_core.h. In the common case vt_report(),
 * vt_idle(), vt_send(), vt_peek() and vt_pop() do not take the lock.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "vt_vm.h"

static int64_t next_report(const vt_vm *vm, int64_t limit) {
    return limit < vm->clock + vm->sync ? limit : vm->clock + vm->sync;
}

vt_status vt_report(vt_vm *vm, int64_t now, int64_t timeout_ns, int64_t *next) {
    vt_net *n = &vm->net;
    vt_port *p = vm->p;
    bool again;
    vt_status ret = vt_enter(vm, TO_PASS, true, &again);

    if (ret || (!again && (ret = vt_check_time(vm, now))))
        return ret;
    if (!again) {
        int64_t ps = vt_to_ps(now);
        if (ps < next_report(vm, vt_time(&p->limit))) {
            *next = vt_to_ns(next_report(vm, vt_time(&p->limit)));
            return VT_OK;
        }
        vm->clock = ps;
        vm->pending = TO_PASS;
        vt_lock(n);
        vt_count(&p->reports);
        vt_set_time(&p->clock, ps);
        if (ps >= p->limit) {
            p->want = ps;
            vt_store(&p->state, VT_PORT_BLOCKED);
        }
        vt_advance(n);
        if (p->state == VT_PORT_BLOCKED)
            vt_count(&p->waits);
        vt_unlock(n);
    }
    ret = vt_wait_for(vm, timeout_ns);
    if (ret)
        return ret;
    if (vt_is_broken(n))
        return vt_broken(vm);
    *next = vt_to_ns(next_report(vm, vt_time(&p->limit)));
    return VT_OK;
}

/* Time of the first frame in the ring, or VT_TIME_INF. */
static int64_t first_frame(vt_vm *vm) {
    vt_view v;
    int ret = vt_ring_first(&vm->down, &v);

    if (ret < 0)
        vt_blame(vm, "its ring of frames is garbled");
    return ret > 0 && v.time >= 0 && v.time < VT_TIME_INF ? v.time : VT_TIME_INF;
}

vt_status vt_idle(vt_vm *vm, int64_t now, int64_t deadline, int64_t timeout_ns, int64_t *wake) {
    vt_net *n = &vm->net;
    vt_port *p = vm->p;
    bool again;
    vt_status ret = vt_enter(vm, TO_WAKE, true, &again);

    if (ret || (!again && (ret = vt_check_time(vm, now))))
        return ret;
    if (!again) {
        /* The limit first: frames that are not in the ring after that come at the limit or later.
         */
        int64_t covered = next_report(vm, vt_time(&p->limit));
        int64_t want = first_frame(vm), ps = vt_to_ps(now),
                timer = deadline < 0 ? 0 : vt_to_ps(deadline);
        if (timer < want)
            want = timer;
        vt_count(&p->idles);
        if (want <= ps || want < covered) {
            *wake = vt_to_ns(want > ps ? want : ps);
            return VT_OK;
        }
        vm->clock = ps;
        vm->pending = TO_WAKE;
        vt_lock(n);
        vt_count(&p->reports);
        vt_set_time(&p->clock, ps);
        p->deadline = timer;
        p->want = ps; /* vt_advance finds the true one */
        vt_store(&p->state, VT_PORT_IDLE);
        vt_advance(n);
        if (p->state == VT_PORT_IDLE)
            vt_count(&p->waits);
        vt_unlock(n);
    }
    ret = vt_wait_for(vm, timeout_ns);
    if (ret)
        return ret;
    if (vt_is_broken(n))
        return vt_broken(vm);
    vm->clock = vt_time(&p->clock);
    *wake = vt_to_ns(vm->clock);
    return VT_OK;
}

/*
 * Where may it wake? What it sends from there must not come before what the switch has done
 * (safe_ps) or what others have been promised (their limits). README.md shows that this is not
 * after `want`.
 */
static int64_t earliest_wake(vt_vm *vm) {
    vt_net *n = &vm->net;
    int64_t t = vm->clock, switch_done = vt_round_up(n->shm->safe_ps - n->hop_ps);

    if (switch_done > t)
        t = switch_done;
    for (uint32_t i = 0; i < n->ports; i++) {
        int64_t promised = vt_round_up(vt_time(&n->shm->port[i].limit) - 2 * n->hop_ps);
        if (i != vm->port && promised > t)
            t = promised;
    }
    return t;
}

vt_status vt_idle_cancel(vt_vm *vm, int64_t *wake) {
    vt_net *n = &vm->net;
    vt_port *p = vm->p;

    if (vm->pending != TO_WAKE)
        return vt_misuse(vm, "vt_idle_cancel without a vt_idle that returned VT_AGAIN");
    vm->pending = NOTHING;
    vt_lock(n);
    if (p->state == VT_PORT_IDLE) {
        vt_set_time(&p->clock, earliest_wake(vm));
        vt_store(&p->state, VT_PORT_RUN);
        vt_count(&p->host_wakes);
    }
    vt_unlock(n);
    if (vt_is_broken(n))
        return vt_broken(vm);
    vm->clock = vt_time(&p->clock);
    *wake = vt_to_ns(vm->clock);
    return VT_OK;
}

static vt_status send_free(vt_vm *vm, const void *frame, uint32_t len) {
    vt_net *n = &vm->net;
    bool delivered = false;

    if (vt_is_broken(n))
        return vt_broken(vm);
    vt_lock(n);
    if (vm->p->state == VT_PORT_FREE)
        delivered = vt_forward_free(n, vm->port, frame, len);
    vt_unlock(n);
    return delivered ? VT_OK : VT_DROPPED;
}

vt_status vt_send(vt_vm *vm, const void *frame, uint32_t len, int64_t now, int64_t *retry_at) {
    vt_net *n = &vm->net;
    int64_t ps;
    vt_status ret;

    if (vm->pending != NOTHING)
        return vt_misuse(vm, "vt_send while another call for this port has not finished");
    if (len < TOR_FRAME_MIN || len > n->model.cfg.frame_max)
        return VT_DROPPED;
    if (!vm->in_epoch)
        return send_free(vm, frame, len);
    if ((ret = vt_check_time(vm, now)))
        return ret;
    ps = vt_to_ps(now);
    if (vm->mac_busy > ps + n->backlog_ps) {
        vt_count(&vm->p->backlogged);
        *retry_at = vt_to_ns(vt_round_up(vm->mac_busy - n->backlog_ps / 2));
        return VT_BUSY;
    }
    if (vm->mac_busy < ps)
        vm->mac_busy = ps;
    vm->mac_busy += tor_line_time(&n->model.cfg, vm->port, len);
    if (!vt_ring_put(&vm->up, vm->mac_busy + n->latency_ps, 0, frame, len)) {
        vt_blame(vm, "its ring to the switch is full");
        return vt_broken(vm);
    }
    vt_count(&vm->p->sent);
    return VT_OK;
}

bool vt_peek(vt_vm *vm, vt_frame *frame) {
    vt_view v;
    int ret = vt_ring_first(&vm->down, &v);

    if (ret > 0 && (v.length < TOR_FRAME_MIN || v.length > vm->net.model.cfg.frame_max ||
                    v.time < 0 || v.time >= VT_TIME_INF))
        ret = -1;
    if (ret < 0 && !vt_is_broken(&vm->net))
        vt_blame(vm, "its ring of frames is garbled");
    if (ret <= 0)
        return false;
    frame->at = vt_to_ns(v.time);
    frame->data = v.data;
    frame->len = v.length;
    return true;
}

void vt_pop(vt_vm *vm) {
    vt_view v;

    if (vt_ring_first(&vm->down, &v) > 0)
        vt_ring_pop(&vm->down, &v);
}

int64_t vt_next_frame(vt_vm *vm) {
    return vt_to_ns(first_frame(vm));
}
