// SPDX-License-Identifier: MIT
// Copyright (c) The eTran artifact authors
#include "rpcbench/rpc_server.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace etran::wl {
namespace {

class RecordingTransport : public Transport {
  public:
    void listen(const Address &, ServerHandler &) override {}
    void connect(std::span<const Address>, uint32_t, ClientHandler &, int64_t) override {}
    void issue(PeerId, const OutMessage &) override {}
    void reply(ReplyTo to, const OutMessage &reply) override { replies_.push_back({to, reply}); }
    void poll(int64_t) override {}
    void close_peers() override {}
    size_t inbound() const override { return 0; }
    uint64_t protocol_errors() const override { return 0; }

    std::vector<std::pair<ReplyTo, OutMessage>> replies_;
};

class rpc_server : public testing::Test {
  protected:
    // One request, in two pieces if it has a body.
    void request(RpcServer &server, uint32_t length, uint32_t reply, bool flip = false) {
        id_++;
        MessageHeader header =
            MessageHeader::make(MessageType::kRequest, length, reply, id_, id_ * 10);
        uint32_t start = body_start(header);
        std::vector<std::byte> bytes(header.body_length());
        for (size_t i = 0; i < bytes.size(); i++)
            bytes[i] = *Pattern::get().at(Pattern::advance(start, i));
        if (flip)
            bytes.back() ^= std::byte{4};
        size_t half = bytes.size() / 2;
        std::span<const std::byte> all(bytes);
        if (half > 0)
            server.on_request({77}, {header, 0, all.first(half), false});
        server.on_request({77}, {header, static_cast<uint32_t>(half), all.subspan(half), true});
    }

    bool right(const OutMessage &reply) {
        uint32_t position = body_start(reply.header);
        for (const std::span<const std::byte> &part : reply.body.parts) {
            if (!Pattern::get().matches(position, part))
                return false;
            position = Pattern::advance(position, part.size());
        }
        return reply.body.size() == reply.header.body_length();
    }

    RecordingTransport transport_;
    uint64_t id_ = 0;
};

TEST_F(rpc_server, reply__as_long_as_asked_and_right) {
    RpcServer server(transport_, true, 0);
    for (uint32_t length : {24U, 25U, 1000U, 1'000'000U})
        request(server, length, length);
    ASSERT_EQ(transport_.replies_.size(), 4U);
    for (auto &[to, reply] : transport_.replies_) {
        EXPECT_EQ(to.token, 77U);
        EXPECT_EQ(reply.header.type(), MessageType::kReply);
        EXPECT_TRUE(right(reply));
    }
    EXPECT_EQ(transport_.replies_[2].second.header.id, 3U);
    EXPECT_EQ(transport_.replies_[2].second.header.send_ns, 30U);
    EXPECT_EQ(server.counters().requests, 4U);
    EXPECT_EQ(server.counters().rx_bytes, 1'001'049U);
    EXPECT_EQ(server.counters().tx_bytes, 1'001'049U);
    EXPECT_EQ(server.verified(), 4U);
}

TEST_F(rpc_server, reply__never_shorter_than_a_header) {
    RpcServer server(transport_, true, 0);
    request(server, 100, 0);
    EXPECT_EQ(transport_.replies_.at(0).second.header.length, kHeaderBytes);
}

TEST_F(rpc_server, check__wrong_byte_is_counted_and_described) {
    RpcServer server(transport_, true, 0);
    request(server, 124, 24, true);
    request(server, 124, 24);
    EXPECT_EQ(server.counters().mismatches, 1U);
    EXPECT_EQ(server.verified(), 1U);
    EXPECT_THAT(server.first_mismatch(), testing::HasSubstr("byte 99 of the body of request 0x1"));
    RpcServer header_only(transport_, false, 0);
    request(header_only, 124, 24, true);
    EXPECT_EQ(header_only.counters().mismatches, 0U);
    EXPECT_EQ(header_only.verified(), 0U);
}

TEST_F(rpc_server, fault__spoils_exactly_that_reply) {
    RpcServer server(transport_, true, 2);
    for (int i = 0; i < 3; i++)
        request(server, 100, 1000);
    EXPECT_TRUE(right(transport_.replies_[0].second));
    EXPECT_FALSE(right(transport_.replies_[1].second));
    EXPECT_TRUE(right(transport_.replies_[2].second));
}

TEST_F(rpc_server, fault__of_a_reply_without_body_is_in_the_header) {
    RpcServer server(transport_, true, 1);
    request(server, 100, 24);
    EXPECT_NE(transport_.replies_[0].second.header.send_ns, 10U);
}

} // namespace
} // namespace etran::wl
