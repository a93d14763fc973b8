// SPDX-License-Identifier: MIT
// Copyright (c) The eTran artifact authors
//
// The timetable: what one node runs and when, on a clock that all nodes share. Its JSON form is
// written by the experiments and documented in testbed/README.md.
//
// To add a field: Step or Timetable, parse_timetable(), the table in testbed/README.md, and
// write_record() when the record should repeat it.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace etran::agent {

// T0 of virtual mode when the timetable leaves it open, in Unix ns.
inline constexpr int64_t kDefaultVirtualT0Ns = 1'800'000'000LL * 1'000'000'000LL;

// Limits that keep a damaged or hostile timetable from exhausting the node.
inline constexpr size_t kMaxTimetableBytes = 8U << 20;
inline constexpr size_t kMaxSteps = 8192;
inline constexpr int64_t kMaxNodes = 64;
inline constexpr int64_t kMaxEndNs = 24LL * 3600 * 1'000'000'000LL;

enum class Mode { kVirtual, kWallclock };

// One program. All times are ns; at_ns and stop_at_ns count from T0, timeout_ns from the start.
struct Step {
    std::string id;
    int64_t at_ns = 0;
    std::vector<std::string> argv;
    std::map<std::string, std::string> env; // added to the agent's own environment
    std::optional<int64_t> stop_at_ns;      // SIGTERM then; without it the program ends by itself
    std::optional<int64_t> timeout_ns;      // the program is killed and the step has failed
    std::string stdout_file;                // plain names inside the output directory; empty:
    std::string stderr_file;                // the output is discarded
    bool critical = true;                   // its failure makes the agent's exit status non-zero
};

struct Timetable {
    int64_t node = 0;
    int64_t nodes = 1;
    Mode mode = Mode::kVirtual;
    std::optional<int64_t> t0_ns; // Unix time of T0; open: kDefaultVirtualT0Ns, or now + lead_ns
    int64_t lead_ns = 0;          // from the join of the epoch to T0
    std::vector<Step> steps;
    int64_t end_ns = 0; // after T0: what still runs is ended, the node leaves the epoch
};

// What is wrong with a timetable; what() names the field, for example `steps[3].at_ns`.
class TimetableError : public std::runtime_error {
  public:
    using std::runtime_error::runtime_error;
};

// Parses and checks one timetable; throws TimetableError, never anything else.
Timetable parse_timetable(std::string_view json);

// Reads a file of at most kMaxTimetableBytes and parses it; throws TimetableError.
Timetable load_timetable(const std::string &path);

// argv with {t0_ns} replaced by T0 (Unix ns) and {out} by the output directory.
std::vector<std::string> expand_argv(const std::vector<std::string> &argv, int64_t t0_ns,
                                     std::string_view out_dir);

} // namespace etran::agent
