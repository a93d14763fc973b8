// SPDX-License-Identifier: MIT
// Copyright (c) The eTran artifact authors
//
// Argument conventions that all programs of this folder share, and the frame of their main().
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>

#include "common/event_loop.h"
#include "common/net.h"
#include "common/recorder.h"
#include "common/result.h"

namespace etran::wl {

// Options of both roles.
struct CommonOptions {
    std::string transport = "tcp";
    uint32_t threads = 1;
    bool busy = false;
    bool verify_payload = true;
    int64_t start_at_ns = 0; // CLOCK_REALTIME; 0 = as soon as everything is connected
    int64_t warmup_us = 10'000;
    int64_t duration_us = 100'000;
    uint64_t seed = 1;
    std::string json;

    PollMode poll_mode() const { return busy ? PollMode::kBusy : PollMode::kSleep; }
};

struct ClientOptions {
    std::string servers;
    uint32_t server_ports = 1;
    int64_t connect_timeout_ms = 5'000;
    int64_t drain_us = 20'000;
    std::string dump_samples;

    std::vector<Address> addresses() const { return parse_addresses(servers); }
};

struct ServerOptions {
    std::string listen = "0.0.0.0:5000";
    uint64_t fault_flip_byte = 0; // 0 = no fault
};

void add_common_options(CLI::App &app, CommonOptions &options);
void add_timing_options(CLI::App &app, CommonOptions &options);
void add_client_options(CLI::App &app, ClientOptions &options, bool several_servers);
void add_server_options(CLI::App &app, ServerOptions &options);

// Lays out --help like a manual page. Before subcommands are added: they inherit it.
void style_app(CLI::App &app, const std::string &examples);

// Every option of `app` with its value or default, for the result file.
Json params_json(const CLI::App &app);

// When measuring happens. Waits for nothing. Throws UserError if --start-at-ns has passed by more
// than the warm-up, because the window would then differ from the other nodes'.
Window make_window(const CommonOptions &options);

// Limits all sockets to a soft limit of open files equal to the hard one.
void raise_file_limit();

// Runs `threads` copies of `body(index)`, the first (and normally only) one on the calling thread.
// An exception in any of them asks the others to stop and is thrown here after all have ended.
void run_threads(uint32_t threads, const std::function<void(uint32_t)> &body);

// The common main(): installs signal handlers, parses, and runs the callback of the subcommand.
// Errors go to standard error as three lines: what, where possible the hint, exit code as
// documented.
int run_program(CLI::App &app, int argc, char **argv, const std::function<int()> &body);

} // namespace etran::wl
