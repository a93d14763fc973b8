// SPDX-License-Identifier: MIT
// Copyright (c) The eTran artifact authors
#include "transport/tcp/framing.h"

#include <string>
#include <vector>

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/prng.h"

namespace etran::wl {
namespace {

using Bytes = std::vector<std::byte>;

void append(Bytes &stream, const MessageHeader &header) {
    const auto *raw = reinterpret_cast<const std::byte *>(&header);
    stream.insert(stream.end(), raw, raw + kHeaderBytes);
    Body body = Pattern::get().body(body_start(header), header.body_length());
    for (const std::span<const std::byte> &part : body.parts)
        stream.insert(stream.end(), part.begin(), part.end());
}

MessageHeader request(uint32_t length, uint64_t id) {
    return MessageHeader::make(MessageType::kRequest, length, 24, id, id * 1000);
}

// What a parser delivered, with every body checked.
struct Seen {
    struct Message {
        uint64_t id;
        uint32_t bytes;
        bool right;
    };
    std::vector<Message> done;
    uint32_t body = 0;
    bool right = true;
    bool in_order = true;

    bool take(const Piece &piece) {
        in_order = in_order && piece.offset == body;
        uint32_t position = Pattern::advance(body_start(piece.header), piece.offset);
        right = right && Pattern::get().matches(position, piece.data);
        body += static_cast<uint32_t>(piece.data.size());
        if (piece.last) {
            done.push_back({piece.header.id, body + kHeaderBytes,
                            right && body + kHeaderBytes == piece.header.length});
            body = 0;
            right = true;
        }
        return true;
    }
};

void expect_all(const Seen &seen, const std::vector<uint32_t> &lengths) {
    ASSERT_EQ(seen.done.size(), lengths.size());
    for (size_t i = 0; i < lengths.size(); i++) {
        EXPECT_EQ(seen.done[i].id, i);
        EXPECT_EQ(seen.done[i].bytes, lengths[i]);
        EXPECT_TRUE(seen.done[i].right);
    }
    EXPECT_TRUE(seen.in_order);
}

const std::vector<uint32_t> kLengths = {24, 25, 32, 24, 100, 48, 1500, 24};

Bytes stream_of(const std::vector<uint32_t> &lengths) {
    Bytes stream;
    for (size_t i = 0; i < lengths.size(); i++)
        append(stream, request(lengths[i], i));
    return stream;
}

TEST(framing, feed__any_split_in_two) {
    Bytes stream = stream_of(kLengths);
    for (size_t cut = 0; cut <= stream.size(); cut++) {
        FrameParser parser;
        Seen seen;
        auto take = [&](const Piece &piece) { return seen.take(piece); };
        std::span<const std::byte> all(stream);
        ASSERT_EQ(parser.feed(all.first(cut), take), FrameParser::Result::kMore);
        ASSERT_EQ(parser.feed(all.subspan(cut), take), FrameParser::Result::kMore);
        expect_all(seen, kLengths);
        EXPECT_TRUE(parser.between_messages());
    }
}

TEST(framing, feed__byte_by_byte) {
    Bytes stream = stream_of(kLengths);
    FrameParser parser;
    Seen seen;
    for (const std::byte &byte : stream) {
        ASSERT_EQ(parser.feed({&byte, 1}, [&](const Piece &piece) { return seen.take(piece); }),
                  FrameParser::Result::kMore);
    }
    expect_all(seen, kLengths);
}

TEST(framing, feed__random_splits_through_a_socketpair) {
    int fds[2];
    ASSERT_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
    Prng prng(5);
    std::vector<uint32_t> lengths;
    for (int i = 0; i < 200; i++)
        lengths.push_back(kHeaderBytes + static_cast<uint32_t>(prng.below(3000)));
    Bytes stream = stream_of(lengths);
    FrameParser parser;
    Seen seen;
    Bytes buffer(4096);
    size_t sent = 0;
    size_t received = 0;
    while (received < stream.size()) {
        size_t n = std::min<size_t>(1 + prng.below(2000), stream.size() - sent);
        if (n > 0) {
            ASSERT_EQ(write(fds[0], stream.data() + sent, n), static_cast<ssize_t>(n));
            sent += n;
        }
        ssize_t got = read(fds[1], buffer.data(), 1 + prng.below(buffer.size()));
        ASSERT_GT(got, 0);
        received += static_cast<size_t>(got);
        ASSERT_EQ(parser.feed(std::span(buffer).first(static_cast<size_t>(got)),
                              [&](const Piece &piece) { return seen.take(piece); }),
                  FrameParser::Result::kMore);
    }
    expect_all(seen, lengths);
    close(fds[0]);
    close(fds[1]);
}

TEST(framing, feed__refuses_impossible_headers) {
    MessageHeader good = request(24, 1);
    std::vector<MessageHeader> bad(6, good);
    bad[0].length = 0;
    bad[1].length = 23;
    bad[2].length = kMaxMessageBytes + 1;
    bad[3].length = 0xffffffff;
    bad[4].reply_and_type = 24 | 9U << 24; // unknown type
    bad[5].reply_and_type = (kMaxMessageBytes + 1) | 1U << 24;
    for (size_t i = 0; i < bad.size(); i++) {
        FrameParser parser;
        int pieces = 0;
        Bytes stream;
        append(stream, good);
        const auto *raw = reinterpret_cast<const std::byte *>(&bad[i]);
        stream.insert(stream.end(), raw, raw + kHeaderBytes);
        EXPECT_EQ(parser.feed(stream, [&](const Piece &) { return ++pieces > 0; }),
                  FrameParser::Result::kInvalid)
            << i;
        EXPECT_EQ(pieces, 1) << "what was in front is delivered";
    }
}

TEST(framing, feed__random_bytes_never_deliver_what_is_invalid) {
    Prng prng(6);
    for (int round = 0; round < 2000; round++) {
        FrameParser parser;
        Bytes stream(200);
        for (std::byte &byte : stream)
            byte = static_cast<std::byte>(prng.next());
        parser.feed(stream, [&](const Piece &piece) {
            EXPECT_TRUE(valid_header(piece.header));
            EXPECT_LE(piece.offset + piece.data.size(), piece.header.body_length());
            return true;
        });
    }
}

TEST(framing, feed__stops_when_told) {
    Bytes stream = stream_of({24, 24, 24});
    FrameParser parser;
    int pieces = 0;
    EXPECT_EQ(parser.feed(stream, [&](const Piece &) { return ++pieces < 2; }),
              FrameParser::Result::kStopped);
    EXPECT_EQ(pieces, 2);
}

TEST(framing, between_messages__knows_a_cut) {
    Bytes stream = stream_of({100});
    for (size_t cut = 1; cut < stream.size(); cut++) {
        FrameParser parser;
        parser.feed(std::span(stream).first(cut), [](const Piece &) { return true; });
        EXPECT_FALSE(parser.between_messages()) << cut;
    }
}

TEST(message, body_start__differs_by_id_type_and_time) {
    MessageHeader a = request(100, 1);
    MessageHeader b = request(100, 2);
    MessageHeader c = a;
    c.send_ns++;
    MessageHeader d = MessageHeader::make(MessageType::kReply, 100, 0, a.id, a.send_ns);
    EXPECT_NE(body_start(a), body_start(b));
    EXPECT_NE(body_start(a), body_start(c));
    EXPECT_NE(body_start(a), body_start(d));
    EXPECT_EQ(a.type(), MessageType::kRequest);
    EXPECT_EQ(a.reply_length(), 24U);
}

} // namespace
} // namespace etran::wl
