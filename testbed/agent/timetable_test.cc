// SPDX-License-Identifier: MIT
// Copyright (c) The eTran artifact authors
#include "timetable.h"

#include <filesystem>
#include <fstream>
#include <ostream>
#include <string>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace etran::agent {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::string document(const std::string &steps, const std::string &head = R"("mode":"virtual")") {
    return fmt::format(
        R"({{"version":1,"node":1,"nodes":2,{},"t0_ns":null,"lead_ns":5000000,"steps":[{}],"end_ns":1000}})",
        head, steps);
}

std::string error_of(const std::string &json) {
    try {
        parse_timetable(json);
    } catch (const TimetableError &error) {
        return error.what();
    }
    return "(no error)";
}

TEST(Timetable, parse__every_field) {
    const auto table = parse_timetable(document(
        R"({"id":"p0.server","at_ns":7,"argv":["/bin/x","a b",""],"env":{"A":"1"},"stop_at_ns":600,)"
        R"("timeout_ns":900,"stdout":"s.out","stderr":"s.err","critical":false})"));
    EXPECT_EQ(table.node, 1);
    EXPECT_EQ(table.nodes, 2);
    EXPECT_EQ(table.mode, Mode::kVirtual);
    EXPECT_EQ(table.t0_ns, std::nullopt);
    EXPECT_EQ(table.lead_ns, 5000000);
    EXPECT_EQ(table.end_ns, 1000);
    ASSERT_EQ(table.steps.size(), 1U);
    const Step &step = table.steps[0];
    EXPECT_EQ(step.id, "p0.server");
    EXPECT_EQ(step.at_ns, 7);
    EXPECT_THAT(step.argv, ElementsAre("/bin/x", "a b", ""));
    EXPECT_EQ(step.env.at("A"), "1");
    EXPECT_EQ(step.stop_at_ns, 600);
    EXPECT_EQ(step.timeout_ns, 900);
    EXPECT_EQ(step.stdout_file, "s.out");
    EXPECT_EQ(step.stderr_file, "s.err");
    EXPECT_FALSE(step.critical);
}

TEST(Timetable, parse__defaults) {
    const auto table =
        parse_timetable(document(R"({"id":"a","at_ns":0,"argv":["x"]})", R"("mode":"wallclock")"));
    EXPECT_EQ(table.mode, Mode::kWallclock);
    EXPECT_TRUE(table.steps[0].critical);
    EXPECT_EQ(table.steps[0].stdout_file, "");
    EXPECT_EQ(table.steps[0].stop_at_ns, std::nullopt);
}

TEST(Timetable, parse__one_file_for_both_outputs_of_a_step) {
    EXPECT_EQ(error_of(document(R"({"id":"a","at_ns":0,"argv":["x"],"stdout":"o","stderr":"o"})")),
              "(no error)");
}

struct Bad {
    const char *name;
    std::string json;
    const char *message;
    friend void PrintTo(const Bad &self, std::ostream *out) { *out << self.name; }
};

class TimetableRejects : public ::testing::TestWithParam<Bad> {};

TEST_P(TimetableRejects, parse__says_where_and_why) {
    EXPECT_THAT(error_of(GetParam().json), HasSubstr(GetParam().message));
}

const std::string good_fields = R"("id":"a","at_ns":0,"argv":["x"])";

std::string step_with(const std::string &fields) {
    return document("{" + fields + "}");
}

INSTANTIATE_TEST_SUITE_P(
    Documents, TimetableRejects,
    ::testing::Values(
        Bad{"empty", "", "not valid JSON"}, Bad{"half", R"({"version":1,)", "not valid JSON"},
        Bad{"list", "[]", "must be an object"},
        Bad{"version", R"({"version":2})", "version: this agent understands version 1 only"},
        Bad{"no_node", R"({"version":1,"nodes":2})", "node: is missing"},
        Bad{"typo", document("", R"("mode":"virtual","stepz":1)"), "stepz: is not a field"},
        Bad{"mode", document("", R"("mode":"fast")"), "mode: must be"},
        Bad{"mode_type", document("", R"("mode":7)"), "mode: must be a string, is number"},
        Bad{"step_type", document("7"), "steps[0]: must be an object, is number"},
        Bad{"id_path", step_with(R"("id":"../a","at_ns":0,"argv":["x"])"),
            "steps[0].id: must have"},
        Bad{"id_twice", document("{" + good_fields + "},{" + good_fields + "}"),
            "steps[1].id: \"a\" is used twice"},
        Bad{"at_negative", step_with(R"("id":"a","at_ns":-1,"argv":["x"])"),
            "steps[0].at_ns: is -1"},
        Bad{"at_float", step_with(R"("id":"a","at_ns":1.5,"argv":["x"])"),
            "must be a whole number"},
        Bad{"at_huge", step_with(R"("id":"a","at_ns":18446744073709551615,"argv":["x"])"),
            "must be a whole number of at most 63 bits"},
        Bad{"at_after_end", step_with(R"("id":"a","at_ns":1000,"argv":["x"])"),
            "must be from 0 to 999"},
        Bad{"argv_empty", step_with(R"("id":"a","at_ns":0,"argv":[])"), "argv: must be a list"},
        Bad{"argv_string", step_with(R"("id":"a","at_ns":0,"argv":"x")"), "argv: must be a list"},
        Bad{"argv_number", step_with(R"("id":"a","at_ns":0,"argv":["x",1])"),
            "argv[1]: must be a string"},
        Bad{"argv_nul", step_with(R"("id":"a","at_ns":0,"argv":["x\u0000y"])"), "NUL"},
        Bad{"argv_blank", step_with(R"("id":"a","at_ns":0,"argv":[""])"), "argv[0]: is empty"},
        Bad{"env_list", step_with(good_fields + R"(,"env":["A=1"])"), "env: must be an object"},
        Bad{"env_name", step_with(good_fields + R"(,"env":{"A=B":"1"})"),
            "steps[0].env: has a name"},
        Bad{"env_value", step_with(good_fields + R"(,"env":{"A":1})"), "env.A: must be a string"},
        Bad{"stop_before", step_with(R"("id":"a","at_ns":5,"argv":["x"],"stop_at_ns":5)"),
            "stop_at_ns: is 5, must be after at_ns"},
        Bad{"timeout_zero", step_with(good_fields + R"(,"timeout_ns":0)"), "timeout_ns: is 0"},
        Bad{"stdout_path", step_with(good_fields + R"(,"stdout":"/etc/passwd")"),
            "plain file name"},
        Bad{"stdout_up", step_with(good_fields + R"(,"stdout":"..")"), "plain file name"},
        Bad{"stdout_own", step_with(good_fields + R"(,"stderr":"agent.json")"),
            "the agent's own record"},
        Bad{"stdout_shared",
            document("{" + good_fields +
                     R"(,"stdout":"o"},{"id":"b","at_ns":0,"argv":["x"],"stdout":"o"})"),
            "\"o\" is used by two steps"},
        Bad{"critical", step_with(good_fields + R"(,"critical":1)"),
            "critical: must be true or false"},
        Bad{"not_utf8", step_with("\"id\":\"\xff\""), "not valid JSON"}),
    [](const auto &test) { return std::string(test.param.name); });

TEST(Timetable, parse__node_out_of_range) {
    EXPECT_THAT(error_of(R"({"version":1,"node":2,"nodes":2})"), HasSubstr("node: is 2"));
}

TEST(Timetable, parse__deep_nesting_does_not_exhaust_the_stack) {
    const std::string deep = std::string(1 << 20, '[') + std::string(1 << 20, ']');
    EXPECT_THAT(error_of(document(deep)), HasSubstr("steps[0]: must be an object"));
    EXPECT_THAT(error_of(std::string(1 << 20, '[')), HasSubstr("not valid JSON"));
}

TEST(Timetable, parse__too_large) {
    EXPECT_THAT(error_of(std::string(kMaxTimetableBytes + 1, ' ')), HasSubstr("more than"));
}

TEST(Timetable, parse__too_many_steps) {
    std::string steps;
    for (size_t i = 0; i <= kMaxSteps; i++)
        steps += fmt::format(R"({}{{"id":"s{}","at_ns":0,"argv":["x"]}})", i ? "," : "", i);
    EXPECT_THAT(error_of(document(steps)), HasSubstr("at most"));
}

TEST(Timetable, load__missing_file) {
    EXPECT_THROW(load_timetable("/nonexistent/timetable.json"), TimetableError);
}

TEST(Timetable, load__names_the_file) {
    const auto path = std::filesystem::path(::testing::TempDir()) / "timetable_test.json";
    std::ofstream(path) << "{}";
    try {
        load_timetable(path);
        FAIL();
    } catch (const TimetableError &error) {
        EXPECT_THAT(error.what(), HasSubstr(path.string() + ": version: is missing"));
    }
    std::filesystem::remove(path);
}

TEST(ExpandArgv, expand__all_occurrences) {
    EXPECT_THAT(expand_argv({"x", "--at={t0_ns},{t0_ns}", "{out}/a", "{other}"}, 42, "/o"),
                ElementsAre("x", "--at=42,42", "/o/a", "{other}"));
}

TEST(ExpandArgv, expand__replacement_is_not_expanded_again) {
    EXPECT_THAT(expand_argv({"{out}{out}"}, 1, "{out}"), ElementsAre("{out}{out}"));
}

} // namespace
} // namespace etran::agent
