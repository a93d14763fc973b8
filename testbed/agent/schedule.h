// SPDX-License-Identifier: MIT
// Copyright (c) The eTran artifact authors
//
// Decides what happens when. No clock, no process, no I/O: the caller says what time it is and what
// became of each program, so that every case can be tested without waiting. Times are ns after T0.
//
// Things due at the same instant happen in this order: kill, terminate, end of the epoch, start;
// among equals in the order of the timetable. So a port is free before its next user starts.
#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <tuple>
#include <vector>

#include "timetable.h"

namespace etran::agent {

// From SIGTERM to SIGKILL. Virtual time does not depend on how busy the host is; a real machine may
// need a while to schedule a program that would end at once.
inline constexpr int64_t kVirtualKillGraceNs = 20'000'000;
inline constexpr int64_t kWallclockKillGraceNs = 1'000'000'000;

enum class State { kOk, kFailed, kInterrupted };

const char *state_name(State state);

// What became of a step. A step that never ran has no start_ns and is interrupted.
struct Outcome {
    std::optional<int64_t> start_ns;
    std::optional<int64_t> end_ns;
    std::optional<int> exit_status; // one of these two once the program ended,
    std::optional<int> signal;      // none when it could not be started
    State state = State::kInterrupted;
    std::string reason = "was not started"; // for people; empty when ok
};

struct Action {
    enum class Kind { kKill, kTerminate, kStart };
    Kind kind;
    size_t step; // index into Timetable::steps

    friend bool operator==(const Action &, const Action &) = default;
};

// The first critical step that fails ends the timetable: what runs is terminated, nothing more is
// started. Not thread-safe. The timetable must outlive the schedule.
class Schedule {
  public:
    // wait_for_end: not finished before end_ns even if nothing is left to do (nodes of an epoch
    // leave together), unless a critical step failed.
    explicit Schedule(const Timetable &table, bool wait_for_end = true);

    // Takes everything due at `now`. Every kStart must be answered by started() or start_failed().
    std::vector<Action> due(int64_t now);

    // When due() will next have something to say; nothing once finished.
    std::optional<int64_t> next() const;

    void started(size_t step, int64_t now);
    void start_failed(size_t step, int64_t now, const std::string &reason);

    // wait_status as of waitpid().
    void exited(size_t step, int64_t now, int wait_status);

    // From outside (a signal): terminates what runs and starts nothing more.
    void interrupt(int64_t now);

    // Nothing runs any more, and nothing will.
    bool finished() const;

    const std::vector<Outcome> &outcomes() const { return outcomes_; }

    // kFailed if a critical step failed, else kInterrupted if one was interrupted, else kOk.
    State verdict() const;

  private:
    enum class Cause { kNone, kStop, kTimeout, kEnd, kSignal, kFailure };
    enum class Kind { kKill, kTimeout, kStop, kEnd, kStart };
    using Event = std::tuple<int64_t, Kind, size_t>;

    struct Progress {
        bool running = false;
        bool killed = false;
        Cause cause = Cause::kNone; // why the program was asked to end
        int64_t timeout_at = 0;     // of the events in the queue
        int64_t kill_at = 0;
    };

    void ask_to_end(size_t step, int64_t now, Cause cause, std::vector<Action> &actions);
    void end_all(int64_t now, Cause cause);
    void judge(size_t step, Outcome &outcome) const;
    void give_up_after(size_t step, int64_t now);

    const Timetable &table_;
    std::set<Event> events_;
    std::vector<Progress> progress_;
    std::vector<Outcome> outcomes_;
    std::vector<Action> pending_; // decided outside due()
    size_t to_start_;
    size_t running_ = 0;
    const bool wait_for_end_;
    const int64_t kill_grace_ns_;
    bool ended_ = false;
};

} // namespace etran::agent
