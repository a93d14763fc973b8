// SPDX-License-Identifier: MIT
// Copyright (c) The eTran artifact authors
#include "common/pattern.h"

#include <algorithm>
#include <cstring>
#include <new>

#include <sys/mman.h>

namespace etran::wl {

Pattern::Pattern() {
    constexpr size_t kWords = kPeriod / sizeof(uint64_t) + 1;
    constexpr size_t kBytes = kWords * sizeof(uint64_t) + kSpan;
    void *memory =
        mmap(nullptr, kBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED)
        throw std::bad_alloc();
    bytes_ = static_cast<std::byte *>(memory);
    for (size_t i = 0; i < kWords; i++) {
        uint64_t word = mix64((i + 1) * 0x9e3779b97f4a7c15ULL);
        std::memcpy(bytes_ + i * sizeof(word), &word, sizeof(word));
    }
    std::memcpy(bytes_ + kPeriod, bytes_, kSpan);
    // Nobody may write here afterwards: a stray write would make good data look corrupt.
    mprotect(memory, kBytes, PROT_READ);
}

const Pattern *Pattern::make() {
    return new Pattern;
}

bool Pattern::matches_long(uint32_t position, std::span<const std::byte> data) const {
    while (!data.empty()) {
        size_t n = std::min<size_t>(data.size(), kSpan);
        if (std::memcmp(bytes_ + position, data.data(), n) != 0)
            return false;
        data = data.subspan(n);
        position = advance(position, n);
    }
    return true;
}

size_t Pattern::first_difference(uint32_t position, std::span<const std::byte> data) const {
    for (size_t i = 0; i < data.size(); i++) {
        if (data[i] != bytes_[advance(position, i)])
            return i;
    }
    return data.size();
}

} // namespace etran::wl
