// SPDX-License-Identifier: MIT
// Copyright (c) The eTran artifact authors
//
// How the workload programs fail: what happened, where, what to do, and a fixed set of exit codes.
#pragma once

#include <stdexcept>
#include <string>
#include <utility>

namespace etran::wl {

// Exit codes of every program in this folder (part of their interface, see README.md).
enum ExitCode : int {
    kExitOk = 0,          // measured, everything verified
    kExitFailed = 1,      // payload mismatch, lost peer, or nothing could be measured
    kExitUsage = 2,       // bad arguments, port in use, server absent, file not writable
    kExitInterrupted = 3, // SIGTERM or SIGINT before the window ended (clients only)
};

// A failure that the user can act on. Thrown during set-up only, never from a data path.
class UserError : public std::runtime_error {
  public:
    UserError(const std::string &what, std::string hint, ExitCode code = kExitUsage)
        : std::runtime_error(what), hint_(std::move(hint)), code_(code) {}

    const std::string &hint() const { return hint_; }
    ExitCode code() const { return code_; }

  private:
    std::string hint_;
    ExitCode code_;
};

} // namespace etran::wl
