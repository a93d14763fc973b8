/* SPDX-License-Identifier: MIT
 * Copyright (c) The eTran artifact authors
 */
#include "vt_ring.h"

#include <gtest/gtest.h>

#include <cstring>
#include <deque>
#include <random>
#include <thread>
#include <vector>

namespace etran_test {
namespace {

constexpr uint32_t kSize = 1u << 16;

/* A ring whose memory ends where it must. */
class Ring {
  public:
    Ring() : mem_((sizeof(vt_ring) + kSize) / 8 + 8) {
        auto at = reinterpret_cast<uintptr_t>(mem_.data());
        auto *p = reinterpret_cast<uint8_t *>((at + 63) & ~uintptr_t{63});
        ref = {reinterpret_cast<vt_ring *>(p), p + sizeof(vt_ring), kSize};
    }
    vt_ring_ref ref;

  private:
    std::vector<uint64_t> mem_;
};

TEST(vt_ring, put__first_in_first_out_across_the_end) {
    Ring r;
    std::mt19937_64 rng(1);
    std::deque<std::vector<uint8_t>> in_ring;
    uint64_t taken = 0;
    for (int i = 0; i < 50000; i++) {
        std::vector<uint8_t> data(1 + rng() % 1600, static_cast<uint8_t>(i));
        if (vt_ring_put(&r.ref, i, i * 3u, data.data(), static_cast<uint32_t>(data.size())))
            in_ring.push_back(data);
        else
            EXPECT_GT(in_ring.size(), 20u);
        for (uint64_t n = rng() % 3; n && !in_ring.empty(); n--) {
            vt_view v;
            ASSERT_EQ(vt_ring_first(&r.ref, &v), 1);
            ASSERT_EQ(v.length, in_ring.front().size());
            EXPECT_EQ(memcmp(v.data, in_ring.front().data(), v.length), 0);
            EXPECT_EQ(v.info, static_cast<uint32_t>(v.time) * 3u);
            vt_ring_pop(&r.ref, &v);
            in_ring.pop_front();
            taken++;
        }
    }
    EXPECT_GT(taken, 10000u);
}

TEST(vt_ring, put__full_changes_nothing) {
    Ring r;
    std::vector<uint8_t> data(1000);
    while (vt_ring_put(&r.ref, 0, 0, data.data(), 1000)) {
    }
    uint32_t head = r.ref.ring->head;
    EXPECT_FALSE(vt_ring_put(&r.ref, 0, 0, data.data(), 1000));
    EXPECT_EQ(r.ref.ring->head, head);
    EXPECT_FALSE(vt_ring_put(&r.ref, 0, 0, data.data(), kSize / 2))
        << "larger than a record may be";
}

TEST(vt_ring, first__counters_wrap) {
    Ring r;
    r.ref.ring->head = r.ref.ring->tail = UINT32_MAX - 31;
    uint8_t data[100] = {7};
    for (int i = 0; i < 2000; i++) {
        vt_view v;
        ASSERT_TRUE(vt_ring_put(&r.ref, i, 0, data, 100));
        ASSERT_EQ(vt_ring_first(&r.ref, &v), 1);
        EXPECT_EQ(v.time, i);
        vt_ring_pop(&r.ref, &v);
        EXPECT_EQ(vt_ring_first(&r.ref, &v), 0);
    }
}

TEST(vt_ring, first__garbage_never_leads_outside) {
    std::mt19937_64 rng(2);
    Ring r;
    uint64_t garbled = 0;
    for (int i = 0; i < 200000; i++) {
        r.ref.ring->head = static_cast<uint32_t>(rng() % 3 ? rng() : rng() % kSize & ~15u);
        r.ref.ring->tail =
            static_cast<uint32_t>(rng() % 3 ? r.ref.ring->head - rng() % kSize : rng());
        if (rng() % 2)
            r.ref.ring->tail &= ~15u;
        vt_record rec = {.time = 0,
                         .length = static_cast<uint32_t>(rng() % 4 ? rng() % 3000 : rng()),
                         .info = 0};
        if (rng() % 5 == 0)
            rec.length = VT_RECORD_SKIP;
        for (int k = 0; k < 20; k++)
            memcpy(r.ref.data + rng() % (kSize / 16) * 16, &rec, sizeof(rec));
        vt_view v;
        int ret = vt_ring_first(&r.ref, &v);
        if (ret == 1) {
            ASSERT_GE(v.data, r.ref.data);
            ASSERT_LE(v.data + v.length, r.ref.data + kSize);
        }
        garbled += ret < 0;
        uint8_t data[2000] = {};
        vt_ring_put(&r.ref, 0, 0, data, static_cast<uint32_t>(rng() % 2000));
    }
    EXPECT_GT(garbled, 1000u);
}

TEST(vt_ring, threads__producer_and_consumer) {
    Ring r;
    constexpr int kCount = 200000;
    std::thread producer([&r] {
        for (int i = 0; i < kCount;) {
            uint32_t data[8] = {static_cast<uint32_t>(i), static_cast<uint32_t>(~i)};
            if (vt_ring_put(&r.ref, i, 0, data, 8 + i % 24))
                i++;
            else
                std::this_thread::yield();
        }
    });
    for (int i = 0; i < kCount;) {
        vt_view v;
        if (vt_ring_first(&r.ref, &v) <= 0) {
            std::this_thread::yield();
            continue;
        }
        uint32_t data[2];
        memcpy(data, v.data, sizeof(data));
        ASSERT_EQ(v.time, i);
        ASSERT_EQ(data[0], static_cast<uint32_t>(i));
        ASSERT_EQ(data[1], static_cast<uint32_t>(~i));
        vt_ring_pop(&r.ref, &v);
        i++;
    }
    producer.join();
}

} // namespace
} // namespace etran_test
