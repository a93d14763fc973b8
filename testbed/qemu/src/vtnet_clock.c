// SPDX-License-Identifier: GPL-2.0-or-later
// Copyright (c) The eTran artifact authors
/*
 * vtnet: joining and leaving, waiting for the network, idle jumps. Contracts in vtnet_int.h.
 */
#include "qemu/osdep.h"

#include "hw/core/cpu.h"
#include "qemu/bswap.h"
#include "qemu/log.h"
#include "qemu/main-loop.h"
#include "sysemu/cpu-timers.h"
#include "sysemu/cpus.h"

#include "vtnet_int.h"

/*
 * Host time after which a waiting vCPU thread looks whether the main loop wants it (monitor,
 * SIGTERM, input from outside). Only reaction time depends on it.
 */
#define VTNET_WAIT_NS (5 * 1000 * 1000)
#define VTNET_IDLE_WAIT_NS (1 * 1000 * 1000)

/*
 * Outside an epoch, idle time of the guest passes at most this many times
 * faster than host time, so that an idle guest does not burn a host core.
 */
#define VTNET_FREE_PACE 16
#define VTNET_FREE_POLL_NS (1 * 1000 * 1000) /* freerun=on: virtual time between two looks */

/* ---- control requests of the guest ---- */

void vtnet_control_request(VtNet *s, const uint8_t *frame, uint32_t len) {
    struct vtnet_control c;

    if (len < 14 + sizeof(c)) {
        s->stats.control_errors++;
        qemu_log_mask(LOG_GUEST_ERROR, "vtnet: control frame of %u bytes\n", len);
        return;
    }
    memcpy(&c, frame + 14, sizeof(c));
    if (be32_to_cpu(c.magic) != VTNET_MAGIC || s->op != 0) {
        s->stats.control_errors++;
        qemu_log_mask(LOG_GUEST_ERROR, "vtnet: control frame %s\n",
                      s->op ? "while another is handled" : "without magic number");
        return;
    }
    /* Answered by vtnet_run(), so before the guest executes anything more. */
    s->op = c.version == VTNET_VERSION && c.op ? c.op : VTNET_OP_REPLY;
    s->cookie = be32_to_cpu(c.cookie);
    memcpy(s->requester, frame + 6, sizeof(s->requester));
    s->stop = vtnet_clock();
    if (current_cpu) {
        qemu_cpu_kick(current_cpu);
    }
}

static void vtnet_reply(VtNet *s, uint8_t op, enum vtnet_control_status status, int64_t now) {
    static const uint8_t mac[6] = VTNET_CONTROL_MAC;
    uint8_t f[14 + sizeof(struct vtnet_control)];
    struct vtnet_control c = {
        .magic = cpu_to_be32(VTNET_MAGIC),
        .version = VTNET_VERSION,
        .op = op | VTNET_OP_REPLY,
        .status = cpu_to_be16(status),
        .cookie = cpu_to_be32(s->cookie),
        .epoch = cpu_to_be32(s->epochs),
        .port = cpu_to_be32(s->info.port),
        .ports = cpu_to_be32(s->info.ports),
        .tsc_zero = cpu_to_be64(s->zero),
        .now_ns = cpu_to_be64(now),
        .in_epoch = cpu_to_be32(vt_in_epoch(s->vm)),
        .rate_mbps = cpu_to_be32(s->info.rate_mbps),
        .latency_ns = cpu_to_be32(s->info.latency_ns),
    };

    memcpy(f, s->requester, 6);
    memcpy(f + 6, mac, 6);
    stw_be_p(f + 12, VTNET_ETHERTYPE);
    memcpy(f + 14, &c, sizeof(c));
    vtnet_rx_frame(s, f, sizeof(f));
}

/* Lets go of the BQL while `wait` waits; false: the main loop wants us, call again later. */
static bool vtnet_wait(VtNet *s, vt_status (*wait)(VtNet *s, int64_t timeout_ns),
                       const char *doing) {
    vt_status r = wait(s, 0);

    while (r == VT_AGAIN) {
        if (icount_sync_kicked()) {
            s->pending = true;
            return false;
        }
        s->waiting = true;
        qemu_mutex_unlock_iothread();
        r = wait(s, VTNET_WAIT_NS);
        qemu_mutex_lock_iothread();
        s->waiting = false;
    }
    if (r != VT_OK) {
        vtnet_fatal(s, doing);
    }
    s->pending = false;
    return true;
}

static vt_status vtnet_wait_join(VtNet *s, int64_t timeout_ns) {
    return vt_join(s->vm, timeout_ns);
}

static vt_status vtnet_wait_leave(VtNet *s, int64_t timeout_ns) {
    return vt_leave(s->vm, vtnet_clock() - s->zero, timeout_ns);
}

static vt_status vtnet_wait_report(VtNet *s, int64_t timeout_ns) {
    int64_t next;
    vt_status r = vt_report(s->vm, vtnet_clock() - s->zero, timeout_ns, &next);

    if (r == VT_OK) {
        s->stop = s->zero + MIN(next, vt_next_frame(s->vm));
    }
    return r;
}

/* False: still waiting for the others. */
static bool vtnet_control(VtNet *s) {
    enum vtnet_control_status status = VTNET_STATUS_OK;
    int64_t now = vtnet_clock();
    bool epoch = vt_in_epoch(s->vm);
    uint8_t op = s->op;

    switch (op) {
    case VTNET_OP_JOIN:
        if (epoch) {
            status = VTNET_STATUS_STATE;
            break;
        }
        if (!vtnet_wait(s, vtnet_wait_join, "join the epoch")) {
            return false;
        }
        s->zero = now;
        s->ahead = 0;
        s->epochs++;
        s->stats.joins++;
        break;
    case VTNET_OP_LEAVE:
        if (!epoch && !s->leaving) {
            status = VTNET_STATUS_STATE;
            break;
        }
        s->leaving = true;
        if (!vtnet_wait(s, vtnet_wait_leave, "leave the epoch")) {
            return false;
        }
        s->leaving = false;
        s->stats.leaves++;
        vtnet_write_stats(s);
        break;
    case VTNET_OP_QUERY:
        break;
    case VTNET_OP_REPLY:
        status = VTNET_STATUS_VERSION;
        break;
    default:
        status = VTNET_STATUS_OP;
        break;
    }
    s->op = 0;
    s->stats.control_errors += status != VTNET_STATUS_OK;
    vtnet_reply(s, op & ~VTNET_OP_REPLY, status, s->epochs ? now - s->zero : 0);
    return true;
}

/* ---- the clock ---- */

static void vtnet_run(void) {
    VtNet *s = vtnet;
    int64_t clock;

    if (!s->vm) {
        return;
    }
    if (s->op && !vtnet_control(s)) {
        return; /* `stop` is now: nothing executes */
    }
    clock = vtnet_clock();
    if (!vt_in_epoch(s->vm)) {
        s->stop = INT64_MAX;
        if (s->freerun) {
            vtnet_rx(s, INT64_MAX);
            s->stop = clock + VTNET_FREE_POLL_NS;
        }
        return;
    }
    if (clock < s->stop) {
        return; /* stopped for something else */
    }
    s->stop = clock;
    if (!s->pending) {
        vtnet_rx(s, clock - s->zero);
    }
    if (!vtnet_wait(s, vtnet_wait_report, "go on")) {
        return;
    }
    /* Frames for this very moment can have been forwarded by the report. */
    if (clock >= s->stop) {
        vtnet_rx(s, clock - s->zero);
        vtnet_wait(s, vtnet_wait_report, "go on");
    }
}

static int64_t vtnet_budget(void) {
    int64_t clock = vtnet_clock();

    return vtnet->stop > clock ? vtnet->stop - clock : 0;
}

/* Outside an epoch: to the next timer, but not much faster than host time. */
static void vtnet_idle_free(VtNet *s, int64_t delta) {
    const int64_t most_ms = s->freerun ? 1 : 50;
    const int64_t paid = VTNET_FREE_PACE * SCALE_MS; /* virtual ns per ms of host time */
    int64_t ms;

    if (delta < 0) {
        qemu_cond_timedwait_iothread(first_cpu->halt_cond, most_ms);
        return;
    }
    delta = MIN(delta, most_ms * paid);
    s->ahead += delta;
    ms = s->ahead / paid;
    if (ms > 0) {
        qemu_cond_timedwait_iothread(first_cpu->halt_cond, ms);
        s->ahead -= ms * paid;
        if (!all_cpu_threads_idle()) {
            return;
        }
    }
    icount_warp(delta);
}

static void vtnet_idle(void) {
    VtNet *s = vtnet;
    int64_t delta = qemu_clock_deadline_ns_all(QEMU_CLOCK_VIRTUAL, ~QEMU_TIMER_ATTR_EXTERNAL);
    int64_t now, deadline, wake;
    vt_status r;

    if (delta == 0 || s->op || s->pending) {
        return; /* timers are due, or vtnet_run() has something to do */
    }
    if (!s->vm || !vt_in_epoch(s->vm)) {
        vtnet_idle_free(s, delta);
        return;
    }
    now = vtnet_clock() - s->zero;
    deadline = delta < 0 ? VT_NEVER_NS : now + delta;
    r = vt_idle(s->vm, now, deadline, 0, &wake);
    while (r == VT_AGAIN) {
        s->waiting = true;
        qemu_mutex_unlock_iothread();
        r = vt_idle(s->vm, now, deadline, VTNET_IDLE_WAIT_NS, &wake);
        qemu_mutex_lock_iothread();
        s->waiting = false;
        if (r == VT_AGAIN && !all_cpu_threads_idle()) {
            r = vt_idle_cancel(s->vm, &wake);
        }
    }
    if (r != VT_OK) {
        vtnet_fatal(s, "wait for the network");
    }
    icount_warp(wake - now);
    s->stop = s->zero + wake; /* vtnet_run() takes the frames and reports */
}

static const IcountSync vtnet_sync = {
    .run = vtnet_run,
    .budget = vtnet_budget,
    .idle = vtnet_idle,
};

bool vtnet_bind_clock(Error **errp) {
    return icount_set_sync(&vtnet_sync, errp);
}
