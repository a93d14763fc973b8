/* SPDX-License-Identifier: MIT
 * Copyright (c) The eTran artifact authors
 *
 * The supervisor's side of virtual time: makes the shared file, watches it, reads what is traced.
 * Used by torswitch and by tests. The supervisor takes no part in the simulation: VMs forward
 * frames among themselves.
 *
 * Threads: calls for one vt_net must not overlap. None of them waits for a VM, with the exception
 * of vt_create. Those that need the lock return false when a VM has it: read the trace (a VM may be
 * waiting for room in it), then try again.
 */
#ifndef ETRAN_VT_FILE_H
#define ETRAN_VT_FILE_H

#include <stdbool.h>

#include "vt_shm.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct vt_net vt_net;

typedef struct vt_setup {
    tor_config model;
    int64_t sync_ns;      /* longest virtual time between two reports; 0 = 2 x latency */
    int64_t backlog_ns;   /* line time of frames that a VM's MAC accepts ahead */
    uint32_t spin;        /* pauses before a waiting VM sleeps */
    uint32_t trace_in;    /* bit p: trace frames that port p sends */
    uint32_t trace_out;   /* bit p: trace frames sent to port p */
    uint32_t trace_bytes; /* room for trace records, a power of two; 0 = no trace, no samples */
} vt_setup;

/* Defaults: tor_config_default, 2 us of backlog, no spinning, no trace. */
void vt_setup_default(vt_setup *setup, uint32_t ports);

/*
 * Creates the file (mode 0600), ready to attach to when the call returns. Replaces a file that a
 * torswitch left behind which is gone; anything else in its place is an error. NULL = failed,
 * message in err.
 */
vt_net *vt_create(const char *path, const vt_setup *setup, char *err, size_t err_bytes);

/*
 * Ends the network for good: breaks an epoch that is running or being joined (reason: `why`), else
 * closes it. False: the lock is taken, try again.
 */
bool vt_shutdown(vt_net *n, const char *why);

/* Unmaps, frees and removes the file. VMs keep their mappings. NULL is fine. */
void vt_destroy(vt_net *n, const char *path);

/* The process of the port has died: breaks the network (reason names port and pid). False: the lock
 * is taken. */
bool vt_mark_dead(vt_net *n, uint32_t port);

/* What can be seen from outside, without the lock: fields may be of slightly different age. */
typedef struct vt_overview {
    uint32_t state; /* enum vt_net_state */
    uint32_t epoch;
    uint32_t ports;
    int64_t clock_ps;      /* smallest clock of the ports that are in the epoch and have not left */
    int64_t real_start_ns; /* of the current epoch */
    uint64_t advances;
    uint64_t trace_lost;
    char reason[VT_REASON_BYTES];
    struct {
        uint32_t state; /* enum vt_port_state */
        int32_t pid;
        int64_t clock_ps;
        uint64_t attaches; /* VMs that have ever been attached */
    } port[VT_MAX_PORTS];
} vt_overview;

void vt_get_overview(const vt_net *n, vt_overview *out);

/* Statistics of a port; the struct in the file, copied. */
void vt_get_port(const vt_net *n, uint32_t port, vt_port *out);

/* Results of epoch `number` if it has ended and is among the last VT_RECORDS. */
bool vt_get_record(const vt_net *n, uint32_t number, vt_epoch_record *out);

typedef struct vt_trace {
    uint32_t kind; /* enum vt_trace_kind */
    uint32_t port;
    int64_t time;        /* ps */
    const uint8_t *data; /* valid until vt_trace_pop() */
    uint32_t length;
} vt_trace;

/* 1 = *t is the next record; 0 = none; -1 = the trace has been garbled. */
int vt_trace_next(vt_net *n, vt_trace *t);
void vt_trace_pop(vt_net *n);

#ifdef __cplusplus
}
#endif
#endif
