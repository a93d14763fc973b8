// SPDX-License-Identifier: MIT
// Copyright (c) The eTran artifact authors
//
// Runs a timetable on CLOCK_MONOTONIC: one thread that sleeps in epoll until a timer, a child, its
// output or a signal wakes it. Its instructions are part of the node under test, so it does
// nothing while nothing is due.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "schedule.h"
#include "timetable.h"

namespace etran::agent {

struct RunnerOptions {
    std::string out_dir{};                 // exists; outputs go there, programs run there
    int64_t t0_ns = 0;                     // Unix time of T0
    int64_t t0_mono_ns = 0;                // CLOCK_MONOTONIC at T0
    bool wait_for_end = true;              // see Schedule
    uint64_t max_output_bytes = 16U << 20; // per output file
};

struct OutputInfo {
    std::string file;
    uint64_t bytes = 0; // printed by the program
    bool truncated = false;
};

struct StepResult {
    Outcome outcome;
    std::vector<std::string> argv; // as executed
    OutputInfo out, err;           // file empty: discarded
};

struct RunResult {
    std::vector<StepResult> steps; // in the order of the timetable
    State verdict = State::kOk;
};

// SIGTERM, SIGINT and SIGHUP end a run early; block them (and SIGCHLD) from the start of the
// program so that none is lost before run() listens. Children are collected whatever the parent
// thought of SIGCHLD.
void block_signals();

// Returns when all is over; throws std::system_error only for failures of the machine itself (no
// descriptors, no memory), after killing what it started.
RunResult run(const Timetable &table, const RunnerOptions &options);

// CLOCK_MONOTONIC / CLOCK_REALTIME in ns.
int64_t monotonic_ns();
int64_t realtime_ns();

} // namespace etran::agent
