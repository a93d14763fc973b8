// SPDX-License-Identifier: MIT
// Copyright (c) The eTran artifact authors
//
// Latency histogram with a bounded relative error, in the manner of HdrHistogram: values below
// 2,048 are exact, above that each power of two has 1,024 equal buckets, so that a bucket's
// representative (its middle) is within 0.05 % of every value in it: three significant digits.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

namespace etran::wl {

// Single-threaded; merge() combines the histograms of several threads. The 112 KiB of counters are
// mapped but touched only where values fall, so that an unused histogram costs no memory.
class Histogram {
  public:
    static constexpr int kSubBits = 10;
    static constexpr int kMaxBits = 36; // values up to 2^36 ns = 68.7 s; larger ones are clamped
    static constexpr size_t kBuckets = (kMaxBits - kSubBits + 1) << kSubBits;

    Histogram(); // throws std::bad_alloc
    ~Histogram();
    Histogram(Histogram &&other) noexcept;
    Histogram &operator=(Histogram &&other) noexcept;
    Histogram(const Histogram &) = delete;
    Histogram &operator=(const Histogram &) = delete;

    // Counts `ns` `weight` times (0 or 1). Weight 0 is for warm-up: it changes no statistic, but
    // takes the page fault of the counter now and not in the measured window. ns >= 0.
    void record(int64_t ns, uint32_t weight = 1) {
        auto value = static_cast<uint64_t>(ns);
        counts_[bucket_of(value)] += weight;
        count_ += weight;
        if (weight == 0)
            return;
        sum_ += value;
        min_ = value < min_ ? value : min_;
        max_ = value > max_ ? value : max_;
    }

    void merge(const Histogram &other);

    uint64_t count() const { return count_; }
    uint64_t min() const { return count_ == 0 ? 0 : min_; } // exact
    uint64_t max() const { return max_; }                   // exact
    double mean() const;                                    // exact

    // The value that the fraction q (0 < q <= 1) of all samples does not exceed. `missing` samples
    // that never finished count as larger than everything. Nothing if the answer is among those, or
    // if there are no samples.
    std::optional<uint64_t> quantile(double q, uint64_t missing = 0) const;

    // Like quantile(), but also nothing for a tail percentile (q > 0.5) from fewer than 10 / (1 -
    // q) samples: fewer than ten lie beyond it, which is noise.
    std::optional<uint64_t> percentile(double q, uint64_t missing = 0) const;

    // The non-empty buckets as (representative value, count), in increasing order.
    std::vector<std::pair<uint64_t, uint64_t>> sparse() const;

    static size_t bucket_of(uint64_t value) {
        if (value >> kMaxBits != 0)
            return kBuckets - 1;
        int shift = 63 - kSubBits - std::countl_zero(value | (1ULL << kSubBits));
        return (static_cast<size_t>(shift) << kSubBits) + (value >> shift);
    }

    // The middle of a bucket (the value itself where buckets are exact).
    static uint64_t value_of(size_t bucket);

  private:
    uint32_t *counts_;
    uint64_t count_ = 0;
    uint64_t sum_ = 0;
    uint64_t min_ = UINT64_MAX;
    uint64_t max_ = 0;
};

} // namespace etran::wl
