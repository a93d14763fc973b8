// SPDX-License-Identifier: MIT
// Copyright (c) The eTran artifact authors
#include "common/event_loop.h"

#include <array>

#include <gtest/gtest.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/error.h"
#include "common/signals.h"

namespace etran::wl {
namespace {

class event_loop : public testing::Test {
  protected:
    void SetUp() override {
        reset_stop();
        ASSERT_EQ(pipe(pipe_), 0);
    }
    void TearDown() override {
        close(pipe_[0]);
        close(pipe_[1]);
        reset_stop();
    }
    int pipe_[2] = {-1, -1};
    std::array<epoll_event, 8> events_;
};

TEST_F(event_loop, wait__returns_tags_of_ready_descriptors) {
    EventLoop loop(PollMode::kSleep);
    loop.add(pipe_[0], EPOLLIN, 77);
    ASSERT_EQ(write(pipe_[1], "x", 1), 1);
    ASSERT_EQ(loop.wait(events_, kNever), 1);
    EXPECT_EQ(events_[0].data.u64, 77U);
    loop.modify(pipe_[0], EPOLLIN, 78);
    ASSERT_EQ(loop.wait(events_, kNever), 1);
    EXPECT_EQ(events_[0].data.u64, 78U);
    loop.remove(pipe_[0]);
    EXPECT_EQ(loop.wait(events_, 0), 0);
}

TEST_F(event_loop, wait__returns_at_the_deadline_and_not_before) {
    EventLoop loop(PollMode::kSleep);
    for (int i = 0; i < 3; i++) {
        int64_t deadline = mono_ns() + 2 * kNsPerMs;
        EXPECT_EQ(loop.wait(events_, deadline), 0);
        EXPECT_GE(mono_ns(), deadline);
    }
}

TEST_F(event_loop, wait__past_deadline_only_looks) {
    EventLoop loop(PollMode::kSleep);
    EXPECT_EQ(loop.wait(events_, 0), 0);
    EXPECT_EQ(loop.wait(events_, mono_ns() - kNsPerSec), 0);
}

TEST_F(event_loop, wait__same_deadline_twice) {
    // An event comes before the deadline; the timer stays armed and still fires.
    EventLoop loop(PollMode::kSleep);
    loop.add(pipe_[0], EPOLLIN, 1);
    int64_t deadline = mono_ns() + 20 * kNsPerMs;
    ASSERT_EQ(write(pipe_[1], "x", 1), 1);
    ASSERT_EQ(loop.wait(events_, deadline), 1);
    char byte = 0;
    ASSERT_EQ(read(pipe_[0], &byte, 1), 1);
    for (int turns = 0; mono_ns() < deadline; turns++) {
        ASSERT_LT(turns, 3) << "it must sleep, not spin";
        EXPECT_EQ(loop.wait(events_, deadline), 0);
    }
}

TEST_F(event_loop, wait__busy_never_blocks) {
    EventLoop loop(PollMode::kBusy);
    EXPECT_EQ(loop.wait(events_, kNever), 0);
}

TEST_F(event_loop, wait__stop_request_wakes_for_ever) {
    EventLoop first(PollMode::kSleep);
    EventLoop second(PollMode::kSleep);
    request_stop();
    EXPECT_TRUE(stop_requested());
    for (int i = 0; i < 3; i++) {
        EXPECT_EQ(first.wait(events_, kNever), 0);
        EXPECT_EQ(second.wait(events_, kNever), 0);
    }
}

TEST_F(event_loop, add__bad_descriptor) {
    EventLoop loop(PollMode::kSleep);
    EXPECT_THROW(loop.add(-1, EPOLLIN, 1), UserError);
}

} // namespace
} // namespace etran::wl
