// SPDX-License-Identifier: MIT
// Copyright (c) The eTran artifact authors
#include "process.h"

#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

namespace etran::agent {
namespace {

class Process : public ::testing::Test {
  protected:
    Process() {
        std::string pattern = ::testing::TempDir() + "etran-process.XXXXXX";
        dir_ = mkdtemp(pattern.data());
    }
    ~Process() override { std::filesystem::remove_all(dir_); }

    // Runs a program to its end with its stdout captured.
    std::string output_of(SpawnOptions options, int *status, uint64_t limit = 1 << 20) {
        Capture capture(dir_ + "/out", limit);
        options.stdout_fd = capture.write_end();
        const pid_t pid = spawn(options);
        capture.close_write_end();
        EXPECT_EQ(waitpid(pid, status, 0), pid);
        capture.finish();
        bytes_ = capture.bytes();
        truncated_ = capture.truncated();
        return text_of("out");
    }

    std::string text_of(const std::string &name) const {
        std::ostringstream text;
        text << std::ifstream(dir_ + "/" + name).rdbuf();
        return text.str();
    }

    std::string dir_;
    uint64_t bytes_ = 0;
    bool truncated_ = false;
};

TEST_F(Process, spawn__environment_directory_and_status) {
    int status = 0;
    const auto text = output_of({.argv = {"sh", "-c", "echo $ONE; pwd; exit 7"},
                                 .env = {{"ONE", "1 2"}},
                                 .directory = dir_},
                                &status);
    EXPECT_EQ(text, "1 2\n" + std::filesystem::canonical(dir_).string() + "\n");
    EXPECT_TRUE(WIFEXITED(status));
    EXPECT_EQ(WEXITSTATUS(status), 7);
}

TEST_F(Process, spawn__is_leader_of_its_group_with_default_signals) {
    sigset_t term;
    sigemptyset(&term);
    sigaddset(&term, SIGTERM);
    sigprocmask(SIG_BLOCK, &term, nullptr);
    int status = 0;
    output_of({.argv = {"sh", "-c", "kill -TERM -$$; sleep 60"}}, &status);
    sigprocmask(SIG_UNBLOCK, &term, nullptr);
    EXPECT_TRUE(WIFSIGNALED(status));
    EXPECT_EQ(WTERMSIG(status), SIGTERM);
}

TEST_F(Process, spawn__stdin_is_empty) {
    int status = 0;
    EXPECT_EQ(output_of({.argv = {"sh", "-c", "cat; echo end"}}, &status), "end\n");
}

TEST_F(Process, spawn__no_such_program) {
    try {
        spawn({.argv = {"/nonexistent/program"}});
        FAIL();
    } catch (const std::system_error &error) {
        EXPECT_EQ(error.code().value(), ENOENT);
        EXPECT_THAT(error.what(), ::testing::HasSubstr("cannot run /nonexistent/program"));
    }
}

TEST_F(Process, spawn__not_executable) {
    std::ofstream(dir_ + "/text") << "no program";
    EXPECT_THROW(spawn({.argv = {dir_ + "/text"}}), std::system_error);
}

TEST_F(Process, capture__keeps_the_limit_and_counts_the_rest) {
    int status = 0;
    EXPECT_EQ(output_of({.argv = {"sh", "-c", "echo 0123456789"}}, &status, 4), "0123");
    EXPECT_EQ(bytes_, 11U);
    EXPECT_TRUE(truncated_);
    EXPECT_EQ(output_of({.argv = {"sh", "-c", "echo 012"}}, &status, 4), "012\n");
    EXPECT_FALSE(truncated_);
}

TEST_F(Process, capture__no_folder) {
    EXPECT_THROW(Capture(dir_ + "/none/out", 1), std::system_error);
}

TEST_F(Process, capture__does_not_follow_a_link) {
    std::filesystem::create_symlink("/dev/null", dir_ + "/link");
    EXPECT_THROW(Capture(dir_ + "/link", 1), std::system_error);
}

TEST_F(Process, capture__a_full_disk_does_not_stop_the_program) {
    if (access("/dev/full", W_OK) != 0)
        GTEST_SKIP() << "this machine has no /dev/full";
    // O_CREAT | O_TRUNC on a device is fine, and every write to it fails with ENOSPC.
    Capture capture("/dev/full", 100);
    const pid_t pid = spawn({.argv = {"echo", "x"}, .stdout_fd = capture.write_end()});
    capture.close_write_end();
    int status = -1;
    EXPECT_EQ(waitpid(pid, &status, 0), pid);
    EXPECT_EQ(status, 0);
    capture.finish();
    EXPECT_EQ(capture.bytes(), 2U);
    EXPECT_TRUE(capture.truncated());
}

TEST_F(Process, reap__kills_what_is_left_of_the_group) {
    Capture capture(dir_ + "/out", 1 << 20);
    const pid_t pid =
        spawn({.argv = {"sh", "-c", "sleep 1000 & echo $!"}, .stdout_fd = capture.write_end()});
    capture.close_write_end();
    siginfo_t info{};
    ASSERT_EQ(waitid(P_PID, static_cast<id_t>(pid), &info, WEXITED | WNOWAIT), 0);
    const auto ended = reap();
    ASSERT_TRUE(ended);
    EXPECT_EQ(ended->pid, pid);
    EXPECT_EQ(ended->status, 0);
    // The helper held the other end of the pipe; that it ends shows that it is gone.
    int flags = fcntl(capture.read_end(), F_GETFL);
    ASSERT_EQ(fcntl(capture.read_end(), F_SETFL, flags & ~O_NONBLOCK), 0);
    while (capture.pump()) {
    }
    EXPECT_FALSE(reap());
}

} // namespace
} // namespace etran::agent
