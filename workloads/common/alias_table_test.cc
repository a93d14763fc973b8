// SPDX-License-Identifier: MIT
// Copyright (c) The eTran artifact authors
#include "common/alias_table.h"

#include <stdexcept>

#include <gtest/gtest.h>

#include "common/prng.h"

namespace etran::wl {
namespace {

TEST(alias_table, sample__frequencies_follow_the_weights) {
    const std::vector<double> weights = {1, 0, 3, 6, 0.5};
    AliasTable table(weights);
    Prng prng(7);
    std::vector<double> seen(weights.size());
    constexpr int kDraws = 400'000;
    for (int i = 0; i < kDraws; i++)
        seen[table.sample(prng.next())]++;
    // Chi-square with 3 degrees of freedom (one weight is 0); 16.3 is its 99.9 % quantile. The seed
    // is fixed, so this either always holds or never.
    double chi_square = 0;
    for (size_t i = 0; i < weights.size(); i++) {
        double expected = kDraws * weights[i] / 10.5;
        if (expected == 0)
            EXPECT_EQ(seen[i], 0);
        else
            chi_square += (seen[i] - expected) * (seen[i] - expected) / expected;
    }
    EXPECT_LT(chi_square, 16.3);
}

TEST(alias_table, sample__extreme_random_words_stay_inside) {
    AliasTable table({0.1, 0.2, 0.7});
    EXPECT_LT(table.sample(0), 3U);
    EXPECT_LT(table.sample(~0ULL), 3U);
    EXPECT_EQ(AliasTable({5}).sample(~0ULL), 0U);
}

TEST(alias_table, constructor__refuses_bad_weights) {
    EXPECT_THROW(AliasTable({}), std::invalid_argument);
    EXPECT_THROW(AliasTable({0, 0}), std::invalid_argument);
    EXPECT_THROW(AliasTable({1, -1}), std::invalid_argument);
    EXPECT_THROW(AliasTable({1, 0.0 / 0.0}), std::invalid_argument);
}

} // namespace
} // namespace etran::wl
