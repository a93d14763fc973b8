// SPDX-License-Identifier: MIT
// Copyright (c) The eTran artifact authors
#include "common/histogram.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include <gtest/gtest.h>

#include "common/prng.h"

namespace etran::wl {
namespace {

// Values over the whole range, log-uniformly.
std::vector<uint64_t> values(uint64_t seed, size_t n) {
    Prng prng(seed);
    std::vector<uint64_t> result(n);
    for (uint64_t &value : result)
        value = prng.next() >> (28 + prng.below(36));
    return result;
}

void expect_close(uint64_t value, uint64_t model) {
    EXPECT_LE(std::abs(static_cast<double>(value) - static_cast<double>(model)),
              static_cast<double>(model) * 0.0005 + 0.5);
}

TEST(histogram, quantile__agrees_with_a_sorted_vector) {
    for (uint64_t seed = 1; seed <= 5; seed++) {
        std::vector<uint64_t> model = values(seed, 3000 + seed);
        Histogram histogram;
        for (uint64_t value : model)
            histogram.record(static_cast<int64_t>(value));
        std::sort(model.begin(), model.end());
        for (double q : {0.0001, 0.01, 0.1, 0.25, 0.5, 0.75, 0.9, 0.99, 0.999, 1.0}) {
            auto rank = static_cast<size_t>(std::ceil(q * static_cast<double>(model.size())));
            uint64_t expected = model[std::max<size_t>(rank, 1) - 1];
            ASSERT_TRUE(histogram.quantile(q).has_value());
            expect_close(*histogram.quantile(q), expected);
        }
        EXPECT_EQ(histogram.count(), model.size());
        EXPECT_EQ(histogram.min(), model.front());
        EXPECT_EQ(histogram.max(), model.back());
        double sum = std::accumulate(model.begin(), model.end(), 0.0);
        EXPECT_NEAR(histogram.mean(), sum / static_cast<double>(model.size()), 1e-3);
    }
}

TEST(histogram, quantile__exact_below_2048) {
    Histogram histogram;
    for (int i = 1; i <= 100; i++)
        histogram.record(i);
    EXPECT_EQ(histogram.quantile(0.5), 50U);
    EXPECT_EQ(histogram.quantile(0.99), 99U); // 0.99 * 100 is rank 99, not 100
    EXPECT_EQ(histogram.quantile(1), 100U);
}

TEST(histogram, quantile__unfinished_count_as_larger_than_everything) {
    Histogram histogram;
    for (int i = 1; i <= 90; i++)
        histogram.record(i);
    EXPECT_EQ(histogram.quantile(0.5, 10), 50U);
    EXPECT_EQ(histogram.quantile(0.9, 10), 90U);
    EXPECT_EQ(histogram.quantile(0.91, 10), std::nullopt);
}

TEST(histogram, percentile__needs_enough_samples) {
    Histogram histogram;
    EXPECT_EQ(histogram.percentile(0.5), std::nullopt);
    histogram.record(7);
    EXPECT_EQ(histogram.percentile(0.5), 7U);
    EXPECT_EQ(histogram.percentile(0.9), std::nullopt);
    for (int i = 1; i < 999; i++)
        histogram.record(7);
    EXPECT_EQ(histogram.percentile(0.9), 7U);
    EXPECT_EQ(histogram.percentile(0.99), std::nullopt) << "999 samples";
    histogram.record(7);
    EXPECT_EQ(histogram.percentile(0.99), 7U) << "1000 samples";
    EXPECT_EQ(histogram.percentile(0.999), std::nullopt);
}

TEST(histogram, record__weight_0_changes_nothing) {
    Histogram histogram;
    histogram.record(5000, 0);
    EXPECT_EQ(histogram.count(), 0U);
    EXPECT_EQ(histogram.min(), 0U);
    EXPECT_EQ(histogram.max(), 0U);
    EXPECT_TRUE(histogram.sparse().empty());
}

TEST(histogram, record__clamps_what_is_too_large) {
    Histogram histogram;
    int64_t huge = int64_t{1} << 50;
    histogram.record(huge);
    EXPECT_EQ(histogram.max(), static_cast<uint64_t>(huge));
    EXPECT_EQ(histogram.quantile(1), static_cast<uint64_t>(huge)) << "clamped to min and max";
}

TEST(histogram, merge__is_recording_all_in_one) {
    std::vector<uint64_t> a = values(1, 500);
    std::vector<uint64_t> b = values(2, 700);
    Histogram first;
    Histogram second;
    Histogram both;
    for (uint64_t value : a) {
        first.record(static_cast<int64_t>(value));
        both.record(static_cast<int64_t>(value));
    }
    for (uint64_t value : b) {
        second.record(static_cast<int64_t>(value));
        both.record(static_cast<int64_t>(value));
    }
    first.merge(second);
    first.merge(Histogram());
    EXPECT_EQ(first.sparse(), both.sparse());
    EXPECT_EQ(first.count(), both.count());
    EXPECT_EQ(first.min(), both.min());
    EXPECT_EQ(first.max(), both.max());
    EXPECT_EQ(first.mean(), both.mean());
}

TEST(histogram, sparse__reproduces_count_and_quantiles) {
    std::vector<uint64_t> model = values(3, 2000);
    Histogram histogram;
    for (uint64_t value : model)
        histogram.record(static_cast<int64_t>(value));
    uint64_t total = 0;
    uint64_t last = 0;
    std::optional<uint64_t> median;
    for (auto [value, count] : histogram.sparse()) {
        EXPECT_TRUE(total == 0 || value > last);
        last = value;
        total += count;
        if (!median && total >= 1000)
            median = value;
    }
    EXPECT_EQ(total, 2000U);
    EXPECT_EQ(median, histogram.quantile(0.5));
}

TEST(histogram, buckets__every_value_is_near_its_representative) {
    for (int bit = 0; bit < Histogram::kMaxBits; bit++) {
        for (uint64_t value : {(1ULL << bit), (1ULL << bit) + 1, (2ULL << bit) - 1}) {
            if (value >> Histogram::kMaxBits != 0)
                continue;
            size_t bucket = Histogram::bucket_of(value);
            ASSERT_LT(bucket, Histogram::kBuckets);
            expect_close(Histogram::value_of(bucket), value);
            EXPECT_EQ(Histogram::bucket_of(Histogram::value_of(bucket)), bucket);
        }
    }
    EXPECT_EQ(Histogram::bucket_of(~0ULL), Histogram::kBuckets - 1);
}

TEST(histogram, move__leaves_a_usable_target) {
    Histogram a;
    a.record(5);
    Histogram b = std::move(a);
    EXPECT_EQ(b.count(), 1U);
    Histogram c;
    c = std::move(b);
    EXPECT_EQ(c.quantile(1), 5U);
}

} // namespace
} // namespace etran::wl
