// SPDX-License-Identifier: MIT
// Copyright (c) The eTran artifact authors
//
// Client and server in one thread, polled in turn, over loopback.
#include "transport/tcp/tcp_transport.h"

#include <map>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/error.h"
#include "common/signals.h"

namespace etran::wl {
namespace {

constexpr int kMaxTurns = 200'000; // of both sides; enough for any case here

// Checks requests and answers each with the length it asks for; perhaps later and in reverse order.
class EchoingServer : public ServerHandler {
  public:
    explicit EchoingServer(Transport &transport) : transport_(transport) {}

    void on_request(ReplyTo from, const Piece &piece) override {
        uint32_t position = Pattern::advance(body_start(piece.header), piece.offset);
        EXPECT_TRUE(Pattern::get().matches(position, piece.data));
        if (!piece.last)
            return;
        requests_++;
        held_.push_back({from, piece.header});
        if (held_.size() >= hold_)
            answer();
    }

    void answer() {
        for (auto it = held_.rbegin(); it != held_.rend(); ++it) {
            const MessageHeader &request = it->second;
            OutMessage reply;
            reply.header = MessageHeader::make(MessageType::kReply, request.reply_length(), 0,
                                               request.id, request.send_ns);
            reply.body = Pattern::get().body(body_start(reply.header), reply.header.body_length());
            transport_.reply(it->first, reply);
        }
        held_.clear();
    }

    size_t hold_ = 1; // answer when so many are there
    int requests_ = 0;

  private:
    Transport &transport_;
    std::vector<std::pair<ReplyTo, MessageHeader>> held_;
};

class CountingClient : public ClientHandler {
  public:
    void on_reply(PeerId peer, const Piece &piece) override {
        uint32_t position = Pattern::advance(body_start(piece.header), piece.offset);
        EXPECT_TRUE(Pattern::get().matches(position, piece.data));
        if (piece.last) {
            replies_[piece.header.id]++;
            order_.push_back(piece.header.id);
            bytes_ += piece.header.length;
            peers_[piece.header.id] = peer;
        }
    }
    void on_peer_lost(PeerId, const std::string &why) override { lost_.push_back(why); }

    std::map<uint64_t, int> replies_;
    std::map<uint64_t, PeerId> peers_;
    std::vector<uint64_t> order_;
    uint64_t bytes_ = 0;
    std::vector<std::string> lost_;
};

class tcp_transport : public testing::TestWithParam<bool> {
  protected:
    void SetUp() override {
        install_signal_handlers(); // a write to a closed connection must not kill
        reset_stop();
        options_.batch = GetParam();
        server_transport_ = std::make_unique<TcpTransport>(options_);
        server_ = std::make_unique<EchoingServer>(*server_transport_);
        // Any free port: ask the kernel for one by trying.
        for (int port = 21'000; port < 22'000; port++) {
            try {
                address_ = Address::parse("127.0.0.1:" + std::to_string(port));
                server_transport_->listen(address_, *server_);
                return;
            } catch (const UserError &) {
            }
        }
        FAIL() << "no free port";
    }

    void connect(uint32_t connections = 1, size_t peers = 1) {
        options_.connections = connections;
        client_transport_ = std::make_unique<TcpTransport>(options_);
        std::vector<Address> targets(peers, address_);
        client_transport_->connect(targets, 1, client_, mono_ns() + 10 * kNsPerSec);
    }

    void issue(uint64_t id, uint32_t length, uint32_t reply, PeerId peer = 0) {
        OutMessage request;
        request.header = MessageHeader::make(MessageType::kRequest, length, reply, id, id + 7);
        request.body = Pattern::get().body(body_start(request.header), length - kHeaderBytes);
        client_transport_->issue(peer, request);
    }

    template <typename Until> void turn_until(Until &&until) {
        for (int i = 0; i < kMaxTurns && !until(); i++) {
            server_transport_->poll(0);
            if (client_transport_)
                client_transport_->poll(0);
        }
        ASSERT_TRUE(until());
    }

    TransportOptions options_;
    Address address_;
    std::unique_ptr<TcpTransport> server_transport_;
    std::unique_ptr<EchoingServer> server_;
    std::unique_ptr<TcpTransport> client_transport_;
    CountingClient client_;
};

TEST_P(tcp_transport, issue__one_of_each_size) {
    connect();
    uint64_t id = 0;
    uint64_t bytes = 0;
    for (uint32_t size : {24U, 25U, 32U, 535U, 536U, 537U, 1000U, 65'536U, 1'000'000U}) {
        issue(id++, size, size);
        bytes += size;
    }
    turn_until([&] { return client_.replies_.size() == id; });
    EXPECT_EQ(client_.bytes_, bytes);
    for (auto [reply, count] : client_.replies_)
        EXPECT_EQ(count, 1) << reply;
    EXPECT_TRUE(client_.lost_.empty());
}

TEST_P(tcp_transport, issue__hundreds_of_large_ones_at_once) {
    // Far more than the sockets hold, so every blocking path runs on both sides.
    connect(3);
    for (uint64_t id = 0; id < 300; id++)
        issue(id, id % 3 == 0 ? 200'000 : 100, id % 5 == 0 ? 100'000 : 24);
    turn_until([&] { return client_.replies_.size() == 300; });
    EXPECT_EQ(server_->requests_, 300);
}

TEST_P(tcp_transport, reply__any_order_and_later) {
    server_->hold_ = 10;
    connect();
    for (uint64_t id = 0; id < 10; id++)
        issue(id, 64, 64);
    turn_until([&] { return client_.order_.size() == 10; });
    for (uint64_t i = 0; i < 10; i++)
        EXPECT_EQ(client_.order_[i], 9 - i);
}

TEST_P(tcp_transport, connections__are_taken_in_turn) {
    connect(4, 2);
    turn_until([&] { return server_transport_->inbound() == 8; });
    for (uint64_t id = 0; id < 40; id++)
        issue(id, 100, 100, static_cast<PeerId>(id % 2));
    turn_until([&] { return client_.replies_.size() == 40; });
    for (auto [id, peer] : client_.peers_)
        EXPECT_EQ(peer, id % 2);
}

TEST_P(tcp_transport, close_peers__server_sees_it_and_client_hears_nothing) {
    connect(2);
    turn_until([&] { return server_transport_->inbound() == 2; });
    client_transport_->close_peers();
    turn_until([&] { return server_transport_->inbound() == 0; });
    EXPECT_TRUE(client_.lost_.empty());
    issue(1, 64, 64); // to nobody: nothing happens
    EXPECT_EQ(server_transport_->protocol_errors(), 0U);
}

TEST_P(tcp_transport, lost__server_disappears) {
    connect(2);
    turn_until([&] { return server_transport_->inbound() == 2; });
    issue(1, 64, 64);
    server_transport_ = std::make_unique<TcpTransport>(options_);
    turn_until([&] { return client_.lost_.size() == 2; });
    issue(2, 64, 64);
    EXPECT_EQ(client_.replies_.size(), 0U);
}

TEST_P(tcp_transport, reply__to_a_client_that_has_gone_is_nothing) {
    server_->hold_ = 100;
    connect();
    issue(1, 64, 64);
    turn_until([&] { return server_->requests_ == 1; });
    client_transport_.reset();
    turn_until([&] { return server_transport_->inbound() == 0; });
    server_->answer();
    server_transport_->poll(0);
}

TEST_P(tcp_transport, garbage__closes_that_connection_only) {
    connect();
    std::vector<int> fds = connect_all(std::vector{address_, address_}, mono_ns() + 10 * kNsPerSec);
    const std::string garbage(100, '\xff');
    ASSERT_EQ(write(fds[0], garbage.data(), garbage.size()), 100);
    // A reply where a request belongs.
    MessageHeader reply = MessageHeader::make(MessageType::kReply, 24, 0, 1, 1);
    ASSERT_EQ(write(fds[1], &reply, sizeof(reply)), 24);
    turn_until([&] { return server_transport_->protocol_errors() == 2; });
    turn_until([&] { return server_transport_->inbound() == 1; });
    issue(1, 64, 64);
    turn_until([&] { return client_.replies_.size() == 1; });
    close(fds[0]);
    close(fds[1]);
}

TEST_P(tcp_transport, cut__client_that_leaves_inside_a_message_is_just_closed) {
    std::vector<int> fds = connect_all(std::vector{address_}, mono_ns() + 10 * kNsPerSec);
    MessageHeader request = MessageHeader::make(MessageType::kRequest, 1000, 24, 1, 1);
    ASSERT_EQ(write(fds[0], &request, sizeof(request)), 24);
    turn_until([&] { return server_transport_->inbound() == 1; });
    close(fds[0]);
    turn_until([&] { return server_transport_->inbound() == 0; });
    EXPECT_EQ(server_->requests_, 0);
}

INSTANTIATE_TEST_SUITE_P(batch, tcp_transport, testing::Bool());

TEST(registry, make__knows_tcp_and_lists_names) {
    EXPECT_NE(make_transport("tcp", {}), nullptr);
    EXPECT_THAT(transport_names(), testing::Contains("tcp"));
    try {
        make_transport("carrier-pigeon", {});
        FAIL();
    } catch (const UserError &error) {
        EXPECT_THAT(error.hint(), testing::HasSubstr("tcp"));
    }
}

} // namespace
} // namespace etran::wl
