// SPDX-License-Identifier: MIT
// Copyright (c) The eTran artifact authors
//
// The message format of rpcbench, the same over every transport: a 24-byte header, then the body,
// which is a piece of the pattern (common/pattern.h). The header counts in the message's size, as
// in the field's other RPC generators: "a 32 B RPC" is 24 B of header and 8 B of body.
#pragma once

#include <bit>
#include <cstdint>
#include <type_traits>

#include "common/pattern.h"

namespace etran::wl {

// To add a type: the value here, valid_header() in this file, and its handling in
// tcp/tcp_datapath.cc. Values are on the wire; never renumber.
enum class MessageType : uint8_t { kRequest = 1, kReply = 2 };

constexpr uint32_t kHeaderBytes = 24;
constexpr uint32_t kMaxMessageBytes = 1'000'000; // HOMA_MAX_MESSAGE_LENGTH

// On the wire as it lies here (little-endian; all our machines are).
struct MessageHeader {
    uint32_t length;         // of the whole message in bytes, this header included
    uint32_t reply_and_type; // bits 0-23: length of the reply wanted; bits 24-31: MessageType
    uint64_t id;             // chosen by the client, returned in the reply
    uint64_t send_ns;        // client's clock at the intended send time, returned in the reply

    static MessageHeader make(MessageType type, uint32_t length, uint32_t reply_length, uint64_t id,
                              uint64_t send_ns) {
        return {length, reply_length | static_cast<uint32_t>(type) << 24, id, send_ns};
    }
    MessageType type() const { return static_cast<MessageType>(reply_and_type >> 24); }
    uint32_t reply_length() const { return reply_and_type & 0xffffff; }
    uint32_t body_length() const { return length - kHeaderBytes; }
};

static_assert(std::endian::native == std::endian::little);
static_assert(sizeof(MessageHeader) == kHeaderBytes);
static_assert(std::is_trivially_copyable_v<MessageHeader>);
static_assert(kMaxMessageBytes <= 0xffffff, "a reply length has 24 bits");
static_assert(kMaxMessageBytes - kHeaderBytes <= Pattern::kPeriod, "a body is two pieces at most");

// Whether a header from the network is one that this program may have sent.
inline bool valid_header(const MessageHeader &header) {
    return header.length >= kHeaderBytes && header.length <= kMaxMessageBytes &&
           header.reply_length() <= kMaxMessageBytes &&
           (header.type() == MessageType::kRequest || header.type() == MessageType::kReply);
}

// Where in the pattern the body of this message starts. Request and reply of the same RPC differ,
// so that a request sent back unchanged is not taken for the reply.
inline uint32_t body_start(const MessageHeader &header) {
    // An odd multiplier keeps apart what differs; Pattern::start() mixes.
    uint64_t type = header.reply_and_type >> 24;
    return Pattern::start(header.id * 0x5851f42d4c957f2dULL + header.send_ns * 4 + type);
}

} // namespace etran::wl
