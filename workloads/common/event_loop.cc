// SPDX-License-Identifier: MIT
// Copyright (c) The eTran artifact authors
#include "common/event_loop.h"

#include <cerrno>
#include <cstring>

#include <fmt/format.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/error.h"
#include "common/signals.h"

namespace etran::wl {
namespace {

constexpr uint64_t kTimerTag = ~0ULL;
constexpr uint64_t kStopTag = ~0ULL - 1;

} // namespace

EventLoop::EventLoop(PollMode mode) : mode_(mode) {
    epoll_fd_ = epoll_create1(EPOLL_CLOEXEC);
    timer_fd_ = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    if (epoll_fd_ < 0 || timer_fd_ < 0) {
        throw UserError(fmt::format("cannot create an event loop: {}", std::strerror(errno)),
                        "check the limit of open files (ulimit -n)");
    }
    // Edge-triggered: each expiry is one event and the timer need not be read.
    add(timer_fd_, EPOLLIN | EPOLLET, kTimerTag);
    add(stop_fd(), EPOLLIN, kStopTag);
}

EventLoop::~EventLoop() {
    if (timer_fd_ >= 0)
        close(timer_fd_);
    if (epoll_fd_ >= 0)
        close(epoll_fd_);
}

void EventLoop::add(int fd, uint32_t events, uint64_t tag) {
    epoll_event event = {};
    event.events = events;
    event.data.u64 = tag;
    if (epoll_ctl(epoll_fd_, EPOLL_CTL_ADD, fd, &event) != 0) {
        throw UserError(fmt::format("cannot watch a socket: {}", std::strerror(errno)),
                        "check the limit of open files (ulimit -n)");
    }
}

void EventLoop::modify(int fd, uint32_t events, uint64_t tag) {
    epoll_event event = {};
    event.events = events;
    event.data.u64 = tag;
    epoll_ctl(epoll_fd_, EPOLL_CTL_MOD, fd, &event);
}

void EventLoop::remove(int fd) {
    epoll_ctl(epoll_fd_, EPOLL_CTL_DEL, fd, nullptr);
}

void EventLoop::arm(int64_t deadline) {
    if (deadline == armed_)
        return;
    itimerspec when = {};
    when.it_value.tv_sec = deadline / kNsPerSec;
    when.it_value.tv_nsec = deadline % kNsPerSec;
    timerfd_settime(timer_fd_, TFD_TIMER_ABSTIME, &when, nullptr);
    armed_ = deadline;
}

int EventLoop::wait(std::span<epoll_event> events, int64_t deadline) {
    int timeout = 0;
    if (mode_ == PollMode::kSleep && deadline > 0) {
        timeout = -1;
        if (deadline != kNever)
            arm(deadline);
        // An earlier deadline may still be armed; it wakes this loop once for nothing.
    }
    int n = epoll_wait(epoll_fd_, events.data(), static_cast<int>(events.size()), timeout);
    if (n < 0)
        return 0;
    int kept = 0;
    for (int i = 0; i < n; i++) {
        const epoll_event &event = events[static_cast<size_t>(i)];
        if (event.data.u64 == kTimerTag) {
            armed_ = 0;
        } else if (event.data.u64 != kStopTag) {
            if (kept != i)
                events[static_cast<size_t>(kept)] = event;
            kept++;
        }
    }
    return kept;
}

} // namespace etran::wl
