// SPDX-License-Identifier: MIT
// Copyright (c) The eTran artifact authors
//
// Runs the roles of kvbench and writes their results.
#pragma once

#include <cstdint>
#include <string>

#include "common/options.h"

namespace etran::wl {

struct KvOptions {
    CommonOptions common;
    ClientOptions client;
    ServerOptions server;
    uint32_t store_mb = 32;
    uint32_t keys = 10'000;
    uint32_t key_bytes = 32;
    uint32_t value_bytes = 64;
    double get_share = 0.9;
    std::string distribution = "zipf";
    double theta = 0.99;
    uint32_t connections = 1; // all threads together
    uint32_t outstanding = 1; // closed loop, per connection
    double rate = 0;          // open loop, all threads together
    uint32_t max_outstanding = 5'000;
    bool no_preload = false;
};

// Each returns the exit code, throws UserError. `params` goes into the result file.
int run_kv_server(const KvOptions &options, const Json &params);
int run_kv_client(const KvOptions &options, const Json &params);

} // namespace etran::wl
