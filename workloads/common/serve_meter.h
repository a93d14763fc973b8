// SPDX-License-Identifier: MIT
// Copyright (c) The eTran artifact authors
//
// What a server has done inside the measured window. A server has no clock of its own to measure
// by: either it was told the window (--start-at-ns), or its window is first to last request.
#pragma once

#include <algorithm>
#include <cstdint>

#include "common/clock.h"
#include "common/recorder.h"

namespace etran::wl {

// Counts that only grow.
struct ServeCounts {
    uint64_t ops = 0;
    uint64_t rx_bytes = 0;
    uint64_t tx_bytes = 0;
};

class ServeMeter {
  public:
    ServeMeter() = default;
    explicit ServeMeter(const Window &window) : window_(window), told_(true) {}

    // Call after each turn of the event loop, with everything done so far.
    void note(int64_t now, const ServeCounts &counts) {
        if (!told_) {
            if (counts.ops == at_end_.ops && counts.rx_bytes == at_end_.rx_bytes)
                return;
            if (window_.begin == 0)
                window_.begin = now;
            window_.end = now;
            at_end_ = counts;
            return;
        }
        if (now < window_.begin)
            at_begin_ = counts;
        if (now < window_.end)
            at_end_ = counts;
    }

    ServeCounts inside() const {
        return {at_end_.ops - at_begin_.ops, at_end_.rx_bytes - at_begin_.rx_bytes,
                at_end_.tx_bytes - at_begin_.tx_bytes};
    }
    int64_t length() const { return window_.length(); }
    // When to call note() even if nothing happens.
    int64_t next_deadline(int64_t now) const {
        if (told_ && now < window_.begin)
            return window_.begin;
        return told_ && now < window_.end ? window_.end : kNever;
    }

  private:
    Window window_;
    bool told_ = false;
    ServeCounts at_begin_;
    ServeCounts at_end_;
};

} // namespace etran::wl
