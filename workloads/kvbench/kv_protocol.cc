// SPDX-License-Identifier: MIT
// Copyright (c) The eTran artifact authors
#include "kvbench/kv_protocol.h"

#include <algorithm>
#include <array>
#include <bit>
#include <charconv>
#include <cstring>

namespace etran::wl {
namespace {

constexpr std::string_view kBadLine = "CLIENT_ERROR bad command line format\r\n";
constexpr std::string_view kBadChunk = "CLIENT_ERROR bad data chunk\r\n";
constexpr std::string_view kTooLong = "CLIENT_ERROR line too long\r\n";
constexpr std::string_view kTooLarge = "SERVER_ERROR object too large for cache\r\n";
constexpr std::string_view kUnknown = "ERROR\r\n";

// Length of the word at the start of `text`: up to a space, a control character or the end. Eight
// bytes at a time, because it runs over every key.
size_t word_length(std::string_view text) {
    constexpr uint64_t kOnes = 0x0101010101010101ULL;
    constexpr uint64_t kHigh = 0x8080808080808080ULL;
    size_t at = 0;
    for (uint64_t word = 0; at + sizeof(word) <= text.size(); at += sizeof(word)) {
        std::memcpy(&word, text.data() + at, sizeof(word));
        uint64_t delete_gap = word ^ (kOnes * 0x7f);
        // The lowest marked byte is exact; higher ones may be marked by a borrow.
        uint64_t low = (word - kOnes * 0x21) & ~word & kHigh;
        uint64_t del = (delete_gap - kOnes) & ~delete_gap & kHigh;
        if ((low | del) != 0)
            return at + static_cast<size_t>(std::countr_zero(low | del)) / 8;
    }
    while (at < text.size() && static_cast<unsigned char>(text[at]) > ' ' && text[at] != 127)
        at++;
    return at;
}

std::string_view next_word(std::string_view &text) {
    size_t begin = 0;
    while (begin < text.size() && text[begin] == ' ')
        begin++;
    text.remove_prefix(begin);
    std::string_view word = text.substr(0, word_length(text));
    // A control character is part of no word, and stands in the way of the next one.
    if (word.empty() && !text.empty())
        word = text.substr(0, 1);
    text.remove_prefix(word.size());
    return word;
}

template <typename Number> bool number(std::string_view text, Number &value) {
    auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    return error == std::errc() && end == text.data() + text.size() && !text.empty();
}

KvParsed failed(KvParsed::Kind kind, size_t consumed, std::string_view reply) {
    KvParsed parsed;
    parsed.kind = kind;
    parsed.consumed = consumed;
    parsed.reply = reply;
    return parsed;
}

KvParsed bad_line(size_t consumed) {
    return failed(KvParsed::Kind::kError, consumed, kBadLine);
}

KvParsed command(size_t consumed, const KvCommand &command) {
    KvParsed parsed;
    parsed.kind = KvParsed::Kind::kCommand;
    parsed.consumed = consumed;
    parsed.command = command;
    return parsed;
}

// Nothing, or "noreply".
bool take_noreply(std::string_view &words, bool &noreply) {
    std::string_view word = next_word(words);
    noreply = word == "noreply";
    return (noreply || word.empty()) && next_word(words).empty();
}

// `line_bytes` is the length of the command line with its end.
KvParsed parse_set(std::string_view input, std::string_view words, size_t line_bytes) {
    KvCommand set;
    set.verb = KvVerb::kSet;
    set.keys = next_word(words);
    int64_t expiry = 0;
    uint32_t bytes = 0;
    if (!valid_key(set.keys) || !number(next_word(words), set.flags) ||
        !number(next_word(words), expiry) || !number(next_word(words), bytes) ||
        !take_noreply(words, set.noreply))
        return bad_line(line_bytes);
    if (bytes > kMaxValueBytes) {
        KvParsed parsed = failed(KvParsed::Kind::kError, line_bytes, kTooLarge);
        parsed.skip = static_cast<size_t>(bytes) + 2;
        return parsed;
    }
    if (input.size() < line_bytes + bytes + 2)
        return {};
    set.value = input.substr(line_bytes, bytes);
    if (input.substr(line_bytes + bytes, 2) != "\r\n")
        return failed(KvParsed::Kind::kClose, line_bytes + bytes, kBadChunk);
    return command(line_bytes + bytes + 2, set);
}

} // namespace

bool valid_key(std::string_view key) {
    if (key.empty() || key.size() > kMaxKeyBytes)
        return false;
    return word_length(key) == key.size();
}

std::string_view next_key(std::string_view &keys) {
    return next_word(keys);
}

KvParsed parse_command(std::string_view input) {
    size_t end = input.substr(0, kMaxLineBytes).find('\n');
    if (end == std::string_view::npos) {
        if (input.size() >= kMaxLineBytes)
            return failed(KvParsed::Kind::kClose, input.size(), kTooLong);
        return {};
    }
    size_t line_bytes = end + 1;
    std::string_view words = input.substr(0, end);
    if (!words.empty() && words.back() == '\r')
        words.remove_suffix(1);
    std::string_view verb = next_word(words);
    KvCommand simple;
    if (verb == "get" || verb == "gets") {
        simple.verb = verb == "get" ? KvVerb::kGet : KvVerb::kGets;
        std::string_view rest = words;
        size_t keys = 0;
        for (std::string_view key = next_key(rest); !key.empty(); key = next_key(rest), keys++) {
            if (!valid_key(key) || keys == kMaxKeysPerGet)
                return bad_line(line_bytes);
        }
        if (keys == 0)
            return failed(KvParsed::Kind::kError, line_bytes, kUnknown);
        simple.keys = words;
        return command(line_bytes, simple);
    }
    if (verb == "set")
        return parse_set(input, words, line_bytes);
    if (verb == "delete") {
        simple.verb = KvVerb::kDelete;
        simple.keys = next_word(words);
        if (!valid_key(simple.keys) || !take_noreply(words, simple.noreply))
            return bad_line(line_bytes);
        return command(line_bytes, simple);
    }
    if (verb == "version" || verb == "quit") {
        simple.verb = verb == "quit" ? KvVerb::kQuit : KvVerb::kVersion;
        return command(line_bytes, simple);
    }
    return failed(KvParsed::Kind::kError, line_bytes, kUnknown);
}

void append_value(std::string &out, std::string_view key, uint32_t flags, std::string_view value,
                  bool with_cas) {
    std::array<char, 32> digits;
    auto append_number = [&](uint64_t n) {
        auto [end, error] = std::to_chars(digits.data(), digits.data() + digits.size(), n);
        out.append(digits.data(), end);
    };
    out += "VALUE ";
    out += key;
    out += ' ';
    append_number(flags);
    out += ' ';
    append_number(value.size());
    if (with_cas)
        out += " 0";
    out += "\r\n";
    out += value;
    out += "\r\n";
}

} // namespace etran::wl
