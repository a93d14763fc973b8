/* SPDX-License-Identifier: MIT
 * Copyright (c) The eTran artifact authors
 *
 * Virtual time, the VM's side: binds the clock of one virtual machine to the clocks of the others.
 *
 * Used by QEMU's `vtnet` network backend and by the tests. Needs libc, pthread and Linux futexes.
 * Sources: vt_{clock,core,net,sync}.c and tor_{buffer,config,fault,fdb,model,packet}.c.
 *
 * The life of a port
 *
 *   vt_attach()        free running: vt_send() passes frames on at once, vt_peek() is polled
 *   vt_join()          until VT_OK: the VM's clock stands still; then it is virtual time 0
 * everywhere vt_report(), vt_idle(), vt_send(), vt_peek(), vt_pop()      in the epoch vt_leave()
 * until VT_OK: the VM's clock stands still; then free running again
 *   ...                vt_join() again: the next epoch
 *   vt_detach()
 *
 * What the VM promises in the epoch (`now`: its virtual time in ns since vt_join() gave VT_OK)
 *   1. It does not execute at or after `*next` of its last vt_report() before it reports again.
 *   2. Before it executes at time t it has taken (vt_pop) every frame with at <= t. Frames become
 *      visible to the guest exactly at `at`. So the next stop is the earliest of `*next`, own
 * timers and vt_next_frame(), asked after vt_report() has returned: frames that show up between two
 *      reports arrive at `*next` or later.
 *   3. `now` never decreases from call to call.
 * What it gets: times and contents of its frames depend only on what the VMs send and when (virtual
 * time), never on the host's speed, its scheduling, `sync_ns` or spinning.
 *
 * Threads: calls for one vt_vm must not overlap. Functions that can wait take `timeout_ns` of host
 * time (< 0: no limit, 0: do not wait) and return VT_AGAIN when it has passed, so that the caller
 * can let go of its own locks meanwhile; call the same function again with the same arguments.
 * Between the two only vt_idle_cancel(), vt_error(), vt_get_stats() and vt_detach() are permitted.
 *
 * Errors: VT_BROKEN is final for the file; vt_error() says which port and what happened.
 */
#ifndef ETRAN_VT_CORE_H
#define ETRAN_VT_CORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* "Never", in ns. Larger deadlines are taken as this. */
#define VT_NEVER_NS (INT64_MAX / 4 / 1000)

typedef enum vt_status {
    VT_OK = 0,
    VT_AGAIN = 1,   /* timeout_ns has passed; call again */
    VT_BUSY = 2,    /* vt_send: the MAC has enough; nothing was taken */
    VT_DROPPED = 3, /* vt_send: the frame is gone, see there */
    VT_BROKEN = -1, /* the epoch is broken, a peer died, or the file is garbled */
    VT_MISUSE = -2, /* the call does not fit the port's state or breaks a promise above */
} vt_status;

typedef struct vt_vm vt_vm; /* private to the process; made by vt_attach(), freed by vt_detach() */

/* Constants of the network, from the file. */
typedef struct vt_info {
    uint32_t ports;
    uint32_t port;        /* mine */
    uint32_t rate_mbps;   /* my line rate */
    uint32_t frame_max;   /* bytes of the longest frame, Ethernet header included, FCS not */
    int64_t latency_ns;   /* one link */
    int64_t lookahead_ns; /* what is sent at t arrives at t + this or later, anywhere */
    int64_t sync_ns;      /* in use: the longest virtual time between two reports */
} vt_info;

/* Counts since attach; see vt_port in vt_shm.h. */
typedef struct vt_stats {
    uint64_t reports, waits, spins, idles, wakes, host_wakes, sent, backlogged, free_sent,
        free_lost, late;
} vt_stats;

/*
 * Maps the file and takes `port`. `sync_ns`: longest virtual time between two reports, 0 = the
 * file's default (2 x latency); changes speed only. On failure returns NULL and puts a message into
 * err[0..err_bytes). Fails when: not such a file, other version, no such port, port taken by a
 * living process, epoch running, broken.
 */
vt_vm *vt_attach(const char *path, uint32_t port, int64_t sync_ns, char *err, size_t err_bytes);

/*
 * Gives the port back and frees vm. Inside an epoch this breaks it, except after vt_leave() was
 * called. NULL is fine.
 */
void vt_detach(vt_vm *vm);

/*
 * Like vt_detach() for a process that is about to exit: may be called from any thread at any time,
 * also while another one waits in a call for vm; frees nothing.
 */
void vt_abandon(vt_vm *vm);

/* True between VT_OK of vt_join() and the first call of vt_leave(). No lock. */
bool vt_in_epoch(const vt_vm *vm);

/*
 * Waits until every port of the file has called vt_join(): VT_OK = virtual time 0 of a new epoch.
 * Frames sent or received before are discarded, so that nothing of the free-running phase is seen
 * inside.
 */
vt_status vt_join(vt_vm *vm, int64_t timeout_ns);

/*
 * "I have executed up to `now`." On VT_OK the VM may execute times < *next, where *next > now.
 * Cheap when the last report still covers `now`: then no lock is taken. Otherwise waits until the
 * network allows time to pass `now`.
 */
vt_status vt_report(vt_vm *vm, int64_t now, int64_t timeout_ns, int64_t *next);

/*
 * "All CPUs are halted at `now` and the next timer is at `deadline`" (VT_NEVER_NS: none). On VT_OK
 * the VM's clock must jump to *wake (>= now): the earlier of deadline and the first frame. Then:
 * vt_peek/vt_pop what is due, run timers, vt_report(). On VT_AGAIN: call again, or
 * vt_idle_cancel().
 */
vt_status vt_idle(vt_vm *vm, int64_t now, int64_t deadline, int64_t timeout_ns, int64_t *wake);

/*
 * The host wants the CPUs (input from outside the virtual world) while vt_idle() returned VT_AGAIN:
 * ends the idle phase. The clock must jump to *wake (>= now of vt_idle, <= what vt_idle would have
 * given), then vt_report(). Safe for the others, but such a run is not reproducible: counted in
 * host_wakes.
 */
vt_status vt_idle_cancel(vt_vm *vm, int64_t *wake);

/*
 * Sends a frame (`len` bytes from the destination MAC on, no FCS, real checksums: what goes over
 * the wire). In the epoch: the frame leaves the MAC at line rate after those before it. VT_BUSY =
 * more than the MAC's backlog is waiting; then *retry_at is the time at which to try again.
 * VT_DROPPED = shorter than 14 B or longer than frame_max. Free running: `now` and `retry_at` are
 * not used; the frame is in the receivers' rings when the call returns. Takes the lock only when
 * running free.
 */
vt_status vt_send(vt_vm *vm, const void *frame, uint32_t len, int64_t now, int64_t *retry_at);

typedef struct vt_frame {
    int64_t at;          /* complete at the VM, ns; 0 when running free */
    const uint8_t *data; /* in the shared file; valid until vt_pop() */
    uint32_t len;        /* checked: 14 <= len <= frame_max */
} vt_frame;

/* First frame for this port, possibly in the future; false = none known yet. No lock. */
bool vt_peek(vt_vm *vm, vt_frame *frame);

/* Takes the frame that vt_peek() showed. */
void vt_pop(vt_vm *vm);

/* Time of the first frame, or VT_NEVER_NS. No lock. */
int64_t vt_next_frame(vt_vm *vm);

/*
 * Ends the epoch for this port at `now`: from here on it counts as idle for ever, its clock must
 * stand still, and frames to it are lost. VT_OK when all ports have left. Frames still in its ring
 * are discarded.
 */
vt_status vt_leave(vt_vm *vm, int64_t now, int64_t timeout_ns);

/* Why the last call failed; never NULL, valid until the next call for this vm. */
const char *vt_error(vt_vm *vm);

void vt_get_info(const vt_vm *vm, vt_info *info);
void vt_get_stats(const vt_vm *vm, vt_stats *stats);

#ifdef __cplusplus
}
#endif
#endif
