// SPDX-License-Identifier: MIT
// Copyright (c) The eTran artifact authors
#include "common/signals.h"

#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstdint>

#include <sys/eventfd.h>
#include <unistd.h>

#include "common/error.h"

namespace etran::wl {
namespace {

std::atomic<bool> g_stop{false};
std::atomic<int> g_stop_fd{-1};

void on_signal(int) {
    int saved = errno;
    request_stop();
    errno = saved;
}

} // namespace

void install_signal_handlers() {
    stop_fd();
    struct sigaction action = {};
    action.sa_handler = on_signal;
    action.sa_flags = static_cast<int>(SA_RESETHAND);
    sigaction(SIGTERM, &action, nullptr);
    sigaction(SIGINT, &action, nullptr);
    action.sa_handler = SIG_IGN;
    action.sa_flags = 0;
    sigaction(SIGPIPE, &action, nullptr);
}

bool stop_requested() {
    return g_stop.load(std::memory_order_relaxed);
}

void request_stop() {
    g_stop.store(true, std::memory_order_relaxed);
    int fd = g_stop_fd.load(std::memory_order_relaxed);
    uint64_t one = 1;
    // Nobody reads it, so it stays readable for all loops.
    if (fd >= 0 && write(fd, &one, sizeof(one)) < 0)
        return;
}

void reset_stop() {
    g_stop.store(false, std::memory_order_relaxed);
    uint64_t count = 0;
    int fd = g_stop_fd.load(std::memory_order_relaxed);
    if (fd >= 0 && read(fd, &count, sizeof(count)) < 0)
        return;
}

int stop_fd() {
    int fd = g_stop_fd.load();
    if (fd >= 0)
        return fd;
    fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (fd < 0)
        throw UserError("cannot create an eventfd", "check the limit of open files (ulimit -n)");
    int expected = -1;
    if (!g_stop_fd.compare_exchange_strong(expected, fd)) {
        close(fd);
        return expected;
    }
    return fd;
}

} // namespace etran::wl
