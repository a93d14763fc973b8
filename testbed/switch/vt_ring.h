/* SPDX-License-Identifier: MIT
 * Copyright (c) The eTran artifact authors
 *
 * Ring of variable-length records with one producer and one consumer (layout: vt_ring in vt_shm.h).
 *
 * Neither side trusts the other: whatever is in the ring, no access leaves it.
 */
#ifndef ETRAN_VT_RING_H
#define ETRAN_VT_RING_H

#include <stdbool.h>
#include <string.h>

#include "vt_shm.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Where a ring is, as this process knows it. `size`: data bytes, a power of two >= 2^15. */
typedef struct vt_ring_ref {
    vt_ring *ring;
    uint8_t *data;
    uint32_t size;
} vt_ring_ref;

/* A record as the consumer sees it; `data` is valid until vt_ring_pop(). */
typedef struct vt_view {
    int64_t time;
    const uint8_t *data;
    uint32_t length;
    uint32_t info;
    uint32_t next; /* tail behind it */
} vt_view;

static inline uint32_t vt_ring_need(uint32_t length) {
    return (uint32_t)sizeof(vt_record) + ((length + VT_RECORD_ALIGN - 1) & ~(VT_RECORD_ALIGN - 1));
}

/* Producer. False: no room, nothing changed. */
static inline bool vt_ring_put(const vt_ring_ref *r, int64_t time, uint32_t info, const void *data,
                               uint32_t length) {
    uint32_t head = __atomic_load_n(&r->ring->head, __ATOMIC_RELAXED);
    uint32_t used = head - __atomic_load_n(&r->ring->tail, __ATOMIC_ACQUIRE);
    uint32_t at = head & (r->size - 1) & ~(VT_RECORD_ALIGN - 1);
    uint32_t skip = r->size - at;
    uint32_t need = vt_ring_need(length);
    vt_record *rec = (vt_record *)(void *)(r->data + at);

    if (length > r->size / 4)
        return false;
    if (need <= skip)
        skip = 0;
    if (used > r->size || need + skip > r->size - used)
        return false;
    if (skip) {
        rec->length = VT_RECORD_SKIP;
        rec = (vt_record *)(void *)r->data;
    }
    rec->time = time;
    rec->length = length;
    rec->info = info;
    memcpy(rec + 1, data, length);
    __atomic_store_n(&r->ring->head, head + skip + need, __ATOMIC_RELEASE);
    return true;
}

/* Consumer. 1: *v is the first record; 0: empty; -1: garbled. */
static inline int vt_ring_first(const vt_ring_ref *r, vt_view *v) {
    uint32_t tail = __atomic_load_n(&r->ring->tail, __ATOMIC_RELAXED);

    for (int skipped = 0; skipped < 2; skipped++) {
        uint32_t used = __atomic_load_n(&r->ring->head, __ATOMIC_ACQUIRE) - tail;
        uint32_t at = tail & (r->size - 1);
        if (!used)
            return 0;
        if (used > r->size || tail % VT_RECORD_ALIGN || used % VT_RECORD_ALIGN)
            return -1;
        const vt_record *rec = (const vt_record *)(const void *)(r->data + at);
        v->length = __atomic_load_n(&rec->length, __ATOMIC_RELAXED);
        if (v->length == VT_RECORD_SKIP) {
            tail += r->size - at;
            continue;
        }
        uint32_t need = vt_ring_need(v->length);
        if (v->length > r->size / 4 || need > used || need > r->size - at)
            return -1;
        v->time = rec->time;
        v->info = rec->info;
        v->data = (const uint8_t *)(rec + 1);
        v->next = tail + need;
        return 1;
    }
    return -1;
}

/* Consumer: takes the record that vt_ring_first() gave. */
static inline void vt_ring_pop(const vt_ring_ref *r, const vt_view *v) {
    __atomic_store_n(&r->ring->tail, v->next, __ATOMIC_RELEASE);
}

/* Only while neither side uses the ring. */
static inline void vt_ring_clear(const vt_ring_ref *r) {
    __atomic_store_n(&r->ring->head, 0, __ATOMIC_RELAXED);
    __atomic_store_n(&r->ring->tail, 0, __ATOMIC_RELEASE);
}

#ifdef __cplusplus
}
#endif
#endif
