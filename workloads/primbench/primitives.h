// SPDX-License-Identifier: MIT
// Copyright (c) The eTran artifact authors
//
// What the operations cost of which a transport's path is made. Each function measures one of them
// on the calling thread and fills a histogram with the cost of one operation in ns. Throws
// UserError if the kernel refuses what is to be measured.
#pragma once

#include <cstddef>
#include <string_view>
#include <vector>

#include "common/histogram.h"

namespace etran::wl {

struct Primitive {
    std::string_view name; // as the result file and the plot have it
    // One sample is the mean over a batch where a single operation is too short for the clock.
    void (*measure)(Histogram &histogram, size_t samples);
};

// In the order of the result. To add one: a function in primitives.cc and an entry in its table.
const std::vector<Primitive> &primitives();

} // namespace etran::wl
