// SPDX-License-Identifier: MIT
// Copyright (c) The eTran artifact authors
//
// etran-agent: runs a node's timetable at exact times and leaves a record of it.
#include <exception>
#include <filesystem>
#include <string>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "epoch.h"
#include "record.h"
#include "runner.h"
#include "timetable.h"

namespace {

using namespace etran::agent;

// Exit statuses; the README repeats them.
constexpr int kOk = 0;
constexpr int kStepFailed = 1;
constexpr int kBadTimetable = 2;
constexpr int kEnvironment = 3;
constexpr int kInterrupted = 4;

struct Options {
    std::string timetable = "/etran/timetable.json";
    std::string out_dir = "/run/etran/out";
    std::string interface = "eth0";
    std::string share = "results";
    uint64_t max_output_bytes = 16U << 20;
    bool check = false;
};

int exit_status(State verdict) {
    switch (verdict) {
    case State::kOk:
        return kOk;
    case State::kInterrupted:
        return kInterrupted;
    case State::kFailed:
        break;
    }
    return kStepFailed;
}

// Runs, writes the record into the output directory and returns the verdict.
State run_and_record(const Timetable &table, const Options &options, int64_t t0_ns,
                     int64_t t0_mono_ns, EpochLink *link) {
    const RunResult result = run(table, {.out_dir = options.out_dir,
                                         .t0_ns = t0_ns,
                                         .t0_mono_ns = t0_mono_ns,
                                         .wait_for_end = link != nullptr,
                                         .max_output_bytes = options.max_output_bytes});
    // Before anything is written: consoles and disks belong to the host. A node that failed does
    // not leave: its going breaks the epoch, so that the others need not run to their end.
    if (link && result.verdict != State::kFailed)
        link->leave();
    write_file(options.out_dir + "/" + kRecordName, format_record(table, t0_ns, result));
    fmt::print(stderr, "{}", describe_failures(table, result, options.out_dir));
    return result.verdict;
}

State run_virtual(const Timetable &table, const Options &options) {
    EpochLink link(options.interface);
    const int64_t t0_ns = table.t0_ns.value_or(kDefaultVirtualT0Ns);
    const int64_t joined = link.join();
    const int64_t t0_mono_ns = joined + table.lead_ns;
    set_realtime(t0_ns + (monotonic_ns() - t0_mono_ns));
    const State verdict = run_and_record(table, options, t0_ns, t0_mono_ns, &link);
    if (!options.share.empty())
        store_results(options.share, options.out_dir, kRecordName);
    return verdict;
}

State run_wallclock(const Timetable &table, const Options &options) {
    const int64_t now = realtime_ns();
    const int64_t t0_ns = table.t0_ns.value_or(now + table.lead_ns);
    if (t0_ns < now)
        throw TimetableError(
            fmt::format("t0_ns: passed {} ms ago on this node's clock", (now - t0_ns) / 1'000'000));
    return run_and_record(table, options, t0_ns, monotonic_ns() + (t0_ns - now), nullptr);
}

} // namespace

int main(int argc, char **argv) {
    block_signals();
    Options options;
    CLI::App app{
        "Runs a node's timetable at exact times and leaves a record of it.\n"
        "Exit status: 0 all went well, 1 a critical step failed, 2 bad timetable or usage,\n"
        "3 this node cannot do it, 4 interrupted."};
    app.add_option("--timetable", options.timetable, "JSON file")->capture_default_str();
    app.add_option("--out", options.out_dir, "output directory; created, and emptied of nothing")
        ->capture_default_str();
    app.add_option("--interface", options.interface, "data NIC (virtual mode)")
        ->capture_default_str();
    app.add_option("--share", options.share,
                   "9p share that takes the results after the epoch (virtual mode); empty: none")
        ->capture_default_str();
    app.add_option("--max-output-bytes", options.max_output_bytes,
                   "kept of each program's output; the rest is counted and dropped")
        ->capture_default_str();
    app.add_flag("--check", options.check, "check the timetable and end");
    try {
        app.parse(argc, argv);
    } catch (const CLI::ParseError &error) {
        return app.exit(error) == 0 ? kOk : kBadTimetable;
    }
    try {
        const Timetable table = load_timetable(options.timetable);
        if (options.check)
            return kOk;
        // Programs run inside it, and {out} must mean the same to them.
        options.out_dir = std::filesystem::absolute(options.out_dir).string();
        std::filesystem::create_directories(options.out_dir);
        return exit_status(table.mode == Mode::kVirtual ? run_virtual(table, options)
                                                        : run_wallclock(table, options));
    } catch (const TimetableError &error) {
        fmt::print(stderr, "etran-agent: timetable: {}\n", error.what());
        return kBadTimetable;
    } catch (const std::exception &error) {
        fmt::print(stderr, "etran-agent: {}\n", error.what());
        return kEnvironment;
    }
}
