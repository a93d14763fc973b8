/* SPDX-License-Identifier: MIT
 * Copyright (c) The eTran artifact authors
 */
#include "modes.h"

#include <fmt/format.h>

#include <cstdio>

namespace etran {

uint32_t Outputs::capture_mask(CapturePoint point, uint32_t ports) const {
    uint32_t mask = 0;

    for (uint32_t p : capture_ports) {
        if (p >= ports)
            throw ConfigError(fmt::format("--pcap-port: {}, permitted 0..{}", p, ports - 1));
        mask |= 1u << p;
    }
    if (capture_ports.empty())
        mask = (1u << ports) - 1;
    return static_cast<int>(capture) & static_cast<int>(point) ? mask : 0;
}

void report(const nlohmann::json &line) {
    fmt::print("{}\n", line.dump());
    std::fflush(stdout);
}

void complete_sampling(SwitchConfig *config, const Outputs &outputs) {
    if (!outputs.queue_trace.empty() && config->model.sample_ps == TOR_SAMPLE_OFF)
        config->model.sample_ps = 1000 * TOR_NS;
}

} // namespace etran
