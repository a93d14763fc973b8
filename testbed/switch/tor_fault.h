/* SPDX-License-Identifier: MIT
 * Copyright (c) The eTran artifact authors
 *
 * Which fault hits which frame. Every decision is a function of the seed, the
 * fault's place in the list, the direction, and the number of the frame on that link and direction:
 * not of other ports or of time.
 *
 * Three places ask: a frame arrives (direction IN), a frame is about to be queued (OUT), a frame is
 * put on the line (OUT).
 */
#ifndef ETRAN_TOR_FAULT_H
#define ETRAN_TOR_FAULT_H

#include <stdbool.h>
#include <stdint.h>

#include "tor_model.h"

/* What is to be done with a frame. */
typedef struct tor_verdict {
    bool lost;
    bool down;
    bool duplicate;
    bool corrupt;
    uint64_t random; /* for corrupt */
    tor_time delay;  /* 0 = none; of several reorder faults the first counts */
} tor_verdict;

/* `number` counts frames of that port and direction. Call only if fault_mask says that the port has
 * faults. */
void tor_fault_in(const tor_config *cfg, uint32_t port, tor_time now, uint64_t number,
                  tor_verdict *v); /* all kinds */
void tor_fault_out(const tor_config *cfg, uint32_t port, tor_time now, uint64_t number,
                   tor_verdict *v); /* before the queue: duplicate, delay */
void tor_fault_line(const tor_config *cfg, uint32_t port, tor_time now, uint64_t number,
                    tor_verdict *v); /* at the start of transmission: lost, down, corrupt */

#endif
