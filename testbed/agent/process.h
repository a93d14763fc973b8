// SPDX-License-Identifier: MIT
// Copyright (c) The eTran artifact authors
//
// Programs of the timetable as processes, and the files their output goes to.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <system_error>
#include <vector>

#include <sys/types.h>

namespace etran::agent {

// An owned file descriptor; -1 is none.
class Fd {
  public:
    Fd() = default;
    explicit Fd(int fd) : fd_(fd) {}
    Fd(Fd &&other) noexcept : fd_(other.release()) {}
    Fd &operator=(Fd &&other) noexcept;
    Fd(const Fd &) = delete;
    Fd &operator=(const Fd &) = delete;
    ~Fd() { reset(); }

    int get() const { return fd_; }
    explicit operator bool() const { return fd_ >= 0; }
    int release();
    void reset();

  private:
    int fd_ = -1;
};

// errno as an exception that says what was being done; `what` ends without punctuation.
[[noreturn]] void throw_errno(const std::string &what);

// One output file, fed through a pipe so that a program which prints without end fills neither the
// node's memory nor its own pipe: what exceeds the limit is read and thrown away.
class Capture {
  public:
    // Creates the file (its folder must exist); throws std::system_error.
    Capture(const std::string &path, uint64_t limit_bytes);

    int read_end() const { return read_.get(); }
    int write_end() const { return write_.get(); }
    void close_write_end() { write_.reset(); }

    // Moves what the pipe holds, at most once its size; false when nobody can write any more (or
    // the pipe is closed already). Never blocks.
    bool pump();

    // Takes what is still in the pipe and closes it, though a stray descendant may hold the other
    // end.
    void finish();

    uint64_t bytes() const { return bytes_; } // written by the program
    bool truncated() const { return bytes_ > kept_; }

  private:
    Fd read_, write_, file_;
    uint64_t limit_;
    uint64_t bytes_ = 0;
    uint64_t kept_ = 0;
};

struct SpawnOptions {
    std::vector<std::string> argv{};          // argv[0] is looked up in PATH
    std::map<std::string, std::string> env{}; // over the environment of the caller
    std::string directory{};                  // working directory; empty: the caller's
    int stdout_fd = -1;                       // -1: /dev/null
    int stderr_fd = -1;
};

// Starts a program as leader of a new process group with default signals, stdin from /dev/null.
// Returns its pid; throws std::system_error if it cannot be executed.
pid_t spawn(const SpawnOptions &options);

// A child that ended: pid and status as of waitpid(). Nothing if no child has.
// What is left of its process group is killed: a step's helpers do not outlive it.
struct Ended {
    pid_t pid;
    int status;
};
std::optional<Ended> reap();

} // namespace etran::agent
