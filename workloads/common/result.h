// SPDX-License-Identifier: MIT
// Copyright (c) The eTran artifact authors
//
// The result file. This is the only place that knows its layout; README.md explains the fields.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json.hpp>

#include "common/histogram.h"
#include "common/recorder.h"

namespace etran::wl {

using Json = nlohmann::ordered_json;

// Raise when a field changes its meaning or disappears; adding one is compatible.
constexpr int kResultVersion = 1;

// How a run ended.
enum class State { kOk, kFailed, kInterrupted };
std::string_view state_name(State state);

// The fields that every program and role has.
struct ResultHead {
    std::string bench;
    std::string role;
    Json params;
    State state = State::kOk;
    std::string problem; // why the state is not ok; empty otherwise
    int64_t window_ns = 0;
    uint64_t ops = 0;
    uint64_t tx_bytes = 0;
    uint64_t rx_bytes = 0;
    uint64_t errors = 0;
    uint64_t verified = 0;
};

// version ... verified, with throughput (operations/s) and goodput (Gbit/s of message bytes in the
// direction that carries more) derived from the window.
Json head_json(const ResultHead &head);

// {name, count, unfinished, min_ns, p50_ns, p90_ns, p99_ns, p999_ns, max_ns, mean_ns, hdr}; a
// percentile is null if there are too few samples for it, or if it is among the unfinished.
// `hdr` is a string here and becomes the array it spells in result_text(): as nested JSON values
// the buckets would cost 30 times as many instructions.
Json latency_json(std::string_view name, const Histogram &histogram, uint64_t missing);

// Decides the state of a client's run: failed if there were errors or nothing was measured (then
// `nothing` is the problem), interrupted if the window was not over.
void judge(ResultHead &head, bool window_over, const std::string &nothing);

// Writes the result file (if `path` is not empty), says on standard error what went wrong, and
// returns the exit code. Throws UserError.
int finish_result(const Json &json, const ResultHead &head, const std::string &path);

// The text of the result file.
std::string result_text(const Json &json);

// Writes `json` to `path` in one step (temporary file, then rename), or to standard output for
// "-". Throws UserError, for example for a full disk; no partial file is left.
void write_result(const Json &json, const std::string &path);

// Checks before a run that write_result() will be able to. Throws UserError.
void check_writable(const std::string &path);

// thread,from_ns,latency_ns,bytes,class: one line per sample. Throws UserError.
void write_samples(const std::vector<const Recorder *> &threads,
                   const std::vector<std::string> &class_names, const std::string &path);

} // namespace etran::wl
