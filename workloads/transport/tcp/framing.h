// SPDX-License-Identifier: MIT
// Copyright (c) The eTran artifact authors
//
// Messages in a byte stream: one after the other, each with its header in front. Bodies are not
// collected: every piece is handed on as it lies in the receive buffer.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <span>

#include "transport/transport.h"

namespace etran::wl {

// The receiving end of one stream. 56 bytes, no allocation, so that thousands are cheap.
class FrameParser {
  public:
    enum class Result { kMore, kStopped, kInvalid };

    // Consumes `data` and calls on_piece(const Piece &) -> bool for each part of a message in it;
    // false means stop (the stream is no longer wanted). kInvalid: a header cannot be right; the
    // stream is useless from there on. After kStopped or kInvalid do not call again.
    template <typename OnPiece> Result feed(std::span<const std::byte> data, OnPiece &&on_piece) {
        while (!data.empty()) {
            if (have_ < kHeaderBytes) {
                if (have_ == 0 && data.size() >= kHeaderBytes) [[likely]] {
                    std::memcpy(&header_, data.data(), kHeaderBytes);
                    have_ = kHeaderBytes;
                    data = data.subspan(kHeaderBytes);
                } else {
                    size_t n = std::min<size_t>(kHeaderBytes - have_, data.size());
                    std::memcpy(reinterpret_cast<std::byte *>(&header_) + have_, data.data(), n);
                    have_ += static_cast<uint32_t>(n);
                    data = data.subspan(n);
                    if (have_ < kHeaderBytes)
                        break;
                }
                if (!valid_header(header_))
                    return Result::kInvalid;
                offset_ = 0;
                if (data.empty() && header_.length != kHeaderBytes)
                    break;
            }
            size_t n = std::min<size_t>(header_.body_length() - offset_, data.size());
            uint32_t offset = offset_;
            offset_ += static_cast<uint32_t>(n);
            bool last = offset_ == header_.body_length();
            if (last)
                have_ = 0;
            if (!on_piece(Piece{header_, offset, data.first(n), last}))
                return Result::kStopped;
            data = data.subspan(n);
        }
        return Result::kMore;
    }

    // Whether the stream may end here without cutting a message.
    bool between_messages() const { return have_ == 0; }

  private:
    MessageHeader header_ = {};
    uint32_t have_ = 0;   // bytes of header_ that are there
    uint32_t offset_ = 0; // bytes of the body seen
};

} // namespace etran::wl
