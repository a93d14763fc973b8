// SPDX-License-Identifier: MIT
// Copyright (c) The eTran artifact authors
#include "common/pattern_stream.h"

#include <algorithm>
#include <array>
#include <cerrno>

#include <sys/uio.h>
#include <unistd.h>

namespace etran::wl {
namespace {

constexpr uint32_t kMaxWrite = 1'000'000;

} // namespace

int64_t PatternWriter::write_some(int fd, uint32_t bytes) {
    if (spoil_at_ >= sent_ && spoil_at_ < sent_ + bytes) [[unlikely]] {
        // Everything before the byte first, then the wrong byte alone.
        auto before = static_cast<uint32_t>(spoil_at_ - sent_);
        if (before > 0) {
            bytes = before;
        } else {
            std::byte wrong = *Pattern::get().at(position_) ^ std::byte{0x10};
            return write(fd, &wrong, 1);
        }
    }
    Body body = Pattern::get().body(position_, bytes);
    if (body.parts[1].empty())
        return write(fd, body.parts[0].data(), body.parts[0].size());
    std::array<iovec, 2> iov;
    for (size_t i = 0; i < iov.size(); i++) {
        iov[i].iov_base = const_cast<std::byte *>(body.parts[i].data()); // only read
        iov[i].iov_len = body.parts[i].size();
    }
    return writev(fd, iov.data(), 2);
}

PatternWriter::Result PatternWriter::send(int fd, uint32_t bytes) {
    bool first = waiting_ == 0;
    waiting_ += bytes;
    return first ? flush(fd) : Result::kBlocked;
}

PatternWriter::Result PatternWriter::flush(int fd) {
    while (waiting_ > 0) {
        auto bytes = static_cast<uint32_t>(std::min<uint64_t>(waiting_, kMaxWrite));
        int64_t written = write_some(fd, bytes);
        if (written < 0) {
            bool blocked = errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR;
            return blocked ? Result::kBlocked : Result::kFailed;
        }
        position_ = Pattern::advance(position_, static_cast<uint64_t>(written));
        sent_ += static_cast<uint64_t>(written);
        waiting_ -= static_cast<uint64_t>(written);
    }
    return Result::kDone;
}

} // namespace etran::wl
