// SPDX-License-Identifier: MIT
// Copyright (c) The eTran artifact authors
//
// The two ends of a byte stream that consists of the pattern and nothing else.
#pragma once

#include <cstdint>
#include <span>

#include "common/pattern.h"

namespace etran::wl {

// Writes pattern bytes to a non-blocking socket. Owns nothing.
class PatternWriter {
  public:
    enum class Result { kDone, kBlocked, kFailed }; // kFailed: see errno

    explicit PatternWriter(uint32_t start = 0) : position_(start) {}

    // Sends one more message: with one system call if nothing waits and the socket takes it all;
    // otherwise the rest waits for flush().
    Result send(int fd, uint32_t bytes);

    // Adds a message to what waits, without sending (for batches; then flush()).
    void queue(uint64_t bytes) { waiting_ += bytes; }

    // Sends what waits, as far as the socket takes it.
    Result flush(int fd);

    // The byte at this offset of the stream is sent wrong (test aid). One per stream.
    void spoil(uint64_t offset) { spoil_at_ = offset; }

    bool waiting() const { return waiting_ > 0; }
    uint64_t sent() const { return sent_; }
    uint64_t total() const { return sent_ + waiting_; }

  private:
    static constexpr uint64_t kNoSpoil = ~0ULL;

    int64_t write_some(int fd, uint32_t bytes);

    uint32_t position_; // in the pattern, of the next byte to send
    uint64_t waiting_ = 0;
    uint64_t sent_ = 0;
    uint64_t spoil_at_ = kNoSpoil;
};

// Checks received pieces of such a stream.
class PatternReader {
  public:
    explicit PatternReader(uint32_t start = 0) : position_(start) {}

    // Whether `data` continues the stream rightly; moves on in either case. With compare = false
    // it only counts.
    bool accept(std::span<const std::byte> data, bool compare) {
        bool right = !compare || Pattern::get().matches(position_, data);
        position_ = Pattern::advance(position_, data.size());
        received_ += data.size();
        return right;
    }

    uint32_t position() const { return position_; }
    uint64_t received() const { return received_; }

  private:
    uint32_t position_;
    uint64_t received_ = 0;
};

} // namespace etran::wl
