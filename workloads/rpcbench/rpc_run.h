// SPDX-License-Identifier: MIT
// Copyright (c) The eTran artifact authors
//
// Runs the roles of rpcbench and writes their results.
#pragma once

#include <cstdint>
#include <string>

#include "common/options.h"

namespace etran::wl {

struct RpcOptions {
    CommonOptions common;
    ClientOptions client;
    ServerOptions server;
    std::string workload = "fixed:32";
    std::string sizes_file;
    double gbps = 0;
    uint32_t outstanding = 1;
    uint32_t max_outstanding = 5'000;
    uint32_t response_bytes = 0;
    uint32_t connections = 1;
    bool batch = false;
    int64_t linger_us = 1'000'000;
};

// Each returns the exit code, throws UserError. `params` goes into the result file.
int run_rpc_server(const RpcOptions &options, const Json &params);
int run_rpc_client(const RpcOptions &options, const Json &params);
int run_rpc_node(const RpcOptions &options, const Json &params);

} // namespace etran::wl
