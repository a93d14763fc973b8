// SPDX-License-Identifier: MIT
// Copyright (c) The eTran artifact authors
#include "kvbench/kv_store.h"

#include <map>
#include <optional>
#include <thread>

#include <gtest/gtest.h>

#include "common/prng.h"

namespace etran::wl {
namespace {

std::optional<std::string> value_of(const KvStore &store, std::string_view key) {
    std::optional<std::string> result;
    store.get(key, [&](uint32_t, std::string_view value) { result = std::string(value); });
    return result;
}

TEST(kv_store, random_operations__agree_with_a_map) {
    KvStore store(1 << 20);
    std::map<std::string, std::string> model;
    Prng prng(8);
    for (int i = 0; i < 50'000; i++) {
        std::string key = "key" + std::to_string(prng.below(3000));
        switch (prng.below(3)) {
        case 0: {
            std::string value(prng.below(40), static_cast<char>('a' + prng.below(26)));
            ASSERT_TRUE(store.set(key, 1, value));
            model[key] = value;
            break;
        }
        case 1:
            ASSERT_EQ(store.erase(key), model.erase(key) == 1);
            break;
        default:
            auto it = model.find(key);
            ASSERT_EQ(value_of(store, key),
                      it == model.end() ? std::nullopt : std::optional(it->second));
        }
    }
    EXPECT_EQ(store.items(), model.size());
    for (auto &[key, value] : model)
        EXPECT_TRUE(store.erase(key));
    EXPECT_EQ(store.bytes(), 0U);
}

TEST(kv_store, set__refuses_beyond_the_limit_and_keeps_the_old_value) {
    KvStore store(1000);
    EXPECT_TRUE(store.set("k", 0, std::string(100, 'a')));
    EXPECT_FALSE(store.set("k", 0, std::string(2000, 'b')));
    EXPECT_EQ(value_of(store, "k"), std::string(100, 'a'));
    EXPECT_TRUE(store.set("k", 9, std::string(100, 'c'))) << "same size: in place";
    EXPECT_EQ(value_of(store, "k"), std::string(100, 'c'));
    EXPECT_LE(store.bytes(), 1000U);
}

TEST(kv_store, keys__binary_and_of_all_lengths) {
    KvStore store(1 << 20);
    for (size_t n = 1; n <= 250; n++)
        ASSERT_TRUE(store.set(std::string(n, '\0'), 0, std::to_string(n)));
    for (size_t n = 1; n <= 250; n++)
        EXPECT_EQ(value_of(store, std::string(n, '\0')), std::to_string(n));
}

TEST(kv_store, threads__do_not_lose_writes) {
    KvStore store(16 << 20);
    std::vector<std::thread> threads;
    for (int t = 0; t < 4; t++) {
        threads.emplace_back([&store, t] {
            for (int i = 0; i < 2000; i++) {
                store.set("own" + std::to_string(t) + "-" + std::to_string(i), 0, "x");
                store.set("shared" + std::to_string(i % 10), 0, std::to_string(t));
                store.get("shared" + std::to_string(i % 7),
                          [](uint32_t, std::string_view v) { EXPECT_EQ(v.size(), 1U); });
            }
        });
    }
    for (std::thread &thread : threads)
        thread.join();
    EXPECT_EQ(store.items(), 8010U);
}

} // namespace
} // namespace etran::wl
