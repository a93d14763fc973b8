// SPDX-License-Identifier: MIT
// Copyright (c) The eTran artifact authors
//
// Real processes on the real clock. No test depends on how long a program takes: runs end when all
// programs have, or a program tells the agent to stop.
#include "runner.h"

#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>
#include <unistd.h>

#include "record.h"

namespace etran::agent {
namespace {

using ::testing::HasSubstr;

constexpr int64_t kMs = 1'000'000;
constexpr int64_t kLong = 600'000 * kMs;

class Runner : public ::testing::Test {
  protected:
    Runner() {
        block_signals();
        std::string pattern = ::testing::TempDir() + "etran-runner.XXXXXX";
        options.out_dir = mkdtemp(pattern.data());
        options.t0_ns = 1000;
        options.t0_mono_ns = monotonic_ns();
        table.mode = Mode::kWallclock;
        options.wait_for_end = false;
        table.end_ns = kLong;
    }
    ~Runner() override { std::filesystem::remove_all(options.out_dir); }

    Step &add(const std::string &id, const std::string &script, int64_t at_ms = 0) {
        Step step;
        step.id = id;
        step.at_ns = at_ms * kMs;
        step.argv = {"sh", "-c", script};
        step.stdout_file = id + ".out";
        step.stderr_file = id + ".err";
        table.steps.push_back(step);
        return table.steps.back();
    }

    std::string file(const std::string &name) const {
        std::ostringstream text;
        text << std::ifstream(options.out_dir + "/" + name).rdbuf();
        return text.str();
    }

    Timetable table;
    RunnerOptions options;
};

TEST_F(Runner, run__outputs_environment_and_placeholders) {
    add("a", "echo out {t0_ns} $X; echo err >&2; echo {out} > here").env = {{"X", "y"}};
    const auto result = run(table, options);
    EXPECT_EQ(result.verdict, State::kOk);
    EXPECT_EQ(file("a.out"), "out 1000 y\n");
    EXPECT_EQ(file("a.err"), "err\n");
    EXPECT_EQ(file("here"), options.out_dir + "\n");
    EXPECT_EQ(result.steps[0].out.bytes, 11U);
}

TEST_F(Runner, run__one_file_for_both_outputs) {
    add("a", "echo 1; echo 2 >&2; echo 3").stderr_file = "a.out";
    const auto result = run(table, options);
    EXPECT_EQ(file("a.out"), "1\n2\n3\n");
    EXPECT_EQ(result.steps[0].err.bytes, 6U);
}

TEST_F(Runner, run__order_of_starts) {
    add("late", "true", 100);
    add("early", "true", 0);
    const auto result = run(table, options);
    EXPECT_LT(result.steps[1].outcome.start_ns, 100 * kMs);
    EXPECT_GE(result.steps[0].outcome.start_ns, 100 * kMs);
}

TEST_F(Runner, run__exit_status_signal_and_missing_program) {
    add("status", "exit 3").critical = false;
    add("signal", "kill -SEGV $$").critical = false;
    add("missing", "", 200).argv = {"/nonexistent/program"};
    const auto result = run(table, options);
    EXPECT_EQ(result.verdict, State::kFailed);
    EXPECT_EQ(result.steps[0].outcome.exit_status, 3);
    EXPECT_EQ(result.steps[1].outcome.signal, SIGSEGV);
    EXPECT_THAT(result.steps[2].outcome.reason, HasSubstr("cannot run /nonexistent/program"));
}

TEST_F(Runner, run__failure_ends_the_others) {
    add("server", "exec sleep 1000");
    add("client", "exit 3", 100);
    add("later", "true", 3'600'000);
    const auto result = run(table, options);
    EXPECT_EQ(result.verdict, State::kFailed);
    EXPECT_EQ(result.steps[0].outcome.state, State::kInterrupted);
    EXPECT_EQ(result.steps[0].outcome.signal, SIGTERM);
    EXPECT_EQ(result.steps[2].outcome.start_ns, std::nullopt);
}

TEST_F(Runner, run__stop) {
    add("server", "exec sleep 1000").stop_at_ns = 100 * kMs;
    const auto result = run(table, options);
    EXPECT_EQ(result.verdict, State::kOk) << result.steps[0].outcome.reason;
    EXPECT_EQ(result.steps[0].outcome.signal, SIGTERM);
}

TEST_F(Runner, run__whole_group_is_ended) {
    add("server", "sleep 1000 & echo $! > {out}/helper; kill -TERM $PPID; wait");
    const auto result = run(table, options);
    EXPECT_EQ(result.steps[0].outcome.signal, SIGTERM);
    // Killed, which takes effect when it pleases the kernel; then, being our grandchild, it is at
    // most a zombie of this process.
    const std::string stat = "/proc/" + std::to_string(std::stoi(file("helper"))) + "/stat";
    char state = 'R';
    const int64_t deadline = monotonic_ns() + 60'000 * kMs;
    while (state != 'X' && state != 'Z' && monotonic_ns() < deadline) {
        std::ifstream status(stat);
        std::string word;
        if (!(status >> word >> word >> state))
            state = 'X';
    }
    EXPECT_TRUE(state == 'X' || state == 'Z') << state;
}

TEST_F(Runner, run__program_that_ignores_sigterm_is_killed) {
    add("deaf", "trap '' TERM; kill -TERM $PPID; while :; do sleep 0.01; done");
    const auto result = run(table, options);
    EXPECT_EQ(result.steps[0].outcome.signal, SIGKILL);
    EXPECT_EQ(result.verdict, State::kInterrupted);
}

TEST_F(Runner, run__timeout) {
    add("slow", "exec sleep 1000").timeout_ns = 50 * kMs;
    const auto result = run(table, options);
    EXPECT_EQ(result.verdict, State::kFailed);
    EXPECT_THAT(result.steps[0].outcome.reason, HasSubstr("did not end within its time"));
}

TEST_F(Runner, run__end_interrupts_what_still_runs) {
    table.end_ns = 100 * kMs;
    add("endless", "exec sleep 1000");
    const auto result = run(table, options);
    EXPECT_EQ(result.steps[0].outcome.state, State::kInterrupted);
    EXPECT_EQ(result.verdict, State::kInterrupted);
}

TEST_F(Runner, run__waits_for_the_end_if_asked_to) {
    table.end_ns = 100 * kMs;
    options.wait_for_end = true;
    add("short", "true");
    run(table, options);
    EXPECT_GE(monotonic_ns(), options.t0_mono_ns + table.end_ns);
}

TEST_F(Runner, run__huge_output_is_bounded_and_does_not_block_the_program) {
    options.max_output_bytes = 100'000;
    add("loud", "head -c 20000000 /dev/zero"); // more than any pipe holds
    const auto result = run(table, options);
    EXPECT_EQ(std::filesystem::file_size(options.out_dir + "/loud.out"), 100'000U);
    EXPECT_EQ(result.steps[0].out.bytes, 20'000'000U);
    EXPECT_TRUE(result.steps[0].out.truncated);
}

TEST_F(Runner, run__stray_descendant_does_not_hold_the_record) {
    // setsid leaves the process group and keeps the pipe open.
    add("parent", "setsid sleep 5 & exit 0");
    const auto result = run(table, options);
    EXPECT_EQ(result.verdict, State::kOk);
}

TEST_F(Runner, run__signal_ends_early) {
    add("self", "kill -TERM $PPID; sleep 1000");
    add("never", "true", 400'000);
    const auto result = run(table, options);
    EXPECT_EQ(result.verdict, State::kInterrupted);
    EXPECT_EQ(result.steps[1].outcome.reason, "was not started");
}

TEST_F(Runner, run__many_steps_at_once) {
    for (int i = 0; i < 40; i++)
        add("s" + std::to_string(i), "echo " + std::to_string(i));
    const auto result = run(table, options);
    EXPECT_EQ(result.verdict, State::kOk);
    for (int i = 0; i < 40; i++)
        EXPECT_EQ(file("s" + std::to_string(i) + ".out"), std::to_string(i) + "\n");
}

TEST_F(Runner, record__says_what_happened) {
    add("bad", "echo oops >&2; exit 3").env = {{"A", "b"}};
    const auto result = run(table, options);
    const auto record = nlohmann::json::parse(format_record(table, options.t0_ns, result));
    EXPECT_EQ(record["state"], "failed");
    const auto &step = record["steps"][0];
    EXPECT_EQ(step["id"], "bad");
    EXPECT_EQ(step["argv"], (nlohmann::json{"sh", "-c", "echo oops >&2; exit 3"}));
    EXPECT_EQ(step["env"]["A"], "b");
    EXPECT_EQ(step["exit_status"], 3);
    EXPECT_EQ(step["signal"], nullptr);
    EXPECT_EQ(step["state"], "failed");
    EXPECT_GE(step["end_ns"], step["start_ns"]);
    EXPECT_EQ(step["stderr"]["bytes"], 5);
    const auto text = describe_failures(table, result, options.out_dir);
    EXPECT_THAT(text, HasSubstr("step bad failed: ended with exit status 3"));
    EXPECT_THAT(text, HasSubstr("oops"));
}

TEST_F(Runner, record__strings_that_are_not_utf8_stay_valid_json) {
    Step &step = add("a", "true");
    step.argv.emplace_back("\xff\xfe");
    const auto result = run(table, options);
    EXPECT_TRUE(nlohmann::json::accept(format_record(table, 0, result)));
}

TEST_F(Runner, write_file__replaces_or_throws) {
    write_file(options.out_dir + "/f", "one");
    write_file(options.out_dir + "/f", "two");
    EXPECT_EQ(file("f"), "two");
    EXPECT_FALSE(std::filesystem::exists(options.out_dir + "/f.part"));
    EXPECT_THROW(write_file(options.out_dir + "/none/f", "x"), std::system_error);
}

} // namespace
} // namespace etran::agent
