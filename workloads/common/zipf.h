// SPDX-License-Identifier: MIT
// Copyright (c) The eTran artifact authors
//
// Which of n keys the next operation uses: uniform, or Zipf (key k with weight 1 / (k + 1)^theta,
// exact, not the usual approximation). Key 0 is the most popular.
#pragma once

#include <cstdint>
#include <optional>

#include "common/alias_table.h"
#include "common/prng.h"

namespace etran::wl {

class KeyChooser {
  public:
    static KeyChooser uniform(uint32_t keys) { return KeyChooser(keys, std::nullopt); }

    // O(keys) time, 8 bytes per key. theta >= 0; theta = 0 is uniform.
    static KeyChooser zipf(uint32_t keys, double theta);

    uint32_t sample(Prng &prng) const {
        uint64_t random = prng.next();
        if (alias_)
            return alias_->sample(random);
        return static_cast<uint32_t>((static_cast<unsigned __int128>(random) * keys_) >> 64);
    }

    uint32_t keys() const { return keys_; }

  private:
    KeyChooser(uint32_t keys, std::optional<AliasTable> alias)
        : keys_(keys), alias_(std::move(alias)) {}

    uint32_t keys_;
    std::optional<AliasTable> alias_;
};

} // namespace etran::wl
