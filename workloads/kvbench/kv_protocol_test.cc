// SPDX-License-Identifier: MIT
// Copyright (c) The eTran artifact authors
#include "kvbench/kv_protocol.h"

#include <gtest/gtest.h>

#include "common/prng.h"

namespace etran::wl {
namespace {

using Kind = KvParsed::Kind;
using namespace std::string_literals;

TEST(kv_protocol, get__keys_one_by_one) {
    KvParsed parsed = parse_command("get a  bb ccc\r\nrest");
    ASSERT_EQ(parsed.kind, Kind::kCommand);
    EXPECT_EQ(parsed.consumed, 15U);
    EXPECT_EQ(parsed.command.verb, KvVerb::kGet);
    std::string_view keys = parsed.command.keys;
    EXPECT_EQ(next_key(keys), "a");
    EXPECT_EQ(next_key(keys), "bb");
    EXPECT_EQ(next_key(keys), "ccc");
    EXPECT_EQ(next_key(keys), "");
    EXPECT_EQ(parse_command("gets k\n").command.verb, KvVerb::kGets) << "a bare newline is fine";
}

TEST(kv_protocol, set__value_may_hold_anything) {
    std::string value = "a\r\nb\0c"s;
    std::string text = "set key 7 0 6\r\n" + value + "\r\n";
    KvParsed parsed = parse_command(text);
    ASSERT_EQ(parsed.kind, Kind::kCommand);
    EXPECT_EQ(parsed.command.verb, KvVerb::kSet);
    EXPECT_EQ(parsed.command.keys, "key");
    EXPECT_EQ(parsed.command.flags, 7U);
    EXPECT_EQ(parsed.command.value, value);
    EXPECT_FALSE(parsed.command.noreply);
    EXPECT_TRUE(parse_command("set k 0 -1 1 noreply\r\nx\r\n").command.noreply);
    EXPECT_EQ(parse_command("set k 0 0 0\r\n\r\n").command.value, "");
}

TEST(kv_protocol, every_prefix__needs_more) {
    for (std::string text : {"get some-key\r\n"s, "set k 0 0 5\r\nhello\r\n"s,
                             "delete k noreply\r\n"s, "version\r\n"s, "quit\r\n"s}) {
        for (size_t n = 0; n < text.size(); n++) {
            KvParsed parsed = parse_command(text.substr(0, n));
            EXPECT_EQ(parsed.kind, Kind::kNeedMore) << text << n;
            EXPECT_EQ(parsed.consumed, 0U);
        }
        EXPECT_EQ(parse_command(text).kind, Kind::kCommand);
        EXPECT_EQ(parse_command(text).consumed, text.size());
    }
}

TEST(kv_protocol, errors__leave_the_stream_usable) {
    for (const char *text :
         {"set\r\n", "set k\r\n", "set k 0\r\n", "set k 0 0\r\n", "set k x 0 1\r\n",
          "set k 0 x 1\r\n", "set k 0 0 x\r\n", "set k 0 0 -1\r\n", "set k -1 0 1\r\n",
          "set k 0 0 99999999999\r\n", "set k 0 0 1 maybe\r\n", "set k 0 0 1 noreply x\r\n",
          "set k 4294967296 0 1\r\n", "delete\r\n", "delete k x\r\n", "get \x01\r\n",
          "get a\x7f\r\n", "get a\tb\r\n", "delete a\x01z\r\n"}) {
        KvParsed parsed = parse_command(text);
        EXPECT_EQ(parsed.kind, Kind::kError) << text;
        EXPECT_EQ(parsed.reply, "CLIENT_ERROR bad command line format\r\n") << text;
        EXPECT_EQ(parsed.consumed, std::string_view(text).size()) << text;
    }
    for (const char *text : {"bogus\r\n", "\r\n", "get\r\n", "GET a\r\n", " \r\n", "getx a\r\n"}) {
        KvParsed parsed = parse_command(text);
        EXPECT_EQ(parsed.kind, Kind::kError) << text;
        EXPECT_EQ(parsed.reply, "ERROR\r\n") << text;
    }
}

TEST(kv_protocol, keys__length_limit) {
    std::string longest(kMaxKeyBytes, 'k');
    EXPECT_EQ(parse_command("get " + longest + "\r\n").kind, Kind::kCommand);
    EXPECT_EQ(parse_command("get " + longest + "k\r\n").kind, Kind::kError);
    EXPECT_EQ(parse_command("set " + longest + "k 0 0 1\r\nx\r\n").kind, Kind::kError);
    for (size_t n = 1; n < 40; n++) {
        std::string key(n, '\xfe');
        EXPECT_TRUE(valid_key(key)) << n;
        for (char bad : {'\0', ' ', '\x1f', '\x7f', '\n'}) {
            for (size_t at = 0; at < n; at++) {
                std::string spoilt = key;
                spoilt[at] = bad;
                EXPECT_FALSE(valid_key(spoilt)) << n << " " << at;
            }
        }
    }
    EXPECT_FALSE(valid_key(""));
}

TEST(kv_protocol, get__too_many_keys) {
    std::string line = "get";
    for (size_t i = 0; i < kMaxKeysPerGet; i++)
        line += " k";
    EXPECT_EQ(parse_command(line + "\r\n").kind, Kind::kCommand);
    EXPECT_EQ(parse_command(line + " k\r\n").kind, Kind::kError);
}

TEST(kv_protocol, line__too_long_closes) {
    std::string endless(kMaxLineBytes, 'x');
    EXPECT_EQ(parse_command(endless.substr(1)).kind, Kind::kNeedMore);
    EXPECT_EQ(parse_command(endless).kind, Kind::kClose);
    EXPECT_EQ(parse_command(endless + "\r\n").kind, Kind::kClose);
}

TEST(kv_protocol, set__too_large_is_skipped) {
    KvParsed parsed = parse_command("set k 0 0 65537\r\nabc");
    EXPECT_EQ(parsed.kind, Kind::kError);
    EXPECT_EQ(parsed.consumed, 17U);
    EXPECT_EQ(parsed.skip, 65'539U);
    EXPECT_EQ(parse_command("set k 0 0 65536\r\nabc").kind, Kind::kNeedMore);
    EXPECT_EQ(parse_command("set k 0 0 4294967295\r\nabc").skip, 4'294'967'297U);
}

TEST(kv_protocol, set__bad_chunk_closes) {
    EXPECT_EQ(parse_command("set k 0 0 3\r\nabcdefgh\r\n").kind, Kind::kClose);
    EXPECT_EQ(parse_command("set k 0 0 3\r\nab\r\nx").kind, Kind::kClose);
}

TEST(kv_protocol, random_input__is_always_consumed_within_bounds) {
    Prng prng(3);
    const std::string alphabet = "getsdl vrion0123 \r\n\0k\xff"s;
    for (int round = 0; round < 20'000; round++) {
        std::string text(prng.below(80), ' ');
        for (char &c : text)
            c = alphabet[prng.below(alphabet.size())];
        if (round % 3 == 0)
            text = "set k 0 0 " + text;
        KvParsed parsed = parse_command(text);
        ASSERT_LE(parsed.consumed, text.size());
        if (parsed.kind == Kind::kNeedMore) {
            ASSERT_EQ(parsed.consumed, 0U);
        } else {
            ASSERT_GT(parsed.consumed, 0U);
        }
    }
}

TEST(kv_protocol, append_value__block) {
    std::string out;
    append_value(out, "key", 5, "va\r\nl", false);
    append_value(out, "k", 0, "", true);
    EXPECT_EQ(out, "VALUE key 5 5\r\nva\r\nl\r\nVALUE k 0 0 0\r\n\r\n");
}

} // namespace
} // namespace etran::wl
