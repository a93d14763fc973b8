// SPDX-License-Identifier: MIT
// Copyright (c) The eTran artifact authors
//
// Sampling from a discrete distribution in constant time (Walker's alias method, Vose's set-up).
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace etran::wl {

class AliasTable {
  public:
    // `weights` need not be normalised; none may be negative and their sum must be positive.
    // Throws std::invalid_argument otherwise. O(n) time, 8 bytes per entry.
    explicit AliasTable(const std::vector<double> &weights);

    // Maps one uniformly distributed 64-bit word to an index. About ten instructions.
    uint32_t sample(uint64_t random) const {
        auto wide = static_cast<unsigned __int128>(random) * entries_.size();
        auto index = static_cast<uint32_t>(wide >> 64);
        auto fraction = static_cast<uint32_t>(wide >> 32);
        const Entry &entry = entries_[index];
        return fraction < entry.threshold ? index : entry.alias;
    }

    size_t size() const { return entries_.size(); }

  private:
    struct Entry {
        uint32_t threshold; // share of this cell (of 2^32) that belongs to its own index
        uint32_t alias;     // owner of the rest
    };
    std::vector<Entry> entries_;
};

} // namespace etran::wl
