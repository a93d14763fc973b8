/* SPDX-License-Identifier: MIT
 * Copyright (c) The eTran artifact authors
 *
 * Somebody else who has the block mapped writes nonsense into it. The model may compute nonsense,
 * but must neither leave the block (the sanitizer builds watch) nor hang.
 */
#include <gtest/gtest.h>

#include <cstring>
#include <random>

#include "test_model.h"
#include "tor_block.h"

namespace etran_test {
namespace {

tor_config busy_config() {
    tor_config cfg = small_config(4);
    cfg.buffer_bytes = 60000;
    cfg.port_buffer_bytes = 30000;
    cfg.frame_max = 600;
    cfg.sample_ps = 50 * TOR_NS;
    const uint32_t kinds[] = {TOR_FAULT_LOSS, TOR_FAULT_DUP, TOR_FAULT_REORDER, TOR_FAULT_CORRUPT,
                              TOR_FAULT_DOWN};
    for (uint32_t k : kinds) {
        cfg.fault[cfg.faults++] = {.port = k % 4,
                                   .kind = k,
                                   .directions = TOR_IN | TOR_OUT,
                                   .reserved = 0,
                                   .from = 0,
                                   .to = TOR_TIME_INF,
                                   .p32 = TOR_P32_ONE / 4,
                                   .delay_ps = 2000 * TOR_NS};
    }
    return cfg;
}

/* A block of exactly tor_size bytes, so that the sanitizer sees the first byte beyond. */
class Victim {
  public:
    explicit Victim(const tor_config &cfg) : mem(tor_size(&cfg) / 8) {
        EXPECT_EQ(tor_init(&t, mem.data(), mem.size() * 8, &cfg), 0);
    }

    /* One frame and what happens before it. True: the model has noticed that something is wrong. */
    bool step(std::mt19937_64 &rng, tor_time *at) {
        uint32_t from = rng() % 4;
        Bytes f = make_frame({.dst = node_mac(rng() % 5),
                              .src = node_mac(from),
                              .dscp = static_cast<uint8_t>(rng() % 64),
                              .ecn = 2,
                              .len = static_cast<uint32_t>(60 + rng() % 500)});
        tor_event ev;
        int ret = 0;
        *at += static_cast<tor_time>(rng() % 100000);
        for (int i = 0; i < 10000 && (ret = tor_next(&t, *at, &ev)) > 0; i++) {
            if (ev.kind == TOR_EV_DEPART) {
                EXPECT_LE(ev.len, t.cfg.frame_max);
                EXPECT_LT(ev.port, t.cfg.ports);
                for (uint32_t k = 0; k < ev.len; k++)
                    sum += ev.frame[k];
            }
        }
        for (uint32_t p = 0; p < 4; p++)
            sum += static_cast<uint64_t>(tor_horizon(&t, p, *at));
        sum += static_cast<uint64_t>(tor_next_time(&t));
        return ret < 0 || tor_input(&t, from, *at, f.data(), static_cast<uint32_t>(f.size())) != 0;
    }

    std::vector<uint64_t> mem;
    tor t;
    uint64_t sum = 0;
};

TEST(tor_garbled, anything__anywhere_at_any_time) {
    for (uint64_t seed = 1; seed <= 300; seed++) {
        std::mt19937_64 rng(seed);
        Victim v(busy_config());
        tor_time at = 0;
        for (int i = 0; i < 100; i++)
            v.step(rng, &at);
        auto *bytes = reinterpret_cast<uint8_t *>(v.mem.data());
        /* Mostly the header, with values that look like indices, lengths or times. */
        for (int round = 0; round < 40; round++) {
            for (int k = 0; k < 3; k++) {
                size_t where = rng() % (rng() % 4 ? offsetof(tor_block, delayed) + 4096
                                                  : v.mem.size() * 8 - 8);
                uint64_t values[] = {rng(), rng() % 70, UINT64_MAX, uint64_t{1} << 62, 0};
                std::memcpy(bytes + where / 4 * 4, &values[rng() % 5], 4 + rng() % 2 * 4);
            }
            v.step(rng, &at);
        }
    }
}

TEST(tor_garbled, list__that_bites_its_tail_ends) {
    tor_config cfg = busy_config();
    cfg.sample_ps = TOR_SAMPLE_OFF;
    cfg.faults = 1;
    cfg.fault[0].kind = TOR_FAULT_DOWN;
    cfg.fault[0].p32 = TOR_P32_ONE;
    cfg.fault[0].port = 1;
    cfg.fault[0].directions = TOR_OUT;
    Victim v(cfg);
    auto *b = reinterpret_cast<tor_block *>(v.mem.data());
    Bytes f = make_frame({.len = 100});
    EXPECT_EQ(tor_input(&v.t, 0, 0, f.data(), 100), 0);
    EXPECT_EQ(tor_input(&v.t, 0, 0, f.data(), 100), 0);
    uint32_t head = b->port[1].queue[0].head;
    ASSERT_LT(head, v.t.slots);
    auto *slot = reinterpret_cast<tor_slot_t *>(v.t.mem + v.t.slots_off + head * v.t.slot_bytes);
    slot->next = head;
    tor_event ev;
    EXPECT_EQ(tor_next(&v.t, TOR_TIME_INF, &ev), TOR_E_BLOCK);
}

TEST(tor_garbled, attach__survives_a_garbled_configuration) {
    std::mt19937_64 rng(1);
    Victim v(busy_config());
    std::vector<uint64_t> good = v.mem;
    for (int i = 0; i < 20000; i++) {
        tor t;
        auto *bytes = reinterpret_cast<uint8_t *>(v.mem.data());
        size_t where = rng() % (offsetof(tor_block, now) - 8);
        uint64_t value = rng();
        std::memcpy(bytes + where, &value, 1 + rng() % 8);
        if (!tor_attach(&t, v.mem.data(), v.mem.size() * 8)) {
            EXPECT_LE(t.slots_off + static_cast<size_t>(t.slots) * t.slot_bytes, v.mem.size() * 8);
            EXPECT_LE(t.cfg.ports, static_cast<uint32_t>(TOR_MAX_PORTS));
        }
        std::memcpy(v.mem.data(), good.data(), sizeof(tor_block));
    }
}

} // namespace
} // namespace etran_test
