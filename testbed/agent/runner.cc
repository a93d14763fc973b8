// SPDX-License-Identifier: MIT
// Copyright (c) The eTran artifact authors
#include "runner.h"

#include <array>
#include <cerrno>
#include <csignal>
#include <ctime>
#include <map>
#include <memory>

#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "process.h"

namespace etran::agent {
namespace {

constexpr int64_t kSecond = 1'000'000'000;

int64_t read_clock(clockid_t clock) {
    timespec now{};
    clock_gettime(clock, &now);
    return now.tv_sec * kSecond + now.tv_nsec;
}

sigset_t handled_signals() {
    sigset_t set;
    sigemptyset(&set);
    for (const int signal : {SIGCHLD, SIGTERM, SIGINT, SIGHUP})
        sigaddset(&set, signal);
    return set;
}

// The two outputs of a running step; err is the same object as out when they share a file.
struct Running {
    pid_t pid = -1;
    std::shared_ptr<Capture> out, err;
};

class Run {
  public:
    Run(const Timetable &table, const RunnerOptions &options)
        : table_(table), options_(options), schedule_(table, options.wait_for_end) {
        result_.steps.resize(table.steps.size());
        poll_ = Fd(epoll_create1(EPOLL_CLOEXEC));
        timer_ = Fd(timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK));
        const sigset_t signals = handled_signals();
        signals_ = Fd(signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK));
        if (!poll_ || !timer_ || !signals_)
            throw_errno("cannot create the agent's descriptors");
        watch(timer_.get());
        watch(signals_.get());
        // Descendants that leave their process group become our children instead of init's.
        prctl(PR_SET_CHILD_SUBREAPER, 1);
    }

    ~Run() {
        for (const auto &[index, step] : running_)
            kill(-step.pid, SIGKILL);
    }
    Run(const Run &) = delete;
    Run &operator=(const Run &) = delete;

    RunResult go() {
        while (!schedule_.finished()) {
            for (const Action &action : schedule_.due(now()))
                act(action);
            if (schedule_.finished())
                break;
            arm();
            wait();
        }
        for (size_t i = 0; i < result_.steps.size(); i++)
            result_.steps[i].outcome = schedule_.outcomes()[i];
        result_.verdict = schedule_.verdict();
        return std::move(result_);
    }

  private:
    int64_t now() const { return monotonic_ns() - options_.t0_mono_ns; }

    void watch(int fd) {
        epoll_event event{};
        event.events = EPOLLIN;
        event.data.fd = fd;
        if (epoll_ctl(poll_.get(), EPOLL_CTL_ADD, fd, &event) < 0)
            throw_errno("epoll_ctl");
    }

    void arm() {
        const auto next = schedule_.next();
        itimerspec when{};
        if (next) {
            // Zero would disarm the timer; what is past is due at once.
            const int64_t at =
                *next == INT64_MIN ? 1 : std::max<int64_t>(1, *next + options_.t0_mono_ns);
            when.it_value = {at / kSecond, at % kSecond};
        }
        if (timerfd_settime(timer_.get(), TFD_TIMER_ABSTIME, &when, nullptr) < 0)
            throw_errno("timerfd_settime");
    }

    void wait() {
        std::array<epoll_event, 16> events{};
        const int count =
            epoll_wait(poll_.get(), events.data(), static_cast<int>(events.size()), -1);
        if (count < 0 && errno != EINTR)
            throw_errno("epoll_wait");
        for (int i = 0; i < count; i++) {
            const int fd = events[i].data.fd;
            if (fd == timer_.get()) {
                uint64_t ticks = 0;
                (void)!read(fd, &ticks, sizeof ticks);
            } else if (fd == signals_.get()) {
                take_signals();
            } else {
                pump(fd);
            }
        }
    }

    void take_signals() {
        signalfd_siginfo info{};
        while (read(signals_.get(), &info, sizeof info) == sizeof info)
            if (info.ssi_signo != SIGCHLD)
                schedule_.interrupt(now());
        while (const auto ended = reap())
            finish(*ended);
    }

    void pump(int fd) {
        const auto found = captures_.find(fd);
        if (found != captures_.end() && !found->second->pump())
            forget(fd);
    }

    // Closing the descriptor takes it out of epoll only if no one else has it; so say it.
    void forget(int fd) {
        if (captures_.erase(fd))
            epoll_ctl(poll_.get(), EPOLL_CTL_DEL, fd, nullptr);
    }

    void act(const Action &action) {
        switch (action.kind) {
        case Action::Kind::kKill:
            kill(-running_.at(action.step).pid, SIGKILL);
            break;
        case Action::Kind::kTerminate:
            kill(-running_.at(action.step).pid, SIGTERM);
            break;
        case Action::Kind::kStart:
            start(action.step);
            break;
        }
    }

    void start(size_t index) {
        const Step &step = table_.steps[index];
        StepResult &result = result_.steps[index];
        result.argv = expand_argv(step.argv, options_.t0_ns, options_.out_dir);
        result.out.file = step.stdout_file;
        result.err.file = step.stderr_file;
        Running running;
        try {
            running.out = capture(step.stdout_file);
            running.err =
                step.stderr_file == step.stdout_file ? running.out : capture(step.stderr_file);
            running.pid = spawn({.argv = result.argv,
                                 .env = step.env,
                                 .directory = options_.out_dir,
                                 .stdout_fd = running.out ? running.out->write_end() : -1,
                                 .stderr_fd = running.err ? running.err->write_end() : -1});
        } catch (const std::system_error &error) {
            schedule_.start_failed(index, now(), error.what());
            return;
        }
        for (const auto &output : {running.out, running.err}) {
            if (!output || captures_.contains(output->read_end()))
                continue;
            output->close_write_end();
            watch(output->read_end());
            captures_[output->read_end()] = output;
        }
        running_.emplace(index, std::move(running));
        schedule_.started(index, now());
    }

    std::shared_ptr<Capture> capture(const std::string &name) const {
        if (name.empty())
            return nullptr;
        return std::make_shared<Capture>(options_.out_dir + "/" + name, options_.max_output_bytes);
    }

    void take_output(const std::shared_ptr<Capture> &output, OutputInfo &info) {
        if (!output)
            return;
        forget(output->read_end());
        output->finish();
        info.bytes = output->bytes();
        info.truncated = output->truncated();
    }

    void finish(const Ended &ended) {
        for (auto &[index, step] : running_) {
            if (step.pid != ended.pid)
                continue;
            schedule_.exited(index, now(), ended.status);
            take_output(step.out, result_.steps[index].out);
            take_output(step.err, result_.steps[index].err);
            running_.erase(index);
            return;
        }
        // Otherwise a stray descendant that was handed to us: nothing to record.
    }

    const Timetable &table_;
    const RunnerOptions &options_;
    Schedule schedule_;
    std::map<size_t, Running> running_;                // by step
    std::map<int, std::shared_ptr<Capture>> captures_; // by read end
    RunResult result_;
    Fd poll_, timer_, signals_;
};

} // namespace

int64_t monotonic_ns() {
    return read_clock(CLOCK_MONOTONIC);
}

int64_t realtime_ns() {
    return read_clock(CLOCK_REALTIME);
}

void block_signals() {
    signal(SIGCHLD, SIG_DFL); // ignored, children would vanish without a status
    const sigset_t signals = handled_signals();
    sigprocmask(SIG_BLOCK, &signals, nullptr);
}

RunResult run(const Timetable &table, const RunnerOptions &options) {
    return Run(table, options).go();
}

} // namespace etran::agent
