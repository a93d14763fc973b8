// SPDX-License-Identifier: MIT
// Copyright (c) The eTran artifact authors
#include "common/histogram.h"

#include <algorithm>
#include <cmath>
#include <new>

#include <sys/mman.h>

namespace etran::wl {
namespace {

constexpr size_t kBytes = Histogram::kBuckets * sizeof(uint32_t);

} // namespace

// mmap and not new: the pages must stay untouched until a value falls into them.
Histogram::Histogram() {
    void *memory =
        mmap(nullptr, kBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED)
        throw std::bad_alloc();
    counts_ = static_cast<uint32_t *>(memory);
}

Histogram::~Histogram() {
    if (counts_ != nullptr)
        munmap(counts_, kBytes);
}

Histogram::Histogram(Histogram &&other) noexcept
    : counts_(std::exchange(other.counts_, nullptr)), count_(other.count_), sum_(other.sum_),
      min_(other.min_), max_(other.max_) {}

Histogram &Histogram::operator=(Histogram &&other) noexcept {
    std::swap(counts_, other.counts_);
    count_ = other.count_;
    sum_ = other.sum_;
    min_ = other.min_;
    max_ = other.max_;
    return *this;
}

void Histogram::merge(const Histogram &other) {
    if (other.count_ == 0)
        return;
    size_t last = bucket_of(other.max_);
    for (size_t i = bucket_of(other.min_); i <= last; i++) {
        // Reading an untouched page is cheap, writing it would allocate it.
        if (other.counts_[i] != 0)
            counts_[i] += other.counts_[i];
    }
    count_ += other.count_;
    sum_ += other.sum_;
    min_ = std::min(min_, other.min_);
    max_ = std::max(max_, other.max_);
}

double Histogram::mean() const {
    return count_ == 0 ? 0 : static_cast<double>(sum_) / static_cast<double>(count_);
}

std::optional<uint64_t> Histogram::quantile(double q, uint64_t missing) const {
    if (count_ == 0)
        return std::nullopt;
    auto total = static_cast<double>(count_ + missing);
    // The epsilon keeps 0.99 * 100 at rank 99 although 0.99 is not a binary fraction.
    auto rank = static_cast<uint64_t>(std::ceil(q * total - 1e-9 * total));
    rank = std::max<uint64_t>(rank, 1);
    if (rank > count_)
        return std::nullopt;
    uint64_t seen = 0;
    for (size_t i = bucket_of(min_);; i++) {
        seen += counts_[i];
        if (seen >= rank)
            return std::clamp(value_of(i), min_, max_);
    }
}

std::optional<uint64_t> Histogram::percentile(double q, uint64_t missing) const {
    if (q > 0.5 && static_cast<double>(count_ + missing) * (1 - q) < 10 * (1 - 1e-9))
        return std::nullopt;
    return quantile(q, missing);
}

std::vector<std::pair<uint64_t, uint64_t>> Histogram::sparse() const {
    std::vector<std::pair<uint64_t, uint64_t>> result;
    if (count_ == 0)
        return result;
    size_t last = bucket_of(max_);
    for (size_t i = bucket_of(min_); i <= last; i++) {
        if (counts_[i] != 0)
            result.emplace_back(value_of(i), counts_[i]);
    }
    return result;
}

uint64_t Histogram::value_of(size_t bucket) {
    if (bucket < (2U << kSubBits))
        return bucket;
    size_t shift = (bucket >> kSubBits) - 1;
    uint64_t low = (bucket - (shift << kSubBits)) << shift;
    return low + (1ULL << shift) / 2;
}

} // namespace etran::wl
