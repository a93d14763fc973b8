/* SPDX-License-Identifier: MIT
 * Copyright (c) The eTran artifact authors
 *
 * Address learning: open addressing with a short probe; no ageing (see README.md).
 */
#include <stdbool.h>

#include "tor_model.h"

enum { PROBES = 8 };

static uint64_t mac_number(const uint8_t mac[6]) {
    uint64_t n = 0;

    for (int i = 0; i < 6; i++)
        n = n << 8 | mac[i];
    return n;
}

static uint32_t place(uint64_t mac, uint32_t probe) {
    return ((uint32_t)(mac * UINT64_C(0x9e3779b97f4a7c15) >> 40) + probe) % TOR_FDB_SLOTS;
}

int tor_fdb_lookup(const tor_fdb *fdb, const uint8_t mac[6], uint32_t ports) {
    if (mac[0] & 1)
        return -1;
    uint64_t n = mac_number(mac);
    for (uint32_t i = 0; i < PROBES; i++) {
        uint64_t e = fdb->entry[place(n, i)];
        if (!e)
            return -1;
        if (e >> 8 == n) {
            uint32_t port = (uint32_t)(e & 0xff) - 1;
            return port < ports ? (int)port : -1;
        }
    }
    return -1;
}

void tor_fdb_learn(tor_fdb *fdb, const uint8_t mac[6], uint32_t port) {
    if (mac[0] & 1)
        return;
    uint64_t n = mac_number(mac);
    uint64_t e = n << 8 | (port + 1);
    uint32_t at = place(n, 0); /* all taken: the newest address is worth more than the oldest */
    for (uint32_t i = 0; i < PROBES; i++) {
        uint64_t old = fdb->entry[place(n, i)];
        if (!old || old >> 8 == n) {
            at = place(n, i);
            break;
        }
    }
    if (fdb->entry[at] != e)
        fdb->entry[at] = e;
}
