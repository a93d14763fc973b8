/* SPDX-License-Identifier: MIT
 * Copyright (c) The eTran artifact authors
 *
 * The two ways to run the switch. Each function is a whole program run: it returns the exit status.
 *   0   all VMs have left (virtual), or told to end (real)
 *   1   the network broke: a VM died, the file was garbled, an output could not be written
 *   2   wrong options or configuration, file or socket in use (thrown as std::runtime_error, main()
 * reports) 128 + signal   interrupted before the end (virtual)
 */
#ifndef ETRAN_SWITCH_MODES_H
#define ETRAN_SWITCH_MODES_H

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "switch_config.h"

namespace etran {

enum class CapturePoint { kIn = 1, kOut = 2, kBoth = 3 };

struct Outputs {
    std::string stats;       // JSON, written at the end; empty = none
    std::string pcap;        // empty = none
    std::string queue_trace; // empty = none
    CapturePoint capture = CapturePoint::kOut;
    std::vector<uint32_t> capture_ports; // empty = all

    /* Bit per port. Throws ConfigError for a port that does not exist. */
    uint32_t capture_mask(CapturePoint point, uint32_t ports) const;
};

struct VirtualOptions {
    std::string file; // shared file to create
    uint32_t spin = 0;
    uint32_t epochs = 1; // end after that many; 0 = when all VMs have detached
};

struct RealOptions {
    std::string dir; // of the sockets
};

int run_virtual(const VirtualOptions &options, SwitchConfig config, const Outputs &outputs);
int run_real(const RealOptions &options, SwitchConfig config, const Outputs &outputs);

/* One line of JSON on standard output, for the launcher. */
void report(const nlohmann::json &line);

/* Sampling is switched on if a queue trace is wanted and the configuration does not say how. */
void complete_sampling(SwitchConfig *config, const Outputs &outputs);

} // namespace etran

#endif
