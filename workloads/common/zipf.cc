// SPDX-License-Identifier: MIT
// Copyright (c) The eTran artifact authors
#include "common/zipf.h"

#include <cmath>
#include <vector>

namespace etran::wl {

KeyChooser KeyChooser::zipf(uint32_t keys, double theta) {
    std::vector<double> weights(keys);
    for (uint32_t k = 0; k < keys; k++)
        weights[k] = std::pow(k + 1.0, -theta);
    return KeyChooser(keys, AliasTable(weights));
}

} // namespace etran::wl
