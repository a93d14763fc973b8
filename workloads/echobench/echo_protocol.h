// SPDX-License-Identifier: MIT
// Copyright (c) The eTran artifact authors
//
// What echobench sends. A connection starts with one Hello from the client; then each direction is
// a stream of messages of fixed size without headers, whose bytes are the pattern from a place
// mixed from the Hello's key on. So every byte's right value follows from its position in the
// stream, and a lost, doubled or reordered piece of the stream is a mismatch.
#pragma once

#include <bit>
#include <cstdint>
#include <type_traits>

#include "common/pattern.h"

namespace etran::wl {

enum class EchoMode : uint8_t {
    kEcho = 1,   // each message of message_bytes is answered with reply_bytes
    kStream = 2, // the client only sends; the server reports its progress now and then
};

constexpr uint32_t kEchoMaxBytes = 1'000'000;
constexpr uint32_t kHelloMagic = 0x31424345; // "ECB1"

// Little-endian, as it lies here.
struct Hello {
    uint32_t magic = kHelloMagic;
    EchoMode mode = EchoMode::kEcho;
    uint8_t reserved[3] = {};
    uint32_t message_bytes = 0;
    uint32_t reply_bytes = 0; // kEcho only
    uint64_t key = 0;         // says which piece of the pattern this connection's streams are
};

// What the server of a kStream connection sends.
struct Progress {
    uint64_t bytes;      // received and checked so far
    uint64_t mismatches; // pieces of them that were wrong
};

static_assert(std::endian::native == std::endian::little);
static_assert(sizeof(Hello) == 24 && std::is_trivially_copyable_v<Hello>);
static_assert(sizeof(Progress) == 16 && std::is_trivially_copyable_v<Progress>);

inline bool valid_hello(const Hello &hello) {
    return hello.magic == kHelloMagic && hello.message_bytes > 0 &&
           hello.message_bytes <= kEchoMaxBytes && hello.reply_bytes <= kEchoMaxBytes &&
           (hello.mode == EchoMode::kStream ||
            (hello.mode == EchoMode::kEcho && hello.reply_bytes > 0));
}

// Where the client's and the server's stream start in the pattern.
inline uint32_t request_stream(const Hello &hello) {
    return Pattern::start(hello.key);
}
inline uint32_t reply_stream(const Hello &hello) {
    return Pattern::start(~hello.key);
}

} // namespace etran::wl
