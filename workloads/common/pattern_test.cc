// SPDX-License-Identifier: MIT
// Copyright (c) The eTran artifact authors
#include "common/pattern.h"

#include <vector>

#include <gtest/gtest.h>

namespace etran::wl {
namespace {

std::vector<std::byte> copy_of(const Body &body) {
    std::vector<std::byte> bytes;
    for (const std::span<const std::byte> &part : body.parts)
        bytes.insert(bytes.end(), part.begin(), part.end());
    return bytes;
}

const std::vector<uint32_t> kPositions = {0, 1, 12'345, Pattern::kPeriod / 2, Pattern::kPeriod - 1};

TEST(pattern, matches__its_own_bodies_of_all_lengths) {
    const Pattern &pattern = Pattern::get();
    for (uint32_t position : kPositions) {
        for (uint32_t bytes : {0U, 1U, 7U, 8U, 9U, 1000U, Pattern::kSpan - 1, Pattern::kSpan,
                               Pattern::kSpan + 1, 999'976U, Pattern::kPeriod}) {
            Body body = pattern.body(position, bytes);
            ASSERT_EQ(body.size(), bytes);
            std::vector<std::byte> data = copy_of(body);
            EXPECT_TRUE(pattern.matches(position, data)) << position << " " << bytes;
            EXPECT_EQ(pattern.first_difference(position, data), bytes);
        }
    }
}

TEST(pattern, matches__in_pieces_of_any_size) {
    const Pattern &pattern = Pattern::get();
    uint32_t start = Pattern::kPeriod - 700;
    std::vector<std::byte> data = copy_of(pattern.body(start, 300'000));
    Prng prng(1);
    for (size_t at = 0; at < data.size();) {
        size_t n = std::min<size_t>(1 + prng.below(5000), data.size() - at);
        ASSERT_TRUE(pattern.matches(Pattern::advance(start, at), std::span(data).subspan(at, n)));
        at += n;
    }
}

TEST(pattern, matches__detects_every_single_flipped_bit) {
    const Pattern &pattern = Pattern::get();
    std::vector<std::byte> data = copy_of(pattern.body(77, 257));
    for (size_t i = 0; i < data.size(); i++) {
        for (int bit = 0; bit < 8; bit++) {
            data[i] ^= std::byte{1} << bit;
            EXPECT_FALSE(pattern.matches(77, data));
            EXPECT_EQ(pattern.first_difference(77, data), i);
            data[i] ^= std::byte{1} << bit;
        }
    }
}

TEST(pattern, matches__detects_a_flipped_byte_anywhere_in_a_large_message) {
    const Pattern &pattern = Pattern::get();
    std::vector<std::byte> data = copy_of(pattern.body(Pattern::kPeriod - 5, 999'976));
    for (size_t i = 0; i < data.size(); i += 4999) {
        data[i] ^= std::byte{0x80};
        EXPECT_FALSE(pattern.matches(Pattern::kPeriod - 5, data)) << i;
        data[i] ^= std::byte{0x80};
    }
}

TEST(pattern, matches__detects_shifted_data) {
    const Pattern &pattern = Pattern::get();
    std::vector<std::byte> data = copy_of(pattern.body(100, 64));
    // One byte, a segment, a page, TSO's largest burst, a megabyte: no shift goes unnoticed.
    for (uint64_t shift : {1ULL, 1448ULL, 4096ULL, 65'536ULL, 1ULL << 20, 3ULL << 20})
        EXPECT_FALSE(pattern.matches(Pattern::advance(100, shift), data)) << shift;
}

TEST(pattern, start__spreads_over_the_period) {
    uint64_t sum = 0;
    for (uint64_t key = 0; key < 10'000; key++) {
        uint32_t start = Pattern::start(key);
        ASSERT_LT(start, Pattern::kPeriod);
        sum += start;
    }
    EXPECT_NEAR(static_cast<double>(sum) / 10'000, Pattern::kPeriod / 2.0, 10'000);
    EXPECT_NE(Pattern::start(1), Pattern::start(2));
}

TEST(pattern, bytes__look_random) {
    const Pattern &pattern = Pattern::get();
    std::array<int, 256> seen = {};
    for (uint32_t i = 0; i < 256 * 1000; i++)
        seen[static_cast<uint8_t>(*pattern.at(i))]++;
    for (int count : seen)
        EXPECT_NEAR(count, 1000, 160);
}

} // namespace
} // namespace etran::wl
