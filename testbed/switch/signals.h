/* SPDX-License-Identifier: MIT
 * Copyright (c) The eTran artifact authors
 *
 * SIGINT and SIGTERM as something to poll for, so that the program can clean up after itself.
 */
#ifndef ETRAN_SWITCH_SIGNALS_H
#define ETRAN_SWITCH_SIGNALS_H

#include <sys/signalfd.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <system_error>

namespace etran {

/* While it lives, the two signals are not delivered but readable from fd(). One per process. */
class Signals {
  public:
    Signals() {
        sigset_t set;
        sigemptyset(&set);
        sigaddset(&set, SIGINT);
        sigaddset(&set, SIGTERM);
        pthread_sigmask(SIG_BLOCK, &set, &old_);
        std::signal(SIGPIPE, SIG_IGN);
        fd_ = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
        if (fd_ < 0)
            throw std::system_error(errno, std::generic_category(), "signalfd");
    }
    ~Signals() {
        close(fd_);
        pthread_sigmask(SIG_SETMASK, &old_, nullptr);
    }
    Signals(const Signals &) = delete;
    Signals &operator=(const Signals &) = delete;

    int fd() const { return fd_; }

    /* The signal that has come, 0 = none. */
    int take() const {
        signalfd_siginfo info{};
        return read(fd_, &info, sizeof(info)) == sizeof(info) ? static_cast<int>(info.ssi_signo)
                                                              : 0;
    }

  private:
    int fd_ = -1;
    sigset_t old_{};
};

} // namespace etran

#endif
