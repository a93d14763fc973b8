// SPDX-License-Identifier: MIT
// Copyright (c) The eTran artifact authors
//
// Runs the roles of echobench and writes their results.
#pragma once

#include <cstdint>

#include "common/options.h"

namespace etran::wl {

struct EchoOptions {
    CommonOptions common;
    ClientOptions client;
    ServerOptions server;
    uint32_t message_bytes = 64;
    uint32_t response_bytes = 0; // 0 = as long as the message
    uint32_t connections = 1;    // all threads together
    uint32_t outstanding = 1;    // per connection
    bool stream = false;
    bool batch = false;
};

// Each returns the exit code, throws UserError. `params` goes into the result file.
int run_echo_server(const EchoOptions &options, const Json &params);
int run_echo_client(const EchoOptions &options, const Json &params);

} // namespace etran::wl
