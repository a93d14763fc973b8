// SPDX-License-Identifier: MIT
// Copyright (c) The eTran artifact authors
#include "common/zipf.h"

#include <cmath>
#include <vector>

#include <gtest/gtest.h>

namespace etran::wl {
namespace {

TEST(zipf, sample__frequencies_follow_the_law) {
    constexpr uint32_t kKeys = 1000;
    constexpr int kDraws = 1'000'000;
    KeyChooser keys = KeyChooser::zipf(kKeys, 0.99);
    Prng prng(9);
    std::vector<double> seen(kKeys);
    for (int i = 0; i < kDraws; i++)
        seen[keys.sample(prng)]++;
    double harmonic = 0;
    for (uint32_t k = 0; k < kKeys; k++)
        harmonic += std::pow(k + 1.0, -0.99);
    double chi_square = 0;
    for (uint32_t k = 0; k < kKeys; k++) {
        double expected = kDraws * std::pow(k + 1.0, -0.99) / harmonic;
        chi_square += (seen[k] - expected) * (seen[k] - expected) / expected;
    }
    EXPECT_LT(chi_square, 999 + 4 * std::sqrt(2 * 999.0));
    EXPECT_GT(seen[0], 9 * seen[9] * 0.9) << "the first key is about ten times the tenth";
}

TEST(zipf, sample__theta_0_is_uniform) {
    KeyChooser keys = KeyChooser::zipf(4, 0);
    Prng prng(9);
    std::vector<int> seen(4);
    for (int i = 0; i < 40'000; i++)
        seen[keys.sample(prng)]++;
    for (int count : seen)
        EXPECT_NEAR(count, 10'000, 400);
}

TEST(zipf, uniform__covers_all_keys) {
    KeyChooser keys = KeyChooser::uniform(100);
    Prng prng(9);
    std::vector<int> seen(100);
    for (int i = 0; i < 100'000; i++)
        seen[keys.sample(prng)]++;
    for (int count : seen)
        EXPECT_NEAR(count, 1000, 140);
}

TEST(zipf, one_key) {
    Prng prng(1);
    EXPECT_EQ(KeyChooser::zipf(1, 0.99).sample(prng), 0U);
    EXPECT_EQ(KeyChooser::uniform(1).sample(prng), 0U);
}

} // namespace
} // namespace etran::wl
