// SPDX-License-Identifier: MIT
// Copyright (c) The eTran artifact authors
//
// Random numbers: xoshiro256++ (Blackman and Vigna, public domain algorithm), seeded by SplitMix64.
// The same seed gives the same sequence on every machine; nothing here reads a clock or a device.
#pragma once

#include <bit>
#include <cmath>
#include <cstdint>

namespace etran::wl {

// A bijective 64-bit mixer (the finaliser of SplitMix64).
constexpr uint64_t mix64(uint64_t x) {
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ULL;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebULL;
    return x ^ (x >> 31);
}

// What a stream of random numbers is for. Streams of different purpose or index are independent,
// so that for example a second thread does not change what the first one sends.
// Never renumber: recorded results are tied to these values.
enum class Purpose : uint64_t { kArrivals = 1, kSizes = 2, kPeers = 3, kKeys = 4, kOperations = 5 };

constexpr uint64_t derive_seed(uint64_t seed, Purpose purpose, uint64_t index) {
    uint64_t s = mix64(seed + 0x9e3779b97f4a7c15ULL);
    s = mix64(s + static_cast<uint64_t>(purpose) * 0x9e3779b97f4a7c15ULL);
    return mix64(s + (index + 1) * 0x9e3779b97f4a7c15ULL);
}

class Prng {
  public:
    explicit Prng(uint64_t seed) {
        for (uint64_t &word : s_) {
            seed += 0x9e3779b97f4a7c15ULL;
            word = mix64(seed);
        }
    }

    uint64_t next() {
        uint64_t result = std::rotl(s_[0] + s_[3], 23) + s_[0];
        uint64_t t = s_[1] << 17;
        s_[2] ^= s_[0];
        s_[3] ^= s_[1];
        s_[1] ^= s_[2];
        s_[0] ^= s_[3];
        s_[2] ^= t;
        s_[3] = std::rotl(s_[3], 45);
        return result;
    }

    // Uniform in [0, n), n > 0. The bias is below n / 2^64.
    uint64_t below(uint64_t n) {
        return static_cast<uint64_t>((static_cast<unsigned __int128>(next()) * n) >> 64);
    }

    // Uniform in (0, 1]: never 0, so that its logarithm exists.
    double unit() { return static_cast<double>((next() >> 11) + 1) * 0x1p-53; }

    // Exponentially distributed with the given mean.
    double exponential(double mean) { return -std::log(unit()) * mean; }

  private:
    uint64_t s_[4];
};

} // namespace etran::wl
