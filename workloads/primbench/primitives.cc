// SPDX-License-Identifier: MIT
// Copyright (c) The eTran artifact authors
#include "primbench/primitives.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <ctime>
#include <functional>
#include <thread>

#include <fmt/format.h>
#include <netinet/in.h>
#include <sched.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/error.h"

namespace etran::wl {
namespace {

// A file descriptor that closes itself.
class Fd {
  public:
    Fd(int fd, std::string_view what) : fd_(fd) {
        if (fd < 0)
            throw UserError(fmt::format("cannot open {}: {}", what, std::strerror(errno)),
                            "the kernel lacks what is to be measured");
    }
    ~Fd() { close(fd_); }
    Fd(const Fd &) = delete;
    Fd &operator=(const Fd &) = delete;
    int get() const { return fd_; }

  private:
    int fd_;
};

void check(bool ok, std::string_view what) {
    if (!ok)
        throw UserError(fmt::format("{} failed: {}", what, std::strerror(errno)),
                        "the kernel lacks what is to be measured");
}

// `samples` samples, each the mean of `batch` operations.
template <typename Operation>
void batches(Histogram &histogram, size_t samples, int64_t batch, Operation &&operation) {
    for (size_t i = 0; i < samples; i++) {
        int64_t begin = mono_ns();
        for (int64_t k = 0; k < batch; k++)
            operation();
        histogram.record((mono_ns() - begin + batch / 2) / batch);
    }
}

void clock_read(Histogram &histogram, size_t samples) {
    batches(histogram, samples, 100, [] { mono_ns(); });
}

void system_call(Histogram &histogram, size_t samples) {
    batches(histogram, samples, 100, [] { syscall(SYS_getppid); });
}

template <size_t Bytes> void user_copy(Histogram &histogram, size_t samples) {
    std::vector<char> from(Bytes, 'x');
    std::vector<char> to(Bytes);
    batches(histogram, samples, 16, [&] {
        std::memcpy(to.data(), from.data(), Bytes);
        asm volatile("" : : "r"(to.data()) : "memory");
    });
}

// A 4 KiB page from a file in memory to the user: a system call and the kernel's own copy.
void kernel_copy(Histogram &histogram, size_t samples) {
    Fd file(memfd_create("primbench", MFD_CLOEXEC), "a memory file");
    std::array<char, 4096> page = {};
    check(pwrite(file.get(), page.data(), page.size(), 0) == 4096, "pwrite");
    batches(histogram, samples, 16,
            [&] { check(pread(file.get(), page.data(), page.size(), 0) == 4096, "pread"); });
}

// Two threads on one core wake each other in turn; one switch is half a round.
void context_switch(Histogram &histogram, size_t samples) {
    constexpr int64_t kRounds = 8;
    Fd ping(eventfd(0, EFD_CLOEXEC), "an eventfd");
    Fd pong(eventfd(0, EFD_CLOEXEC), "an eventfd");
    cpu_set_t before;
    check(sched_getaffinity(0, sizeof(before), &before) == 0, "sched_getaffinity");
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(static_cast<size_t>(sched_getcpu()), &one);
    check(sched_setaffinity(0, sizeof(one), &one) == 0, "sched_setaffinity");
    uint64_t token = 1;
    std::thread other([&] { // inherits the affinity
        uint64_t got = 0;
        for (size_t i = 0; i < samples * kRounds; i++) {
            if (read(ping.get(), &got, sizeof(got)) < 0 || write(pong.get(), &got, sizeof(got)) < 0)
                return;
        }
    });
    batches(histogram, samples, 2 * kRounds, [&, half = 0]() mutable {
        if (half++ % 2 == 0) {
            check(write(ping.get(), &token, sizeof(token)) > 0, "write");
            check(read(pong.get(), &token, sizeof(token)) > 0, "read");
        }
    });
    other.join();
    check(sched_setaffinity(0, sizeof(before), &before) == 0, "sched_setaffinity");
}

// How late a thread runs that sleeps until an absolute time.
void timer_wakeup(Histogram &histogram, size_t samples) {
    constexpr int64_t kPeriod = 100 * kNsPerUs;
    int64_t next = mono_ns() + kPeriod;
    for (size_t i = 0; i < samples; i++, next += kPeriod) {
        timespec until = {static_cast<time_t>(next / kNsPerSec), next % kNsPerSec};
        clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, nullptr);
        int64_t now = mono_ns();
        histogram.record(now - next);
        next = std::max(next, now); // a host that lost us for long does not make all others late
    }
}

// What a timer interrupt takes from a running program: by how much the step of a spinning loop in
// which the interrupt fell was longer than the usual one.
void interrupt(Histogram &histogram, size_t samples) {
    constexpr int64_t kPeriod = 50 * kNsPerUs;
    // A signal that is blocked: the interrupt marks it pending and does nothing else. (SIGEV_NONE
    // would not even arm the hardware.)
    sigset_t blocked;
    sigemptyset(&blocked);
    sigaddset(&blocked, SIGRTMIN);
    sigset_t before;
    check(sigprocmask(SIG_BLOCK, &blocked, &before) == 0, "sigprocmask");
    sigevent pending = {};
    pending.sigev_notify = SIGEV_SIGNAL;
    pending.sigev_signo = SIGRTMIN;
    timer_t timer = nullptr;
    check(timer_create(CLOCK_MONOTONIC, &pending, &timer) == 0, "timer_create");
    // Reading the clock is the loop's step; its usual length first.
    std::vector<int64_t> usual(1001);
    int64_t last = mono_ns();
    for (int64_t &step : usual) {
        int64_t now = mono_ns();
        step = now - last;
        last = now;
    }
    std::nth_element(usual.begin(), usual.begin() + 500, usual.end());
    int64_t step = usual[500];
    for (size_t i = 0; i < samples; i++) {
        int64_t due = mono_ns() + kPeriod;
        itimerspec at = {};
        at.it_value = {static_cast<time_t>(due / kNsPerSec), due % kNsPerSec};
        check(timer_settime(timer, TIMER_ABSTIME, &at, nullptr) == 0, "timer_settime");
        int64_t longest = 0;
        last = mono_ns();
        while (last < due + kPeriod / 4) {
            int64_t now = mono_ns();
            if (now > due)
                longest = std::max(longest, now - last);
            last = now;
        }
        histogram.record(std::max<int64_t>(longest - step, 0));
    }
    timer_delete(timer);
    timespec none = {};
    sigtimedwait(&blocked, nullptr, &none); // takes the pending one away
    sigprocmask(SIG_SETMASK, &before, nullptr);
}

// One 64 B datagram through the whole stack and back up, over the loopback device.
void packet(Histogram &histogram, size_t samples) {
    Fd socket_fd(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), "a UDP socket");
    sockaddr_in self = {};
    self.sin_family = AF_INET;
    self.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    auto *raw = reinterpret_cast<sockaddr *>(&self);
    socklen_t length = sizeof(self);
    check(bind(socket_fd.get(), raw, length) == 0, "bind");
    check(getsockname(socket_fd.get(), raw, &length) == 0, "getsockname");
    check(connect(socket_fd.get(), raw, length) == 0, "connect");
    std::array<char, 64> data = {};
    batches(histogram, samples, 8, [&] {
        check(send(socket_fd.get(), data.data(), data.size(), 0) == 64, "send");
        check(recv(socket_fd.get(), data.data(), data.size(), 0) == 64, "recv");
    });
}

} // namespace

const std::vector<Primitive> &primitives() {
    static const std::vector<Primitive> table = {
        {"clock read", clock_read},         {"system call", system_call},
        {"copy 4 KiB", user_copy<4096>},    {"copy 64 KiB", user_copy<65536>},
        {"kernel copy 4 KiB", kernel_copy}, {"context switch", context_switch},
        {"timer interrupt", interrupt},     {"timer wake-up", timer_wakeup},
        {"loopback packet", packet},
    };
    return table;
}

} // namespace etran::wl
