// SPDX-License-Identifier: MIT
// Copyright (c) The eTran artifact authors
//
// Message sizes drawn from a workload.
//
// How a table of percentiles becomes a distribution: sizes are the discrete points of the table,
// nothing between two points is invented. (The generator the table comes from also draws discrete
// points.) A uniform number u takes the size whose percentile is nearest to u, so that the quantile
// at each listed percentile is exactly the listed size and the mean is that of straight lines
// between the points. Sizes are then clamped to [min_bytes, max_bytes].
//
// Deciles are deciles of the message count. A size that straddles a decile's border (in W1, 8 B
// covers the lowest three) counts in each decile with its share: the class drawn for a message says
// which. So every decile holds exactly a tenth of the messages of every workload.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "common/alias_table.h"
#include "common/prng.h"
#include "common/size_table.h"

namespace etran::wl {

struct SizeClass {
    uint32_t bytes;
    int decile;         // 0..9; 0 for a fixed size
    double probability; // the classes' probabilities sum to 1
};

class SizeDistribution {
  public:
    static constexpr int kDeciles = 10;

    struct Limits {
        uint32_t min_bytes = 24; // the message header
        uint32_t max_bytes = 1'000'000;
    };

    // `spec` is a column of `table` ("w4") or "fixed:N". Throws UserError.
    static SizeDistribution parse(const std::string &spec, const SizeTable &table, Limits limits);

    // Index into classes().
    uint32_t sample(Prng &prng) const { return alias_.sample(prng.next()); }

    const std::vector<SizeClass> &classes() const { return classes_; }

    // Mean message size in bytes, after clamping.
    double mean() const;

    // Smallest size that at least the fraction q of all messages does not exceed, 0 < q <= 1.
    uint32_t quantile(double q) const;

    bool fixed() const { return classes_.size() == 1; }
    const std::string &spec() const { return spec_; }
    uint32_t max_bytes() const { return classes_.back().bytes; }

  private:
    SizeDistribution(std::string spec, std::vector<SizeClass> classes);

    std::string spec_;
    std::vector<SizeClass> classes_; // by size, then decile
    AliasTable alias_;
};

} // namespace etran::wl
