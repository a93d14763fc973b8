// SPDX-License-Identifier: MIT
// Copyright (c) The eTran artifact authors
//
// agent.json: what was run on this node and what became of it.
#pragma once

#include <string>

#include "runner.h"
#include "timetable.h"

namespace etran::agent {

inline constexpr const char *kRecordName = "agent.json";

// The record as text. Holds no time but those of the common clock, so that equal runs give equal
// bytes in virtual time.
std::string format_record(const Timetable &table, int64_t t0_ns, const RunResult &result);

// For people: one line per step that did not go well, with the end of its stderr (or stdout).
std::string describe_failures(const Timetable &table, const RunResult &result,
                              const std::string &out_dir);

// Writes a file whole or not at all; throws std::system_error.
void write_file(const std::string &path, const std::string &text);

} // namespace etran::agent
