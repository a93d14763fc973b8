// SPDX-License-Identifier: MIT
// Copyright (c) The eTran artifact authors
//
// The program as nodes run it, on this machine's clock.
#include <array>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <utility>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>
#include <sys/wait.h>

namespace {

using nlohmann::json;
using ::testing::HasSubstr;

constexpr int64_t kMs = 1'000'000;

class Agent : public ::testing::Test {
  protected:
    Agent() {
        std::string pattern = ::testing::TempDir() + "etran-agent.XXXXXX";
        dir_ = mkdtemp(pattern.data());
        table_ = {{"version", 1},
                  {"node", 0},
                  {"nodes", 1},
                  {"mode", "wallclock"},
                  {"t0_ns", nullptr},
                  {"lead_ns", 20 * kMs},
                  {"end_ns", 600'000 * kMs},
                  {"steps", json::array()}};
    }
    ~Agent() override { std::filesystem::remove_all(dir_); }

    void add(const std::string &id, const std::string &script, const json &more = {}) {
        json step = {{"id", id},
                     {"at_ns", 0},
                     {"argv", {"sh", "-c", script}},
                     {"stdout", id + ".out"},
                     {"stderr", id + ".err"}};
        if (!more.is_null())
            step.update(more);
        table_["steps"].push_back(step);
    }

    // Runs the agent; its exit status and everything it said.
    std::pair<int, std::string> agent(const std::string &options = "") {
        std::ofstream(dir_ + "/timetable.json") << table_.dump();
        const auto command = fmt::format("{} --timetable {}/timetable.json --out {}/out {} 2>&1",
                                         AGENT, dir_, dir_, options);
        FILE *pipe = popen(command.c_str(), "re");
        std::string said;
        std::array<char, 4096> buffer{};
        while (const size_t got = fread(buffer.data(), 1, buffer.size(), pipe))
            said.append(buffer.data(), got);
        const int status = pclose(pipe);
        return {WIFEXITED(status) ? WEXITSTATUS(status) : -1, said};
    }

    std::string file(const std::string &name) const {
        std::ostringstream text;
        text << std::ifstream(dir_ + "/out/" + name).rdbuf();
        return text.str();
    }

    std::string dir_;
    json table_;
};

TEST_F(Agent, wallclock__programs_run_in_order_and_are_recorded) {
    add("server", "exec sleep 1000", {{"stop_at_ns", 200 * kMs}});
    add("client", "echo $GREETING {t0_ns}", {{"at_ns", 100 * kMs}, {"env", {{"GREETING", "hi"}}}});
    const auto [status, said] = agent();
    EXPECT_EQ(status, 0) << said;
    EXPECT_EQ(said, "");
    const auto record = json::parse(file("agent.json"));
    EXPECT_EQ(record["state"], "ok");
    EXPECT_EQ(file("client.out"), fmt::format("hi {}\n", record["t0_ns"].get<int64_t>()));
    EXPECT_GE(record["steps"][1]["start_ns"], 100 * kMs);
    EXPECT_GE(record["steps"][0]["end_ns"], 200 * kMs);
    EXPECT_EQ(record["steps"][0]["signal"], 15);
    EXPECT_EQ(record["steps"][1]["stdout"]["file"], "client.out");
}

TEST_F(Agent, wallclock__agreed_time) {
    timespec now{};
    clock_gettime(CLOCK_REALTIME, &now);
    const int64_t t0 = (now.tv_sec + 5) * 1'000'000'000LL;
    table_["t0_ns"] = t0;
    add("when", "date +%s%N");
    EXPECT_EQ(agent().first, 0);
    EXPECT_GE(std::stoll(file("when.out")), t0);
}

TEST_F(Agent, wallclock__time_has_passed) {
    table_["t0_ns"] = 1'000'000'000;
    add("never", "true");
    const auto [status, said] = agent();
    EXPECT_EQ(status, 2);
    EXPECT_THAT(said, HasSubstr("t0_ns: passed"));
    EXPECT_EQ(file("agent.json"), "");
}

TEST_F(Agent, status__critical_step_failed) {
    add("good", "true");
    add("bad", "echo something broke >&2; exit 9");
    const auto [status, said] = agent();
    EXPECT_EQ(status, 1);
    EXPECT_THAT(said, HasSubstr("step bad failed: ended with exit status 9"));
    EXPECT_THAT(said, HasSubstr("something broke"));
    EXPECT_EQ(json::parse(file("agent.json"))["state"], "failed");
}

TEST_F(Agent, status__failure_that_is_not_critical) {
    add("bad", "exit 9", {{"critical", false}});
    const auto [status, said] = agent();
    EXPECT_EQ(status, 0);
    EXPECT_THAT(said, HasSubstr("step bad failed"));
}

TEST_F(Agent, status__bad_timetable_runs_nothing) {
    add("a", "touch {out}/ran");
    table_["nodes"] = 0;
    const auto [status, said] = agent();
    EXPECT_EQ(status, 2);
    EXPECT_THAT(said, HasSubstr("timetable.json: nodes: is 0"));
    EXPECT_FALSE(std::filesystem::exists(dir_ + "/out"));
}

TEST_F(Agent, status__bad_usage) {
    EXPECT_EQ(agent("--no-such-option").first, 2);
}

TEST_F(Agent, check__only_checks) {
    add("a", "touch {out}/ran");
    EXPECT_EQ(agent("--check").first, 0);
    EXPECT_FALSE(std::filesystem::exists(dir_ + "/out"));
}

TEST_F(Agent, virtual__without_such_a_network) {
    table_["mode"] = "virtual";
    add("a", "true");
    const auto [status, said] = agent("--interface nonexistent0");
    EXPECT_EQ(status, 3);
    EXPECT_THAT(said, HasSubstr("etran-agent: "));
}

TEST_F(Agent, outputs__folder_cannot_be_made) {
    std::ofstream(dir_ + "/out") << "a file";
    add("a", "true");
    EXPECT_EQ(agent().first, 3);
}

} // namespace
