// SPDX-License-Identifier: MIT
// Copyright (c) The eTran artifact authors
#include "schedule.h"

#include <csignal>
#include <map>
#include <ostream>
#include <string>

#include <fmt/format.h>
#include <gtest/gtest.h>

namespace etran::agent {
namespace {

constexpr int64_t kMs = 1'000'000;
constexpr int exit_with(int status) {
    return status << 8;
}

Step step(const std::string &id, int64_t at_ms, std::optional<int64_t> stop_ms = {},
          std::optional<int64_t> timeout_ms = {}, bool critical = true) {
    Step made;
    made.id = id;
    made.at_ns = at_ms * kMs;
    made.argv = {"x"};
    if (stop_ms)
        made.stop_at_ns = *stop_ms * kMs;
    if (timeout_ms)
        made.timeout_ns = *timeout_ms * kMs;
    made.critical = critical;
    return made;
}

// Plays a schedule on a clock that jumps from event to event. Programs are scripts: when they end
// after their start, what they do on SIGTERM. Everything that happens goes into `log`.
class Player {
  public:
    struct Program {
        int64_t lasts_ms = -1; // -1: until it is told to end
        int status = exit_with(0);
        int64_t term_takes_ms = 0; // -1: ignores SIGTERM
        int term_status = SIGTERM;
    };

    explicit Player(std::vector<Step> steps, int64_t end_ms = 100) {
        table_.steps = std::move(steps);
        table_.end_ns = end_ms * kMs;
    }

    std::map<std::string, Program> programs;
    std::optional<int64_t> interrupt_at_ms;
    std::string log;

    Schedule play() {
        Schedule schedule(table_);
        int64_t now = 0;
        for (int round = 0; round < 10000 && !schedule.finished(); round++) {
            if (interrupt_at_ms && *interrupt_at_ms * kMs <= now) {
                schedule.interrupt(now);
                interrupt_at_ms.reset();
            }
            for (const Action &action : schedule.due(now))
                act(schedule, action, now);
            std::optional<int64_t> next = schedule.next();
            for (const auto &[when, index, status] : endings_)
                next = std::min(next.value_or(when), when);
            if (interrupt_at_ms)
                next = std::min(next.value_or(INT64_MAX), *interrupt_at_ms * kMs);
            if (!next)
                break;
            now = std::max(now, *next);
            while (!endings_.empty() && std::get<0>(*endings_.begin()) <= now) {
                const auto [when, index, status] = *endings_.begin();
                forget(index);
                log += fmt::format("{}:{} ended; ", when / kMs, table_.steps[index].id);
                schedule.exited(index, when, status);
            }
        }
        EXPECT_TRUE(schedule.finished());
        return schedule;
    }

    std::string verdicts(const Schedule &schedule) const {
        std::string text;
        for (size_t i = 0; i < table_.steps.size(); i++)
            text += fmt::format("{}{}={}", i ? " " : "", table_.steps[i].id,
                                state_name(schedule.outcomes()[i].state));
        return text + " -> " + state_name(schedule.verdict());
    }

  private:
    void forget(size_t step) {
        std::erase_if(endings_, [&](const auto &e) { return std::get<1>(e) == step; });
    }

    void act(Schedule &schedule, const Action &action, int64_t now) {
        const auto &id = table_.steps[action.step].id;
        const Program &program = programs[id];
        switch (action.kind) {
        case Action::Kind::kStart:
            log += fmt::format("{}:start {}; ", now / kMs, id);
            schedule.started(action.step, now);
            if (program.lasts_ms >= 0)
                endings_.emplace(now + program.lasts_ms * kMs, action.step, program.status);
            break;
        case Action::Kind::kTerminate:
            log += fmt::format("{}:term {}; ", now / kMs, id);
            if (program.term_takes_ms >= 0) {
                forget(action.step);
                endings_.emplace(now + program.term_takes_ms * kMs, action.step,
                                 program.term_status);
            }
            break;
        case Action::Kind::kKill:
            log += fmt::format("{}:kill {}; ", now / kMs, id);
            forget(action.step);
            endings_.emplace(now, action.step, SIGKILL);
            break;
        }
    }

    Timetable table_;
    std::set<std::tuple<int64_t, size_t, int>> endings_;
};

TEST(Schedule, order__by_time_then_timetable) {
    Player player({step("b", 5), step("a", 5), step("c", 1)});
    for (const auto *id : {"a", "b", "c"})
        player.programs[id].lasts_ms = 1;
    const auto schedule = player.play();
    EXPECT_EQ(player.log, "1:start c; 2:c ended; 5:start b; 5:start a; 6:b ended; 6:a ended; ");
    EXPECT_EQ(player.verdicts(schedule), "b=ok a=ok c=ok -> ok");
}

TEST(Schedule, order__stop_comes_before_a_start_of_the_same_instant) {
    Player player({step("next", 10), step("old", 0, 10)});
    player.programs["next"].lasts_ms = 1;
    const auto schedule = player.play();
    EXPECT_EQ(player.log, "0:start old; 10:term old; 10:start next; 10:old ended; 11:next ended; ");
    EXPECT_EQ(player.verdicts(schedule), "next=ok old=ok -> ok");
}

TEST(Schedule, finished__not_before_the_end_of_the_timetable) {
    Timetable table;
    table.end_ns = 100 * kMs;
    Schedule schedule(table);
    EXPECT_TRUE(schedule.due(99 * kMs).empty());
    EXPECT_FALSE(schedule.finished());
    EXPECT_EQ(schedule.next(), 100 * kMs);
    EXPECT_TRUE(schedule.due(100 * kMs).empty());
    EXPECT_TRUE(schedule.finished());
    EXPECT_EQ(schedule.next(), std::nullopt);
}

TEST(Schedule, finished__without_waiting_for_the_end) {
    Timetable table;
    table.steps = {step("a", 0), step("b", 5)};
    table.end_ns = 100 * kMs;
    Schedule schedule(table, false);
    schedule.due(0);
    schedule.started(0, 0);
    schedule.exited(0, 1, exit_with(0));
    EXPECT_FALSE(schedule.finished());
    schedule.due(5 * kMs);
    schedule.start_failed(1, 5 * kMs, "no such program");
    EXPECT_TRUE(schedule.finished());
    EXPECT_EQ(schedule.next(), std::nullopt);
}

TEST(Schedule, due__what_starts_after_the_end_has_passed_is_ended) {
    Timetable table;
    table.steps = {step("a", 1)};
    table.end_ns = 100 * kMs;
    Schedule schedule(table);
    const std::vector<Action> start{{Action::Kind::kStart, 0}};
    const std::vector<Action> terminate{{Action::Kind::kTerminate, 0}};
    EXPECT_EQ(schedule.due(200 * kMs), start);
    schedule.started(0, 200 * kMs);
    EXPECT_EQ(schedule.next(), 100 * kMs);
    EXPECT_EQ(schedule.due(200 * kMs), terminate);
}

TEST(Schedule, due__late_caller_gets_everything_in_order) {
    Timetable table;
    table.steps = {step("a", 1), step("b", 2)};
    table.end_ns = 100 * kMs;
    Schedule schedule(table);
    const std::vector<Action> want{{Action::Kind::kStart, 0}, {Action::Kind::kStart, 1}};
    EXPECT_EQ(schedule.due(50 * kMs), want);
}

struct Ending {
    const char *name;
    Step step;
    Player::Program program;
    const char *log;
    const char *verdicts;
    const char *reason;
    friend void PrintTo(const Ending &self, std::ostream *out) { *out << self.name; }
};

class ScheduleEndings : public ::testing::TestWithParam<Ending> {};

TEST_P(ScheduleEndings, judge__states_and_reasons) {
    const Ending &want = GetParam();
    Player player({want.step});
    player.programs["s"] = want.program;
    const auto schedule = player.play();
    EXPECT_EQ(player.log, want.log);
    EXPECT_EQ(player.verdicts(schedule), want.verdicts);
    EXPECT_EQ(schedule.outcomes()[0].reason, want.reason);
}

INSTANTIATE_TEST_SUITE_P(
    All, ScheduleEndings,
    ::testing::Values(
        Ending{
            "clean", step("s", 0), {3, exit_with(0)}, "0:start s; 3:s ended; ", "s=ok -> ok", ""},
        Ending{"status",
               step("s", 0),
               {3, exit_with(7)},
               "0:start s; 3:s ended; ",
               "s=failed -> failed",
               "ended with exit status 7"},
        Ending{"signal",
               step("s", 0),
               {3, SIGSEGV},
               "0:start s; 3:s ended; ",
               "s=failed -> failed",
               "was killed by signal 11"},
        Ending{"not_critical",
               step("s", 0, {}, {}, false),
               {3, exit_with(7)},
               "0:start s; 3:s ended; ",
               "s=failed -> ok",
               "ended with exit status 7"},
        Ending{"stopped",
               step("s", 0, 5),
               {-1, 0, 2, SIGTERM},
               "0:start s; 5:term s; 7:s ended; ",
               "s=ok -> ok",
               ""},
        Ending{"stopped_143",
               step("s", 0, 5),
               {-1, 0, 0, exit_with(143)},
               "0:start s; 5:term s; 5:s ended; ",
               "s=ok -> ok",
               ""},
        Ending{"stopped_0",
               step("s", 0, 5),
               {-1, 0, 0, exit_with(0)},
               "0:start s; 5:term s; 5:s ended; ",
               "s=ok -> ok",
               ""},
        Ending{"stopped_badly",
               step("s", 0, 5),
               {-1, 0, 0, exit_with(1)},
               "0:start s; 5:term s; 5:s ended; ",
               "s=failed -> failed",
               "ended with exit status 1"},
        Ending{"sigterm_unasked",
               step("s", 0, 50),
               {3, SIGTERM},
               "0:start s; 3:s ended; ",
               "s=failed -> failed",
               "was killed by signal 15"},
        Ending{"ignores_sigterm",
               step("s", 0, 5),
               {-1, 0, -1, 0},
               "0:start s; 5:term s; 25:kill s; 25:s ended; ",
               "s=failed -> failed",
               "did not end within 20 ms of SIGTERM and was killed"},
        Ending{"timeout",
               step("s", 2, {}, 10),
               {-1, 0, 1, exit_with(0)},
               "2:start s; 12:term s; 13:s ended; ",
               "s=failed -> failed",
               "did not end within its time of 10000000 ns"},
        Ending{"timeout_hangs",
               step("s", 2, {}, 10),
               {-1, 0, -1, 0},
               "2:start s; 12:term s; 32:kill s; 32:s ended; ",
               "s=failed -> failed",
               "did not end within its time of 10000000 ns"},
        Ending{"timeout_after_stop",
               step("s", 0, 5, 10),
               {-1, 0, -1, 0},
               "0:start s; 5:term s; 10:kill s; 10:s ended; ",
               "s=failed -> failed",
               "did not end within its time of 10000000 ns"},
        Ending{"over_the_end",
               step("s", 0),
               {-1, 0, 1, exit_with(0)},
               "0:start s; 100:term s; 101:s ended; ",
               "s=interrupted -> interrupted",
               "still ran at the end of the timetable"},
        Ending{"hangs_at_the_end",
               step("s", 0),
               {-1, 0, -1, 0},
               "0:start s; 100:term s; 120:kill s; 120:s ended; ",
               "s=interrupted -> interrupted",
               "still ran at the end of the timetable"}),
    [](const auto &test) { return std::string(test.param.name); });

TEST(Schedule, start_failed__is_a_failure_of_the_step) {
    Timetable table;
    table.steps = {step("s", 0, 5, 10)};
    table.end_ns = 100 * kMs;
    Schedule schedule(table);
    schedule.due(0);
    schedule.start_failed(0, 0, "cannot run x");
    EXPECT_TRUE(schedule.due(50 * kMs).empty());
    schedule.due(100 * kMs);
    EXPECT_TRUE(schedule.finished());
    EXPECT_EQ(schedule.verdict(), State::kFailed);
    EXPECT_EQ(schedule.outcomes()[0].reason, "cannot run x");
}

TEST(Schedule, failure__ends_what_runs_and_starts_nothing_more) {
    Player player({step("a", 0), step("b", 1), step("c", 50)});
    player.programs["a"].lasts_ms = 10;
    player.programs["a"].status = exit_with(3);
    const auto schedule = player.play();
    EXPECT_EQ(player.log, "0:start a; 1:start b; 10:a ended; 10:term b; 10:b ended; ");
    EXPECT_EQ(player.verdicts(schedule), "a=failed b=interrupted c=interrupted -> failed");
    EXPECT_EQ(schedule.outcomes()[1].reason, "another step of this node had failed");
}

TEST(Schedule, failure__of_a_step_that_is_not_critical_changes_nothing) {
    Player player({step("a", 0, {}, {}, false), step("b", 20)});
    player.programs["a"].lasts_ms = 10;
    player.programs["a"].status = exit_with(3);
    player.programs["b"].lasts_ms = 1;
    const auto schedule = player.play();
    EXPECT_EQ(player.verdicts(schedule), "a=failed b=ok -> ok");
}

TEST(Schedule, interrupt__ends_what_runs_and_starts_nothing_more) {
    Player player({step("a", 0), step("b", 50), step("c", 0)});
    player.programs["c"].lasts_ms = 1;
    player.interrupt_at_ms = 10;
    const auto schedule = player.play();
    EXPECT_EQ(player.log, "0:start a; 0:start c; 1:c ended; 10:term a; 10:a ended; ");
    EXPECT_EQ(player.verdicts(schedule), "a=interrupted b=interrupted c=ok -> interrupted");
    EXPECT_EQ(schedule.outcomes()[1].reason, "was not started");
    EXPECT_EQ(schedule.outcomes()[1].start_ns, std::nullopt);
}

TEST(Schedule, stop__real_machines_get_more_time_before_the_kill) {
    Timetable table;
    table.mode = Mode::kWallclock;
    table.steps = {step("a", 0, 5)};
    table.end_ns = 10'000 * kMs;
    Schedule schedule(table);
    schedule.due(0);
    schedule.started(0, 0);
    schedule.due(5 * kMs);
    EXPECT_EQ(schedule.next(), 1005 * kMs);
}

TEST(Schedule, interrupt__twice_is_harmless) {
    Timetable table;
    table.steps = {step("a", 0)};
    table.end_ns = 100 * kMs;
    Schedule schedule(table);
    schedule.due(0);
    schedule.started(0, 0);
    schedule.interrupt(1);
    schedule.interrupt(2);
    EXPECT_EQ(schedule.due(3).size(), 1U);
    EXPECT_FALSE(schedule.finished());
    schedule.exited(0, 4, SIGTERM);
    EXPECT_TRUE(schedule.finished());
}

} // namespace
} // namespace etran::agent
