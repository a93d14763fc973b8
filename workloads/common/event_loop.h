// SPDX-License-Identifier: MIT
// Copyright (c) The eTran artifact authors
//
// One thread's event loop: epoll, one timer with nanosecond deadlines, and the stop signal.
#pragma once

#include <cstdint>
#include <span>

#include <sys/epoll.h>

namespace etran::wl {

enum class PollMode {
    kSleep, // block in epoll_wait: the node's one core is free for the network stack
    kBusy,  // never block
};

// Not thread-safe: all calls from the thread that owns it, except the destructor.
class EventLoop {
  public:
    // Tags from here up are the loop's own.
    static constexpr uint64_t kMaxTag = ~0ULL - 16;

    explicit EventLoop(PollMode mode); // throws UserError
    ~EventLoop();
    EventLoop(const EventLoop &) = delete;
    EventLoop &operator=(const EventLoop &) = delete;

    // Watches `fd` for `events` (EPOLLIN...); wait() returns `tag` with them. A closed fd leaves by
    // itself. add() throws UserError.
    void add(int fd, uint32_t events, uint64_t tag);
    void modify(int fd, uint32_t events, uint64_t tag);
    void remove(int fd);

    // Waits until something happens or `deadline` (CLOCK_MONOTONIC ns, kNever for none) has passed,
    // and fills `events`; returns how many. 0 is normal: the deadline, a signal, or the stop
    // request, after which it never blocks again. In busy mode, or with deadline <= 0, it only
    // looks.
    int wait(std::span<epoll_event> events, int64_t deadline);

  private:
    void arm(int64_t deadline);

    PollMode mode_;
    int epoll_fd_ = -1;
    int timer_fd_ = -1;
    int64_t armed_ = 0; // deadline the timer is set to; 0 = not set
};

} // namespace etran::wl
