// SPDX-License-Identifier: MIT
// Copyright (c) The eTran artifact authors
#include "schedule.h"

#include <csignal>
#include <utility>

#include <fmt/format.h>
#include <sys/wait.h>

namespace etran::agent {

const char *state_name(State state) {
    switch (state) {
    case State::kOk:
        return "ok";
    case State::kFailed:
        return "failed";
    case State::kInterrupted:
        break;
    }
    return "interrupted";
}

Schedule::Schedule(const Timetable &table, bool wait_for_end)
    : table_(table), progress_(table.steps.size()), outcomes_(table.steps.size()),
      to_start_(table.steps.size()), wait_for_end_(wait_for_end),
      kill_grace_ns_(table.mode == Mode::kVirtual ? kVirtualKillGraceNs : kWallclockKillGraceNs) {
    for (size_t i = 0; i < table.steps.size(); i++)
        events_.emplace(table.steps[i].at_ns, Kind::kStart, i);
    events_.emplace(table.end_ns, Kind::kEnd, 0);
}

std::vector<Action> Schedule::due(int64_t now) {
    std::vector<Action> actions = std::exchange(pending_, {});
    while (!events_.empty() && std::get<0>(*events_.begin()) <= now) {
        const auto [when, kind, step] = *events_.begin();
        // What is started by this call can only be ended by the next one.
        if (kind == Kind::kEnd && !actions.empty())
            break;
        events_.erase(events_.begin());
        switch (kind) {
        case Kind::kKill:
            if (progress_[step].running) {
                progress_[step].killed = true;
                actions.push_back({Action::Kind::kKill, step});
            }
            break;
        case Kind::kTimeout:
            ask_to_end(step, now, Cause::kTimeout, actions);
            break;
        case Kind::kStop:
            ask_to_end(step, now, Cause::kStop, actions);
            break;
        case Kind::kEnd:
            end_all(now, Cause::kEnd);
            actions.insert(actions.end(), pending_.begin(), pending_.end());
            pending_.clear();
            break;
        case Kind::kStart:
            actions.push_back({Action::Kind::kStart, step});
            break;
        }
    }
    return actions;
}

bool Schedule::finished() const {
    return running_ == 0 && (ended_ || (!wait_for_end_ && to_start_ == 0));
}

std::optional<int64_t> Schedule::next() const {
    if (!pending_.empty())
        return INT64_MIN;
    if (finished() || events_.empty())
        return std::nullopt;
    return std::get<0>(*events_.begin());
}

void Schedule::started(size_t step, int64_t now) {
    outcomes_[step].start_ns = now;
    outcomes_[step].reason.clear();
    progress_[step].running = true;
    to_start_--;
    running_++;
    if (table_.steps[step].stop_at_ns)
        events_.emplace(*table_.steps[step].stop_at_ns, Kind::kStop, step);
    if (table_.steps[step].timeout_ns) {
        progress_[step].timeout_at = now + *table_.steps[step].timeout_ns;
        events_.emplace(progress_[step].timeout_at, Kind::kTimeout, step);
    }
}

void Schedule::start_failed(size_t step, int64_t now, const std::string &reason) {
    to_start_--;
    outcomes_[step] = {now, now, std::nullopt, std::nullopt, State::kFailed, reason};
    give_up_after(step, now);
}

void Schedule::exited(size_t step, int64_t now, int wait_status) {
    Outcome &outcome = outcomes_[step];
    outcome.end_ns = now;
    if (WIFSIGNALED(wait_status))
        outcome.signal = WTERMSIG(wait_status);
    else
        outcome.exit_status = WEXITSTATUS(wait_status);
    progress_[step].running = false;
    running_--;
    events_.erase({table_.steps[step].stop_at_ns.value_or(0), Kind::kStop, step});
    events_.erase({progress_[step].timeout_at, Kind::kTimeout, step});
    events_.erase({progress_[step].kill_at, Kind::kKill, step});
    judge(step, outcome);
    give_up_after(step, now);
}

void Schedule::interrupt(int64_t now) {
    end_all(now, Cause::kSignal);
}

State Schedule::verdict() const {
    State worst = State::kOk;
    for (size_t i = 0; i < outcomes_.size(); i++) {
        if (!table_.steps[i].critical || outcomes_[i].state == State::kOk)
            continue;
        if (outcomes_[i].state == State::kFailed)
            return State::kFailed;
        worst = State::kInterrupted;
    }
    return worst;
}

void Schedule::ask_to_end(size_t step, int64_t now, Cause cause, std::vector<Action> &actions) {
    Progress &progress = progress_[step];
    if (!progress.running || progress.killed)
        return;
    const bool asked = progress.cause != Cause::kNone;
    // Why it was asked first decides, except that a time-out is a failure in any case.
    if (!asked || cause == Cause::kTimeout)
        progress.cause = cause;
    if (!asked) {
        actions.push_back({Action::Kind::kTerminate, step});
        progress.kill_at = now + kill_grace_ns_;
        events_.emplace(progress.kill_at, Kind::kKill, step);
    } else if (cause == Cause::kTimeout) {
        progress.killed = true;
        actions.push_back({Action::Kind::kKill, step});
    }
}

void Schedule::give_up_after(size_t step, int64_t now) {
    if (!ended_ && table_.steps[step].critical && outcomes_[step].state == State::kFailed)
        end_all(now, Cause::kFailure);
}

void Schedule::end_all(int64_t now, Cause cause) {
    ended_ = true;
    std::erase_if(events_, [](const Event &event) {
        return std::get<1>(event) == Kind::kStart || std::get<1>(event) == Kind::kEnd;
    });
    for (size_t i = 0; i < progress_.size(); i++)
        ask_to_end(i, now, cause, pending_);
}

void Schedule::judge(size_t step, Outcome &outcome) const {
    const Progress &progress = progress_[step];
    const bool clean = outcome.exit_status == 0;
    const bool by_sigterm = outcome.signal == SIGTERM || outcome.exit_status == 128 + SIGTERM;
    const std::string how = outcome.signal
                                ? fmt::format("was killed by signal {}", *outcome.signal)
                                : fmt::format("ended with exit status {}", *outcome.exit_status);
    outcome.state = State::kFailed;
    outcome.reason = how;
    switch (progress.cause) {
    case Cause::kTimeout:
        outcome.reason = fmt::format("did not end within its time of {} ns",
                                     table_.steps[step].timeout_ns.value_or(0));
        return;
    case Cause::kEnd:
        outcome.state = State::kInterrupted;
        outcome.reason = "still ran at the end of the timetable";
        return;
    case Cause::kFailure:
        outcome.state = State::kInterrupted;
        outcome.reason = "another step of this node had failed";
        return;
    case Cause::kSignal:
        outcome.state = State::kInterrupted;
        outcome.reason = "the agent was told to stop";
        return;
    case Cause::kStop:
        if (progress.killed) {
            outcome.reason = fmt::format("did not end within {} ms of SIGTERM and was killed",
                                         kill_grace_ns_ / 1'000'000);
            return;
        }
        if (!clean && !by_sigterm)
            return;
        break;
    case Cause::kNone:
        if (!clean)
            return;
        break;
    }
    outcome.state = State::kOk;
    outcome.reason.clear();
}

} // namespace etran::agent
