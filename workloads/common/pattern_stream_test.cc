// SPDX-License-Identifier: MIT
// Copyright (c) The eTran artifact authors
#include "common/pattern_stream.h"

#include <vector>

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

namespace etran::wl {
namespace {

class pattern_stream : public testing::Test {
  protected:
    void SetUp() override {
        ASSERT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds_), 0);
    }
    void TearDown() override {
        close(fds_[0]);
        close(fds_[1]);
    }

    // Everything that waits at the other end, in pieces of at most `most`; counts wrong pieces.
    int drain(PatternReader &reader, size_t most) {
        std::vector<std::byte> buffer(most);
        int wrong = 0;
        ssize_t n = 0;
        while ((n = read(fds_[1], buffer.data(), buffer.size())) > 0)
            wrong += reader.accept(std::span(buffer).first(static_cast<size_t>(n)), true) ? 0 : 1;
        return wrong;
    }

    int fds_[2] = {-1, -1};
};

TEST_F(pattern_stream, send__arrives_right_over_several_periods) {
    PatternWriter writer(Pattern::kPeriod - 10);
    PatternReader reader(Pattern::kPeriod - 10);
    int blocked = 0;
    for (int i = 0; i < 4; i++) {
        PatternWriter::Result result = writer.send(fds_[0], 900'000);
        for (int turns = 0; result != PatternWriter::Result::kDone; turns++) {
            ASSERT_EQ(result, PatternWriter::Result::kBlocked);
            ASSERT_LT(turns, 10'000);
            blocked++;
            ASSERT_EQ(drain(reader, 7001), 0);
            result = writer.flush(fds_[0]);
        }
        ASSERT_EQ(drain(reader, 7001), 0);
    }
    EXPECT_GT(blocked, 0) << "the test must fill the socket";
    EXPECT_EQ(reader.received(), 3'600'000U);
    EXPECT_EQ(writer.sent(), 3'600'000U);
    EXPECT_FALSE(writer.waiting());
}

TEST_F(pattern_stream, send__waits_behind_what_waits) {
    PatternWriter writer(5);
    PatternReader reader(5);
    writer.queue(100);
    EXPECT_TRUE(writer.waiting());
    EXPECT_EQ(writer.send(fds_[0], 50), PatternWriter::Result::kBlocked);
    EXPECT_EQ(writer.sent(), 0U);
    EXPECT_EQ(writer.total(), 150U);
    EXPECT_EQ(writer.flush(fds_[0]), PatternWriter::Result::kDone);
    EXPECT_EQ(drain(reader, 1000), 0);
    EXPECT_EQ(reader.received(), 150U);
}

TEST_F(pattern_stream, spoil__exactly_one_byte_is_wrong) {
    for (uint64_t at : {0, 1, 99, 100, 199}) {
        PatternWriter writer;
        writer.spoil(at);
        ASSERT_EQ(writer.send(fds_[0], 100), PatternWriter::Result::kDone);
        ASSERT_EQ(writer.send(fds_[0], 100), PatternWriter::Result::kDone);
        PatternReader reader;
        EXPECT_EQ(drain(reader, 1), 1) << "byte by byte, so each wrong byte is one wrong piece";
        EXPECT_EQ(reader.received(), 200U);
    }
}

TEST_F(pattern_stream, accept__detects_a_lost_and_a_doubled_byte) {
    const Pattern &pattern = Pattern::get();
    PatternReader lost;
    EXPECT_TRUE(lost.accept({pattern.at(0), 100}, true));
    EXPECT_FALSE(lost.accept({pattern.at(101), 100}, true));
    PatternReader doubled;
    EXPECT_TRUE(doubled.accept({pattern.at(0), 100}, true));
    EXPECT_FALSE(doubled.accept({pattern.at(99), 100}, true));
    PatternReader counting;
    EXPECT_TRUE(counting.accept({pattern.at(500), 100}, false)) << "only counts";
    EXPECT_EQ(counting.received(), 100U);
}

TEST_F(pattern_stream, send__peer_gone) {
    signal(SIGPIPE, SIG_IGN);
    close(fds_[1]);
    PatternWriter writer;
    EXPECT_EQ(writer.send(fds_[0], 100), PatternWriter::Result::kFailed);
    fds_[1] = dup(fds_[0]);
}

} // namespace
} // namespace etran::wl
