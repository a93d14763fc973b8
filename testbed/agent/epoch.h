// SPDX-License-Identifier: MIT
// Copyright (c) The eTran artifact authors
//
// The node's side of virtual time: entering and leaving the epoch, and what may be done only
// outside of it. The virtual NIC does the work; testbed/qemu/src/vtnet_control.h has the protocol.
#pragma once

#include <array>
#include <cstdint>
#include <string>

#include "process.h"
#include "vtnet_control.h"

namespace etran::agent {

// Talks to the NIC; needs CAP_NET_RAW. Functions throw std::system_error or std::runtime_error.
class EpochLink {
  public:
    explicit EpochLink(const std::string &interface);

    // The node's clock stands until all nodes have joined. Returns CLOCK_MONOTONIC at time 0 of the
    // epoch, which is the same moment on all nodes to the nanosecond.
    int64_t join();

    // The node's clock stands until all nodes have left. Afterwards it runs free, and what the host
    // does (shares, consoles) can no longer disturb a measurement.
    void leave();

  private:
    vtnet_control ask(uint8_t op);

    Fd socket_;
    std::array<uint8_t, 6> address_{};
};

// Sets CLOCK_REALTIME; needs CAP_SYS_TIME.
void set_realtime(int64_t unix_ns);

// Mounts the 9p share `tag` on a fresh folder and copies the regular files of out_dir into it,
// `last` at the end: once that one is there, the set is complete. Unmounts.
void store_results(const std::string &tag, const std::string &out_dir, const std::string &last);

} // namespace etran::agent
