// SPDX-License-Identifier: MIT
// Copyright (c) The eTran artifact authors
//
// Time. All times inside the programs are nanoseconds of CLOCK_MONOTONIC; only the common start of
// several nodes (--start-at-ns) is CLOCK_REALTIME, and is converted once.
#pragma once

#include <cstdint>
#include <ctime>
#include <limits>

namespace etran::wl {

constexpr int64_t kNever = std::numeric_limits<int64_t>::max();
constexpr int64_t kNsPerUs = 1000;
constexpr int64_t kNsPerMs = 1000 * 1000;
constexpr int64_t kNsPerSec = 1000 * 1000 * 1000;

inline int64_t clock_ns(clockid_t id) {
    timespec ts;
    clock_gettime(id, &ts);
    return static_cast<int64_t>(ts.tv_sec) * kNsPerSec + ts.tv_nsec;
}

// A vDSO call: a few dozen instructions, no system call.
inline int64_t mono_ns() {
    return clock_ns(CLOCK_MONOTONIC);
}

inline int64_t real_ns() {
    return clock_ns(CLOCK_REALTIME);
}

// The CLOCK_MONOTONIC time of a CLOCK_REALTIME instant. Valid until somebody steps the real clock.
inline int64_t mono_from_real(int64_t real) {
    int64_t before = mono_ns();
    int64_t now = real_ns();
    int64_t after = mono_ns();
    return real - now + before + (after - before) / 2;
}

} // namespace etran::wl
