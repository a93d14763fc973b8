// SPDX-License-Identifier: MIT
// Copyright (c) The eTran artifact authors
#include "process.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <utility>

#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

namespace etran::agent {

Fd &Fd::operator=(Fd &&other) noexcept {
    if (this != &other) {
        reset();
        fd_ = other.release();
    }
    return *this;
}

int Fd::release() {
    return std::exchange(fd_, -1);
}

void Fd::reset() {
    if (fd_ >= 0)
        close(std::exchange(fd_, -1));
}

void throw_errno(const std::string &what) {
    throw std::system_error(errno, std::generic_category(), what);
}

Capture::Capture(const std::string &path, uint64_t limit_bytes) : limit_(limit_bytes) {
    file_ = Fd(open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0644));
    if (!file_)
        throw_errno("cannot create " + path);
    std::array<int, 2> ends{};
    if (pipe2(ends.data(), O_CLOEXEC) < 0)
        throw_errno("cannot create a pipe for " + path);
    read_ = Fd(ends[0]);
    write_ = Fd(ends[1]);
    // Only our end: programs expect a blocking stdout.
    if (fcntl(read_.get(), F_SETFL, O_NONBLOCK) < 0)
        throw_errno("cannot set up the pipe for " + path);
}

bool Capture::pump() {
    static std::array<char, 65536> buffer;
    if (!read_)
        return false;
    const ssize_t got = read(read_.get(), buffer.data(), buffer.size());
    if (got < 0)
        return errno == EAGAIN || errno == EINTR;
    if (got == 0)
        return false;
    bytes_ += static_cast<uint64_t>(got);
    size_t todo = std::min(static_cast<uint64_t>(got), limit_ - std::min(limit_, kept_));
    const char *from = buffer.data();
    while (todo > 0) {
        const ssize_t put = write(file_.get(), from, todo);
        if (put < 0 && errno == EINTR)
            continue;
        if (put <= 0) {
            limit_ = kept_; // no room for it: from here on as if the limit were reached
            break;
        }
        kept_ += static_cast<uint64_t>(put);
        from += put;
        todo -= static_cast<size_t>(put);
    }
    return true;
}

void Capture::finish() {
    // A pipe holds at most 64 KiB unless a program enlarged it (to 1 MiB at most without
    // privilege); a descendant that still writes must not keep us here.
    for (int round = 0; round < 16; round++) {
        const uint64_t before = bytes_;
        if (!pump() || bytes_ == before)
            break;
    }
    read_.reset();
    file_.reset();
}

pid_t spawn(const SpawnOptions &options) {
    std::vector<char *> argv;
    for (const auto &word : options.argv)
        argv.push_back(const_cast<char *>(word.c_str()));
    argv.push_back(nullptr);

    std::vector<std::string> settings;
    for (char **entry = environ; *entry; entry++) {
        const std::string text(*entry);
        if (!options.env.contains(text.substr(0, text.find('='))))
            settings.push_back(text);
    }
    for (const auto &[name, value] : options.env)
        settings.push_back(name + "=" + value);
    std::vector<char *> envp;
    for (auto &setting : settings)
        envp.push_back(setting.data());
    envp.push_back(nullptr);

    posix_spawn_file_actions_t files;
    posix_spawnattr_t attributes;
    posix_spawn_file_actions_init(&files);
    posix_spawnattr_init(&attributes);
    posix_spawn_file_actions_addopen(&files, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    for (const auto &[fd, target] : {std::pair(options.stdout_fd, STDOUT_FILENO),
                                     std::pair(options.stderr_fd, STDERR_FILENO)}) {
        if (fd >= 0)
            posix_spawn_file_actions_adddup2(&files, fd, target);
        else
            posix_spawn_file_actions_addopen(&files, target, "/dev/null", O_WRONLY, 0);
    }
    if (!options.directory.empty())
        posix_spawn_file_actions_addchdir_np(&files, options.directory.c_str());
    sigset_t none;
    sigset_t all;
    sigemptyset(&none);
    sigfillset(&all);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK |
                                              POSIX_SPAWN_SETSIGDEF);
    posix_spawnattr_setpgroup(&attributes, 0);
    posix_spawnattr_setsigmask(&attributes, &none);
    posix_spawnattr_setsigdefault(&attributes, &all);

    pid_t pid = -1;
    const int error =
        posix_spawnp(&pid, argv.front(), &files, &attributes, argv.data(), envp.data());
    posix_spawn_file_actions_destroy(&files);
    posix_spawnattr_destroy(&attributes);
    if (error) {
        errno = error;
        throw_errno("cannot run " + options.argv.front());
    }
    return pid;
}

std::optional<Ended> reap() {
    siginfo_t info{};
    if (waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) < 0 || info.si_pid == 0)
        return std::nullopt;
    // Before its pid is given back: until then nobody else can have a group of this number.
    kill(-info.si_pid, SIGKILL);
    Ended ended{info.si_pid, 0};
    if (waitpid(ended.pid, &ended.status, WNOHANG) != ended.pid)
        return std::nullopt;
    return ended;
}

} // namespace etran::agent
