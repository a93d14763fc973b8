/* SPDX-License-Identifier: MIT
 * Copyright (c) The eTran artifact authors
 *
 * Inside of a port as its VM sees it: shared by vt_core.c (the life of a port) and vt_clock.c (the
 * epoch).
 */
#ifndef ETRAN_VT_VM_H
#define ETRAN_VT_VM_H

#include "vt_core.h"
#include "vt_net.h"

/* What a call that returned VT_AGAIN is still waiting for. */
enum pending { NOTHING, TO_JOIN, TO_PASS, TO_WAKE, TO_LEAVE };

struct vt_vm {
    vt_net net;
    vt_port *p;
    vt_ring_ref up, down;
    uint32_t port;
    enum pending pending;
    bool in_epoch;
    int64_t clock;    /* last reported, ps */
    int64_t sync;     /* ps */
    int64_t mac_busy; /* the line is taken until then, ps */
    char error[VT_REASON_BYTES + 64];
};

static inline int64_t vt_to_ps(int64_t ns) {
    return ns >= VT_NEVER_NS ? VT_TIME_INF : ns * TOR_NS;
}
static inline int64_t vt_to_ns(int64_t ps) {
    return ps >= VT_TIME_INF ? VT_NEVER_NS : ps / TOR_NS;
}

/* vt_core.c. What the public functions return, with the message set. */
__attribute__((format(printf, 2, 3))) vt_status vt_misuse(vt_vm *vm, const char *fmt, ...);
vt_status vt_broken(vt_vm *vm);

/* Takes the lock, breaks the network in the name of this port. */
void vt_blame(vt_vm *vm, const char *what);

/* Is this call permitted now? VT_OK: yes, and *again says that it only goes on waiting. */
vt_status vt_enter(vt_vm *vm, enum pending what, bool in_epoch, bool *again);

/* Common end of the calls that wait: VT_OK or VT_AGAIN. */
vt_status vt_wait_for(vt_vm *vm, int64_t timeout_ns);

/* VT_MISUSE if `now` (ns) is out of range or before the last report. */
vt_status vt_check_time(vt_vm *vm, int64_t now);

#endif
