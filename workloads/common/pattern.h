// SPDX-License-Identifier: MIT
// Copyright (c) The eTran artifact authors
//
// The payload pattern: what every byte of every message must be.
//
// One pseudo-random byte sequence, the same in every process, repeats with a period that is a prime
// just below 2^20. A message's body is the piece of it that starts at a position mixed from the
// message's identity. So sending costs no instruction per byte (the body is sent from where it
// lies), checking is one memcmp (16 to 32 bytes per instruction), and data that is lost, doubled,
// moved by any distance below the period, or taken from another message differs from what is
// expected: a message is mistaken for another only if both start at the same of 1,048,573 places.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>

#include "common/prng.h"

namespace etran::wl {

// The body of an outgoing message: one or two pieces of memory that outlive every transport.
struct Body {
    std::array<std::span<const std::byte>, 2> parts;

    size_t size() const { return parts[0].size() + parts[1].size(); }
};

class Pattern {
  public:
    static constexpr uint32_t kPeriod = 1'048'573;
    static constexpr uint32_t kSpan = 128 * 1024; // contiguous from every position

    // The one pattern of this process (1.2 MB), made at the first call by two million instructions:
    // call it before the load starts. Thread-safe.
    static const Pattern &get() {
        static const Pattern *const kPattern = make();
        return *kPattern;
    }

    // Where the body of the message with this identity starts.
    static uint32_t start(uint64_t key) {
        return static_cast<uint32_t>(
            (static_cast<unsigned __int128>(mix64(key + 0x9e3779b97f4a7c15ULL)) * kPeriod) >> 64);
    }

    static uint32_t advance(uint32_t position, uint64_t bytes) {
        return static_cast<uint32_t>((position + bytes) % kPeriod);
    }

    // Up to kSpan bytes from `position` (below kPeriod) on.
    const std::byte *at(uint32_t position) const { return bytes_ + position; }

    // `bytes` <= kPeriod from `position` on, without copying.
    Body body(uint32_t position, uint32_t bytes) const {
        Body body;
        body.parts[0] = {bytes_ + position, bytes};
        uint32_t contiguous = kPeriod + kSpan - position;
        if (bytes > contiguous) {
            body.parts[0] = {bytes_ + position, contiguous};
            body.parts[1] = {bytes_ + advance(position, contiguous), bytes - contiguous};
        }
        return body;
    }

    // Whether `data` is the sequence from `position` on. Any length.
    bool matches(uint32_t position, std::span<const std::byte> data) const {
        if (data.size() <= kSpan) [[likely]]
            return std::memcmp(bytes_ + position, data.data(), data.size()) == 0;
        return matches_long(position, data);
    }

    // Index of the first byte that differs, or data.size().
    size_t first_difference(uint32_t position, std::span<const std::byte> data) const;

    Pattern(const Pattern &) = delete;
    Pattern &operator=(const Pattern &) = delete;

  private:
    static const Pattern *make();
    bool matches_long(uint32_t position, std::span<const std::byte> data) const;

    Pattern();
    ~Pattern() = default; // never run: messages may point here until the process ends

    std::byte *bytes_; // kPeriod + kSpan of them
};

} // namespace etran::wl
