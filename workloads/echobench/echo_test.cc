// SPDX-License-Identifier: MIT
// Copyright (c) The eTran artifact authors
//
// Both sides of echobench over loopback: the server in a thread of its own.
#include "echobench/echo_server.h"

#include <atomic>
#include <cstring>
#include <thread>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "common/error.h"
#include "common/signals.h"
#include "echobench/echo_client.h"

namespace etran::wl {
namespace {

class echo : public testing::Test {
  protected:
    void SetUp() override {
        install_signal_handlers(); // a write to a closed connection must not kill
        reset_stop();
    }
    void TearDown() override { stop_server(); }

    void start_server(const EchoServerOptions &options = {}) {
        for (int port = 22'000; port < 23'000 && !server_; port++) {
            try {
                address_ = Address::parse("127.0.0.1:" + std::to_string(port));
                server_ = std::make_unique<EchoServer>(address_, options);
            } catch (const UserError &) {
            }
        }
        ASSERT_NE(server_, nullptr) << "no free port";
        thread_ = std::thread([this] {
            while (!end_)
                server_->poll(mono_ns() + kNsPerMs);
        });
    }

    void stop_server() {
        end_ = true;
        if (thread_.joinable())
            thread_.join();
    }

    // Runs a client over a window that is long enough for some messages on any machine.
    std::unique_ptr<EchoClient> run(EchoLoad load, size_t connections, int64_t window_ms = 50) {
        load.drain_ns = 60 * kNsPerSec; // ends as soon as all is answered
        auto client = std::make_unique<EchoClient>(load);
        std::vector<Address> targets(connections, address_);
        client->connect(targets, 0, mono_ns() + 10 * kNsPerSec);
        int64_t now = mono_ns();
        client->start({now, now, now + window_ms * kNsPerMs});
        client->run();
        return client;
    }

    Address address_;
    std::unique_ptr<EchoServer> server_;
    std::thread thread_;
    std::atomic<bool> end_ = false;
};

TEST_F(echo, one_connection__everything_is_verified_and_answered) {
    start_server();
    auto client = run({}, 1);
    stop_server();
    EXPECT_EQ(client->problem(), "");
    EXPECT_GT(client->recorder().ops(), 0U);
    EXPECT_GE(client->verified(), client->recorder().ops());
    EXPECT_TRUE(client->window_over());
    EXPECT_EQ(server_->counts().ops, client->verified());
    EXPECT_EQ(server_->verified(), client->verified());
    EXPECT_EQ(server_->counts().rx_bytes, client->verified() * 64);
    EXPECT_EQ(client->recorder().classes()[0].histogram.count(), client->recorder().ops());
}

TEST_F(echo, shapes__sizes_connections_outstanding_and_batching) {
    for (bool batch : {false, true}) {
        end_ = false;
        server_.reset();
        EchoServerOptions options;
        options.batch = batch;
        start_server(options);
        struct Shape {
            uint32_t message, reply, outstanding;
            size_t connections;
        };
        for (Shape shape : {Shape{1, 1, 1, 1}, Shape{64, 64, 16, 20}, Shape{100, 3000, 7, 3},
                            Shape{300'000, 300'000, 3, 2}, Shape{1'000'000, 1, 2, 1},
                            Shape{1, 1'000'000, 2, 1}}) {
            EchoLoad load;
            load.message_bytes = shape.message;
            load.reply_bytes = shape.reply;
            load.outstanding = shape.outstanding;
            load.batch = batch;
            auto client = run(load, shape.connections, 20);
            EXPECT_EQ(client->problem(), "") << shape.message;
            EXPECT_GE(client->verified(), shape.outstanding * shape.connections);
            EXPECT_EQ(client->per_connection().size(), shape.connections);
        }
        stop_server();
        EXPECT_EQ(server_->mismatches(), 0U);
    }
}

TEST_F(echo, stream__all_bytes_are_confirmed) {
    start_server();
    for (uint32_t bytes : {100U, 65'536U, 1'000'000U}) {
        EchoLoad load;
        load.mode = EchoMode::kStream;
        load.message_bytes = bytes;
        auto client = run(load, 2, 100);
        EXPECT_EQ(client->problem(), "");
        EXPECT_EQ(client->unconfirmed(), 0U);
        EXPECT_GT(client->confirmed_in_window(), 0U);
    }
    stop_server();
    EXPECT_EQ(server_->mismatches(), 0U);
    EXPECT_GT(server_->counts().ops, 0U);
    EXPECT_EQ(server_->counts().tx_bytes, 0U);
}

TEST_F(echo, fault__client_finds_the_flipped_byte) {
    EchoServerOptions options;
    options.flip_at = 3;
    start_server(options);
    auto client = run({}, 1);
    EXPECT_GE(client->errors(), 1U);
    EXPECT_THAT(client->problem(), testing::HasSubstr("byte 191 of the reply stream"));
}

TEST_F(echo, fault__server_finds_it_in_a_stream_and_tells_the_client) {
    EchoServerOptions options;
    options.flip_at = 2;
    start_server(options);
    EchoLoad load;
    load.mode = EchoMode::kStream;
    load.message_bytes = 10'000;
    auto client = run(load, 1);
    stop_server();
    EXPECT_GE(client->errors(), 1U);
    EXPECT_EQ(server_->mismatches(), 1U);
    EXPECT_THAT(client->problem(), testing::HasSubstr("the server found wrong bytes"));
}

TEST_F(echo, verify_header__does_not_look_at_bytes) {
    EchoServerOptions options;
    options.flip_at = 3;
    options.verify = false;
    start_server(options);
    EchoLoad load;
    load.verify = false;
    auto client = run(load, 1);
    EXPECT_EQ(client->errors(), 0U);
    EXPECT_EQ(client->verified(), 0U);
}

TEST_F(echo, bad_hello__closes_that_connection_only) {
    start_server();
    std::vector<int> fds = connect_all(std::vector{address_}, mono_ns() + 10 * kNsPerSec);
    Hello bad;
    bad.message_bytes = 0;
    ASSERT_EQ(write(fds[0], &bad, sizeof(bad)), static_cast<ssize_t>(sizeof(bad)));
    auto client = run({}, 1);
    stop_server();
    EXPECT_EQ(client->problem(), "");
    EXPECT_EQ(server_->protocol_errors(), 1U);
    close(fds[0]);
}

TEST_F(echo, hello__may_come_byte_by_byte_with_the_first_message) {
    start_server();
    std::vector<int> fds = connect_all(std::vector{address_}, mono_ns() + 10 * kNsPerSec);
    Hello hello;
    hello.message_bytes = hello.reply_bytes = 10;
    hello.key = 5;
    std::array<std::byte, sizeof(Hello) + 10> all;
    std::memcpy(all.data(), &hello, sizeof(hello));
    std::memcpy(all.data() + sizeof(hello), Pattern::get().at(request_stream(hello)), 10);
    for (const std::byte &byte : all)
        ASSERT_EQ(write(fds[0], &byte, 1), 1);
    std::array<std::byte, 10> reply;
    size_t have = 0;
    for (int64_t deadline = mono_ns() + 10 * kNsPerSec; have < 10 && mono_ns() < deadline;) {
        ssize_t n = read(fds[0], reply.data() + have, reply.size() - have);
        have += n > 0 ? static_cast<size_t>(n) : 0;
    }
    ASSERT_EQ(have, 10U);
    EXPECT_TRUE(Pattern::get().matches(reply_stream(hello), reply));
    close(fds[0]);
}

TEST_F(echo, server_gone__client_fails_with_a_reason) {
    start_server();
    EchoLoad load;
    EchoClient client(load);
    client.connect({address_}, 0, mono_ns() + 10 * kNsPerSec);
    stop_server();
    server_.reset();
    int64_t now = mono_ns();
    client.start({now, now, now + 3600 * kNsPerSec});
    client.run();
    EXPECT_THAT(client.problem(), testing::HasSubstr("lost connection 0"));
    EXPECT_FALSE(client.window_over());
}

TEST_F(echo, stop_request__ends_the_client_early) {
    start_server();
    EchoLoad load;
    EchoClient client(load);
    client.connect({address_}, 0, mono_ns() + 10 * kNsPerSec);
    int64_t now = mono_ns();
    client.start({now, now, now + 3600 * kNsPerSec});
    request_stop();
    client.run();
    EXPECT_FALSE(client.window_over());
    EXPECT_EQ(client.problem(), "");
    reset_stop();
}

} // namespace
} // namespace etran::wl
