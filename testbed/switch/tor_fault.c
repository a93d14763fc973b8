/* SPDX-License-Identifier: MIT
 * Copyright (c) The eTran artifact authors
 */
#include "tor_fault.h"

#include <string.h>

/* Finaliser of splitmix64 (Steele, Lea, Flood 2014): a bijection with good avalanche. */
static uint64_t mix(uint64_t x) {
    x += UINT64_C(0x9e3779b97f4a7c15);
    x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
    return x ^ x >> 31;
}

static void decide(const tor_config *cfg, uint32_t port, uint32_t direction, uint32_t kinds,
                   tor_time now, uint64_t number, tor_verdict *v) {
    memset(v, 0, sizeof(*v));
    for (uint32_t i = 0; i < cfg->faults && i < TOR_MAX_FAULTS; i++) {
        const tor_fault *f = &cfg->fault[i];
        if (f->port != port || !(f->directions & direction) || !(kinds >> f->kind & 1) ||
            now < f->from || now >= f->to)
            continue;
        uint64_t random = mix(mix(cfg->seed ^ mix(i << 2 | direction)) + number);
        if (random >> 32 >= f->p32)
            continue;
        switch (f->kind) {
        case TOR_FAULT_LOSS:
            v->lost = true;
            break;
        case TOR_FAULT_DUP:
            v->duplicate = true;
            break;
        case TOR_FAULT_REORDER:
            if (!v->delay)
                v->delay = f->delay_ps;
            break;
        case TOR_FAULT_CORRUPT:
            v->corrupt = true;
            v->random = mix(random);
            break;
        case TOR_FAULT_DOWN:
            v->down = true;
            break;
        default:
            break;
        }
    }
}

void tor_fault_in(const tor_config *cfg, uint32_t port, tor_time now, uint64_t number,
                  tor_verdict *v) {
    decide(cfg, port, TOR_IN, ~0u, now, number, v);
}

void tor_fault_out(const tor_config *cfg, uint32_t port, tor_time now, uint64_t number,
                   tor_verdict *v) {
    decide(cfg, port, TOR_OUT, 1u << TOR_FAULT_DUP | 1u << TOR_FAULT_REORDER, now, number, v);
}

void tor_fault_line(const tor_config *cfg, uint32_t port, tor_time now, uint64_t number,
                    tor_verdict *v) {
    decide(cfg, port, TOR_OUT,
           1u << TOR_FAULT_LOSS | 1u << TOR_FAULT_CORRUPT | 1u << TOR_FAULT_DOWN, now, number, v);
}
