// SPDX-License-Identifier: MIT
// Copyright (c) The eTran artifact authors
#include "common/alias_table.h"

#include <cmath>
#include <limits>
#include <stdexcept>

namespace etran::wl {

AliasTable::AliasTable(const std::vector<double> &weights) {
    constexpr uint32_t kWhole = std::numeric_limits<uint32_t>::max();
    double sum = 0;
    for (double weight : weights) {
        if (!(weight >= 0) || !std::isfinite(weight))
            throw std::invalid_argument("alias table: negative or undefined weight");
        sum += weight;
    }
    if (!(sum > 0))
        throw std::invalid_argument("alias table: all weights are zero");

    auto n = static_cast<uint32_t>(weights.size());
    std::vector<double> share(n);
    std::vector<uint32_t> small;
    std::vector<uint32_t> large;
    for (uint32_t i = 0; i < n; i++) {
        share[i] = weights[i] / sum * n;
        (share[i] < 1 ? small : large).push_back(i);
    }
    entries_.resize(n);
    while (!small.empty() && !large.empty()) {
        uint32_t low = small.back();
        uint32_t high = large.back();
        small.pop_back();
        entries_[low] = {static_cast<uint32_t>(share[low] * 0x1p32), high};
        share[high] -= 1 - share[low];
        if (share[high] < 1) {
            large.pop_back();
            small.push_back(high);
        }
    }
    // What is left is whole up to rounding.
    for (uint32_t i : small)
        entries_[i] = {kWhole, i};
    for (uint32_t i : large)
        entries_[i] = {kWhole, i};
}

} // namespace etran::wl
