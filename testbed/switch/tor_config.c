/* SPDX-License-Identifier: MIT
 * Copyright (c) The eTran artifact authors
 *
 * Switch configuration: defaults, permitted ranges, arithmetic of line time.
 */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "tor_model.h"

#define KIB UINT64_C(1024)
#define MIB (1024 * KIB)
#define US (1000 * TOR_NS)
#define SECOND (INT64_C(1000000) * US)

void tor_config_default(tor_config *cfg, uint32_t ports) {
    memset(cfg, 0, sizeof(*cfg));
    cfg->ports = ports;
    cfg->frame_max = 1522; /* MTU 1500, Ethernet header, two VLAN tags */
    for (int i = 0; i < TOR_MAX_PORTS; i++)
        cfg->rate_mbps[i] = 25000;
    cfg->latency_ps = 1500 * TOR_NS;
    cfg->ecn_k_bytes = 83000;
    cfg->buffer_bytes = 4 * MIB;
    cfg->port_buffer_bytes = 1 * MIB;
    cfg->sample_ps = TOR_SAMPLE_OFF;
    cfg->seed = 1;
    for (int i = 0; i < TOR_DSCPS; i++)
        cfg->class_of_dscp[i] = (uint8_t)(i / 8);
}

__attribute__((format(printf, 3, 4))) static int refuse(char *err, size_t bytes, const char *fmt,
                                                        ...) {
    va_list ap;

    va_start(ap, fmt);
    if (err && bytes)
        vsnprintf(err, bytes, fmt, ap);
    va_end(ap);
    return TOR_E_CONFIG;
}

static int check_fault(const tor_config *cfg, uint32_t i, char *err, size_t bytes) {
    const tor_fault *f = &cfg->fault[i];

    if (f->port >= cfg->ports)
        return refuse(err, bytes, "faults[%u].port: %u, permitted 0..%u", i, f->port,
                      cfg->ports - 1);
    if (f->kind >= TOR_FAULT_KINDS)
        return refuse(err, bytes, "faults[%u].kind: unknown (%u)", i, f->kind);
    if (!f->directions || (f->directions & ~(uint32_t)(TOR_IN | TOR_OUT)))
        return refuse(err, bytes, "faults[%u].dir: unknown (%u)", i, f->directions);
    if (f->from < 0 || f->from > TOR_TIME_INF)
        return refuse(err, bytes, "faults[%u].from_ns: %" PRId64 ", permitted 0..%" PRId64, i,
                      f->from / TOR_NS, TOR_TIME_INF / TOR_NS);
    if (f->to <= f->from || f->to > TOR_TIME_INF)
        return refuse(err, bytes,
                      "faults[%u].to_ns: %" PRId64 ", permitted above from_ns (%" PRId64
                      ") up to %" PRId64,
                      i, f->to / TOR_NS, f->from / TOR_NS, TOR_TIME_INF / TOR_NS);
    if (f->p32 > TOR_P32_ONE)
        return refuse(err, bytes, "faults[%u].p: %g, permitted 0..1", i,
                      (double)f->p32 / (double)TOR_P32_ONE);
    if (f->kind == TOR_FAULT_REORDER && (f->delay_ps < TOR_NS || f->delay_ps > SECOND))
        return refuse(err, bytes, "faults[%u].delay_ns: %" PRId64 ", permitted 1..1000000000", i,
                      f->delay_ps / TOR_NS);
    return 0;
}

int tor_config_check(const tor_config *cfg, char *err, size_t bytes) {
    if (cfg->ports < 2 || cfg->ports > TOR_MAX_PORTS)
        return refuse(err, bytes, "ports: %u, permitted 2..%d", cfg->ports, TOR_MAX_PORTS);
    for (uint32_t i = 0; i < cfg->ports; i++) {
        if (cfg->rate_mbps[i] < 10 || cfg->rate_mbps[i] > 800000)
            return refuse(err, bytes, "rate_mbps: %u (port %u), permitted 10..800000",
                          cfg->rate_mbps[i], i);
    }
    if (cfg->frame_max < 64 || cfg->frame_max > TOR_FRAME_LIMIT)
        return refuse(err, bytes, "frame_max_bytes: %u, permitted 64..%d", cfg->frame_max,
                      TOR_FRAME_LIMIT);
    if (cfg->latency_ps < 10 * TOR_NS || cfg->latency_ps > 100000 * US)
        return refuse(err, bytes, "latency_ns: %" PRId64 ", permitted 10..100000000",
                      cfg->latency_ps / TOR_NS);
    if (cfg->buffer_bytes < cfg->frame_max || cfg->buffer_bytes > 64 * MIB)
        return refuse(err, bytes,
                      "buffer_bytes: %" PRIu64 ", permitted %u (one frame)..%" PRIu64 " (64 MiB)",
                      cfg->buffer_bytes, cfg->frame_max, 64 * MIB);
    if (cfg->port_buffer_bytes < cfg->frame_max || cfg->port_buffer_bytes > cfg->buffer_bytes)
        return refuse(err, bytes,
                      "port_buffer_bytes: %" PRIu64 ", permitted %u (one frame)..%" PRIu64
                      " (buffer_bytes)",
                      cfg->port_buffer_bytes, cfg->frame_max, cfg->buffer_bytes);
    if (cfg->ecn_k_bytes != TOR_ECN_OFF && cfg->ecn_k_bytes > 64 * MIB)
        return refuse(err, bytes, "ecn_k_bytes: %" PRIu64 ", permitted 0..%" PRIu64 " or null",
                      cfg->ecn_k_bytes, 64 * MIB);
    for (int i = 0; i < TOR_DSCPS; i++) {
        if (cfg->class_of_dscp[i] >= TOR_QUEUES)
            return refuse(err, bytes, "dscp_classes[%d]: %u, permitted 0..%d", i,
                          cfg->class_of_dscp[i], TOR_QUEUES - 1);
    }
    if (cfg->sample_ps != TOR_SAMPLE_EVENTS && cfg->sample_ps != TOR_SAMPLE_OFF &&
        (cfg->sample_ps < 10 * TOR_NS || cfg->sample_ps > SECOND))
        return refuse(err, bytes,
                      "sample_ns: %" PRId64 ", permitted 0 (off), \"events\", or 10..1000000000",
                      cfg->sample_ps / TOR_NS);
    if (cfg->faults > TOR_MAX_FAULTS)
        return refuse(err, bytes, "faults: %u entries, permitted 0..%d", cfg->faults,
                      TOR_MAX_FAULTS);
    for (uint32_t i = 0; i < cfg->faults; i++) {
        if (check_fault(cfg, i, err, bytes))
            return TOR_E_CONFIG;
    }
    return 0;
}

tor_time tor_line_time(const tor_config *cfg, uint32_t port, uint32_t len) {
    int64_t bytes = (len < TOR_LINE_MIN ? TOR_LINE_MIN : len) + TOR_LINE_EXTRA;

    return bytes * INT64_C(8000000) / cfg->rate_mbps[port];
}

tor_time tor_hop(const tor_config *cfg) {
    tor_time shortest = TOR_TIME_INF;

    for (uint32_t i = 0; i < cfg->ports; i++) {
        tor_time t = tor_line_time(cfg, i, 0);
        if (t < shortest)
            shortest = t;
    }
    return cfg->latency_ps + shortest;
}
