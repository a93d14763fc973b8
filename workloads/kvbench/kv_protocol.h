// SPDX-License-Identifier: MIT
// Copyright (c) The eTran artifact authors
//
// The part of memcached's text protocol that kvbench speaks (source: memcached's protocol.txt):
//   get <key>*\r\n   gets <key>*\r\n     VALUE <key> <flags> <bytes>\r\n<data>\r\n ... END\r\n
//   set <key> <flags> <exptime> <bytes> [noreply]\r\n<data>\r\n        STORED\r\n
//   delete <key> [noreply]\r\n           DELETED\r\n or NOT_FOUND\r\n
//   version\r\n   quit\r\n
// Expiry times are accepted and ignored. Pure functions over memory: no sockets, no store.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace etran::wl {

constexpr size_t kMaxKeyBytes = 250;
constexpr size_t kMaxLineBytes = 2048;
constexpr uint32_t kMaxValueBytes = 64 * 1024;
constexpr size_t kMaxKeysPerGet = 100;

// To add a command: the verb here, parse_command(), and KvServer::execute().
enum class KvVerb { kGet, kGets, kSet, kDelete, kVersion, kQuit };

struct KvCommand {
    KvVerb verb = KvVerb::kGet;
    std::string_view keys; // kGet(s): all keys, separated by spaces; kSet, kDelete: the key
    uint32_t flags = 0;
    std::string_view value; // kSet
    bool noreply = false;
};

struct KvParsed {
    enum class Kind {
        kNeedMore, // no complete command; nothing consumed
        kCommand,  // `command` is valid, it points into the input
        kError,    // answer with `reply`, then go on
        kClose,    // answer with `reply`, then close: the place of the next command is unknown
    };
    Kind kind = Kind::kNeedMore;
    size_t consumed = 0;
    // kError for a value that is too large: so many bytes after the consumed ones belong to it.
    size_t skip = 0;
    KvCommand command;
    std::string_view reply;
};

// The first command in `input`, whatever an opponent wrote there.
KvParsed parse_command(std::string_view input);

// Takes the first key off a kGet command's keys; empty at the end.
std::string_view next_key(std::string_view &keys);

bool valid_key(std::string_view key);

// Appends one VALUE block. `cas` only for gets.
void append_value(std::string &out, std::string_view key, uint32_t flags, std::string_view value,
                  bool with_cas);

} // namespace etran::wl
