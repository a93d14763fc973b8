// SPDX-License-Identifier: MIT
// Copyright (c) The eTran artifact authors
#include "common/distribution.h"

#include <array>
#include <map>

#include <gtest/gtest.h>

#include "common/error.h"

namespace etran::wl {
namespace {

class distribution : public testing::TestWithParam<const char *> {
  protected:
    SizeTable table_ = parse_size_table(builtin_size_table_text(), "built in");
    SizeDistribution make(const std::string &spec) {
        return SizeDistribution::parse(spec, table_, {24, 1'000'000});
    }
};

TEST_P(distribution, quantile__is_the_tables_at_each_percentile) {
    SizeDistribution sizes = make(GetParam());
    const SizeTable::Column *column = table_.find(GetParam());
    for (size_t i = 0; i < table_.percentiles.size(); i++) {
        uint64_t expected = std::clamp<uint64_t>(column->sizes[i], 24, 1'000'000);
        EXPECT_EQ(sizes.quantile(table_.percentiles[i] / 100), expected)
            << "P" << table_.percentiles[i];
    }
}

TEST_P(distribution, mean__is_that_of_straight_lines_between_the_points) {
    SizeDistribution sizes = make(GetParam());
    const SizeTable::Column *column = table_.find(GetParam());
    auto size = [&](size_t i) {
        return static_cast<double>(std::clamp<uint64_t>(column->sizes[i], 24, 1'000'000));
    };
    double mean = size(0) * table_.percentiles[0] / 100;
    for (size_t i = 1; i < table_.percentiles.size(); i++) {
        mean +=
            (size(i - 1) + size(i)) / 2 * (table_.percentiles[i] - table_.percentiles[i - 1]) / 100;
    }
    EXPECT_NEAR(sizes.mean(), mean, mean * 1e-9);
}

TEST_P(distribution, sample__frequencies_follow_the_probabilities) {
    SizeDistribution sizes = make(GetParam());
    Prng prng(11);
    constexpr double kDraws = 500'000;
    std::vector<double> seen(sizes.classes().size());
    double sum = 0;
    for (int i = 0; i < static_cast<int>(kDraws); i++) {
        uint32_t drawn = sizes.sample(prng);
        seen[drawn]++;
        sum += sizes.classes()[drawn].bytes;
    }
    double chi_square = 0;
    for (size_t i = 0; i < seen.size(); i++) {
        double expected = kDraws * sizes.classes()[i].probability;
        chi_square += (seen[i] - expected) * (seen[i] - expected) / expected;
    }
    // About the 99.9 % quantile: degrees of freedom plus four standard deviations.
    auto freedom = static_cast<double>(seen.size() - 1);
    EXPECT_LT(chi_square, freedom + 4 * std::sqrt(2 * freedom));
    EXPECT_NEAR(sum / kDraws, sizes.mean(), sizes.mean() * 0.05);
}

TEST_P(distribution, classes__each_decile_holds_a_tenth) {
    SizeDistribution sizes = make(GetParam());
    std::array<double, SizeDistribution::kDeciles> mass = {};
    std::array<uint32_t, SizeDistribution::kDeciles> hi = {};
    uint32_t last = 0;
    for (const SizeClass &c : sizes.classes()) {
        ASSERT_GE(c.bytes, last) << "classes are in order of size";
        last = c.bytes;
        mass[static_cast<size_t>(c.decile)] += c.probability;
        hi[static_cast<size_t>(c.decile)] = c.bytes;
    }
    for (size_t i = 0; i < mass.size(); i++)
        EXPECT_NEAR(mass[i], 0.1, 1e-9) << "decile " << i;
    EXPECT_EQ(hi[4], sizes.quantile(0.5));
}

INSTANTIATE_TEST_SUITE_P(workloads, distribution, testing::Values("w1", "w2", "w3", "w4", "w5"));

using distribution_spec = distribution;

TEST_F(distribution_spec, parse__means_are_the_published_ones) {
    // Means of the Homa papers' workloads after truncation, in bytes; the table has 59 points of
    // each, so they are met within a few percent (W2's only within 10 %, its mean is a thin tail).
    EXPECT_NEAR(make("w2").mean(), 433, 45);
    EXPECT_NEAR(make("w3").mean(), 2'423, 50);
    EXPECT_NEAR(make("w4").mean(), 60'175, 600);
    EXPECT_NEAR(make("w5").mean(), 385'315, 4'000);
}

TEST_F(distribution_spec, parse__fixed) {
    SizeDistribution sizes = make("fixed:1000");
    EXPECT_TRUE(sizes.fixed());
    EXPECT_EQ(sizes.mean(), 1000);
    Prng prng(1);
    EXPECT_EQ(sizes.sample(prng), 0U);
    EXPECT_EQ(sizes.quantile(0.5), 1000U);
}

TEST_F(distribution_spec, parse__bad) {
    for (const char *spec : {"", "w6", "fixed:", "fixed:x", "fixed:23", "fixed:1000001",
                             "fixed:32x", "fixed:-5", "fixed:99999999999999999999", "W4"})
        EXPECT_THROW(make(spec), UserError) << spec;
}

TEST_F(distribution_spec, parse__clamps_to_the_limits) {
    SizeDistribution sizes = SizeDistribution::parse("w1", table_, {64, 128});
    EXPECT_EQ(sizes.quantile(0.01), 64U);
    EXPECT_EQ(sizes.quantile(1), 128U);
    EXPECT_EQ(sizes.max_bytes(), 128U);
}

} // namespace
} // namespace etran::wl
