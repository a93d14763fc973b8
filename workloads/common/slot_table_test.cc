// SPDX-License-Identifier: MIT
// Copyright (c) The eTran artifact authors
#include "common/slot_table.h"

#include <gtest/gtest.h>

namespace etran::wl {
namespace {

TEST(slot_table, find__a_reused_slot_does_not_answer_to_the_old_tag) {
    SlotTable<int> table;
    uint64_t a = table.insert(std::make_unique<int>(1));
    uint64_t b = table.insert(std::make_unique<int>(2));
    EXPECT_EQ(*table.find(a), 1);
    table.erase(a);
    EXPECT_EQ(table.find(a), nullptr);
    uint64_t c = table.insert(std::make_unique<int>(3));
    EXPECT_EQ(static_cast<uint32_t>(c), static_cast<uint32_t>(a)) << "the slot is reused";
    EXPECT_EQ(table.find(a), nullptr);
    EXPECT_EQ(*table.find(c), 3);
    EXPECT_EQ(*table.find(b), 2);
    EXPECT_EQ(table.size(), 2U);
}

TEST(slot_table, erase__unknown_or_twice_is_nothing) {
    SlotTable<int> table;
    uint64_t a = table.insert(std::make_unique<int>(1));
    table.erase(99);
    table.erase(a);
    table.erase(a);
    EXPECT_EQ(table.size(), 0U);
    table.insert(std::make_unique<int>(1));
    table.insert(std::make_unique<int>(2));
    int sum = 0;
    table.for_each([&](int value) { sum += value; });
    EXPECT_EQ(sum, 3);
}

} // namespace
} // namespace etran::wl
