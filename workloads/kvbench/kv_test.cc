// SPDX-License-Identifier: MIT
// Copyright (c) The eTran artifact authors
//
// kvbench's server against hostile and ordinary clients, over loopback, in a thread of its own.
#include "kvbench/kv_server.h"

#include <atomic>
#include <thread>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/error.h"
#include "common/signals.h"
#include "kvbench/kv_client.h"

namespace etran::wl {
namespace {

using testing::HasSubstr;

class kv : public testing::Test {
  protected:
    void SetUp() override {
        install_signal_handlers(); // a write to a closed connection must not kill
        reset_stop();
    }
    void TearDown() override { stop_server(); }

    void start_server(uint64_t flip_at = 0, size_t store_bytes = 16 << 20) {
        store_ = std::make_unique<KvStore>(store_bytes);
        for (int port = 23'000; port < 24'000 && !server_; port++) {
            try {
                address_ = Address::parse("127.0.0.1:" + std::to_string(port));
                server_ = std::make_unique<KvServer>(address_, PollMode::kSleep, *store_, flip_at);
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

    int dial() { return connect_all(std::vector{address_}, mono_ns() + 10 * kNsPerSec).front(); }

    static void send_all(int fd, std::string_view text) {
        while (!text.empty()) {
            ssize_t n = write(fd, text.data(), text.size());
            if (n > 0)
                text.remove_prefix(static_cast<size_t>(n));
            else
                wait_for(fd, POLLOUT);
        }
    }

    // Reads until `bytes` have come or the server closes.
    static std::string receive(int fd, size_t bytes) {
        std::string text;
        std::array<char, 65'536> buffer;
        while (text.size() < bytes) {
            ssize_t n = read(fd, buffer.data(), std::min(buffer.size(), bytes - text.size()));
            if (n > 0)
                text.append(buffer.data(), static_cast<size_t>(n));
            else if (n == 0 || !wait_for(fd, POLLIN))
                break;
        }
        return text;
    }

    static bool wait_for(int fd, short events) {
        pollfd p = {fd, events, 0};
        return ::poll(&p, 1, 10'000) == 1;
    }

    std::string ask(std::string_view question, std::string_view answer) {
        int fd = dial();
        send_all(fd, question);
        std::string got = receive(fd, answer.size());
        close(fd);
        return got;
    }

    std::unique_ptr<KvClient> run(KvLoad load, const KeyChooser &keys, size_t connections,
                                  bool preload = true) {
        load.drain_ns = 60 * kNsPerSec;
        auto client = std::make_unique<KvClient>(load, keys);
        client->connect(std::vector(connections, address_), mono_ns() + 10 * kNsPerSec);
        if (preload)
            client->preload();
        int64_t now = mono_ns();
        client->start({now, now, now + 50 * kNsPerMs});
        client->run();
        return client;
    }

    Address address_;
    std::unique_ptr<KvStore> store_;
    std::unique_ptr<KvServer> server_;
    std::thread thread_;
    std::atomic<bool> end_ = false;
};

TEST_F(kv, server__speaks_the_protocol) {
    start_server();
    std::string question = "get a\r\nset a 5 0 3\r\nxyz\r\nget a b a\r\ngets a\r\n"
                           "set b 0 0 1 noreply\r\nq\r\ndelete a\r\ndelete a\r\nget b\r\n"
                           "nonsense\r\nversion\r\n";
    std::string answer = "END\r\nSTORED\r\nVALUE a 5 3\r\nxyz\r\nVALUE a 5 3\r\nxyz\r\nEND\r\n"
                         "VALUE a 5 3 0\r\nxyz\r\nEND\r\n"
                         "DELETED\r\nNOT_FOUND\r\nVALUE b 0 1\r\nq\r\nEND\r\n"
                         "ERROR\r\nVERSION kvbench\r\n";
    EXPECT_EQ(ask(question, answer), answer);
}

TEST_F(kv, server__commands_may_come_byte_by_byte) {
    start_server();
    int fd = dial();
    for (char c : std::string_view("set k 0 0 4\r\na\r\nb\r\nget k\r\n"))
        send_all(fd, {&c, 1});
    std::string answer = "STORED\r\nVALUE k 0 4\r\na\r\nb\r\nEND\r\n";
    EXPECT_EQ(receive(fd, answer.size()), answer);
    close(fd);
}

TEST_F(kv, server__quit_and_errors_that_close) {
    start_server();
    EXPECT_EQ(ask("quit\r\nget a\r\n", "anything"), "");
    EXPECT_EQ(ask("set k 0 0 1\r\nxyz\r\n", std::string(100, ' ')),
              "CLIENT_ERROR bad data chunk\r\n");
    EXPECT_EQ(ask(std::string(5000, 'x'), std::string(100, ' ')), "CLIENT_ERROR line too long\r\n");
}

TEST_F(kv, server__refused_value_is_skipped) {
    start_server();
    std::string answer = "SERVER_ERROR object too large for cache\r\nEND\r\n";
    EXPECT_EQ(ask("set k 0 0 200000\r\n" + std::string(200'000, 'x') + "\r\nget k\r\n", answer),
              answer);
}

TEST_F(kv, server__full_store_says_so) {
    start_server(0, 1000);
    std::string answer = "SERVER_ERROR out of memory storing object\r\nEND\r\n";
    EXPECT_EQ(ask("set k 0 0 2000\r\n" + std::string(2000, 'x') + "\r\nget k\r\n", answer), answer);
}

TEST_F(kv, server__client_that_does_not_read_does_not_fill_the_memory) {
    // 60 lines of 100 keys ask for 393 MB from a server that may use far less; it must stop reading
    // and go on when the client does.
    start_server();
    int fd = dial();
    send_all(fd, "set k 0 0 65536\r\n" + std::string(65'536, 'v') + "\r\n");
    ASSERT_EQ(receive(fd, 8), "STORED\r\n");
    std::string line = "get";
    for (int i = 0; i < 100; i++)
        line += " k";
    line += "\r\n";
    for (int i = 0; i < 60; i++)
        send_all(fd, line);
    size_t one = 100 * (std::string("VALUE k 0 65536\r\n").size() + 65'536 + 2) + 5;
    size_t seen = 0;
    for (int i = 0; i < 60; i++)
        seen += receive(fd, one).size();
    EXPECT_EQ(seen, 60 * one);
    close(fd);
}

TEST_F(kv, client__closed_loop_verifies_everything) {
    start_server();
    KvLoad load;
    load.outstanding = 4;
    KeyChooser keys = KeyChooser::zipf(500, 0.99);
    auto client = run(load, keys, 8);
    EXPECT_EQ(client->problem(), "");
    EXPECT_EQ(client->misses(), 0U);
    EXPECT_GT(client->recorder().ops(), 0U);
    EXPECT_GE(client->verified(), client->recorder().ops());
    EXPECT_EQ(store_->items(), 500U);
    double gets = static_cast<double>(client->recorder().classes()[kKvGet].histogram.count());
    double sets = static_cast<double>(client->recorder().classes()[kKvSet].histogram.count());
    EXPECT_NEAR(gets / (gets + sets), 0.9, 0.2);
}

TEST_F(kv, client__open_loop_accounts_for_every_arrival) {
    start_server();
    KvLoad load;
    load.rate = 2000;
    load.max_outstanding = 100;
    KeyChooser keys = KeyChooser::uniform(100);
    auto client = run(load, keys, 2);
    EXPECT_EQ(client->problem(), "");
    uint64_t samples = 0;
    for (const Recorder::Class &c : client->recorder().classes())
        samples += c.histogram.count();
    EXPECT_EQ(client->recorder().missing(), 0U);
    EXPECT_EQ(client->recorder().lateness().count(), samples);
    EXPECT_NEAR(static_cast<double>(samples), 100, 40);
}

TEST_F(kv, client__sizes) {
    start_server();
    KeyChooser keys = KeyChooser::uniform(10);
    for (auto [key_bytes, value_bytes] : {std::pair{12U, 1U}, {250U, 5000U}, {32U, 65'536U}}) {
        KvLoad load;
        load.key_bytes = key_bytes;
        load.value_bytes = value_bytes;
        auto client = run(load, keys, 1);
        EXPECT_EQ(client->problem(), "") << value_bytes;
        EXPECT_GT(client->verified(), 0U);
        EXPECT_EQ(client->misses(), 0U);
    }
}

TEST_F(kv, client__misses_are_counted_and_no_error) {
    start_server();
    KeyChooser keys = KeyChooser::uniform(1'000'000);
    auto client = run({}, keys, 1, false);
    EXPECT_EQ(client->problem(), "");
    EXPECT_GT(client->misses(), 0U);
}

TEST_F(kv, client__finds_the_flipped_byte) {
    start_server(5);
    KeyChooser keys = KeyChooser::uniform(10);
    auto client = run({}, keys, 1);
    EXPECT_EQ(client->errors(), 1U);
    EXPECT_THAT(client->problem(), HasSubstr("byte 63 of the value of key-"));
}

TEST_F(kv, client__server_error_is_reported) {
    start_server(0, 500);
    KeyChooser keys = KeyChooser::uniform(100);
    auto client = run({}, keys, 1);
    EXPECT_THAT(client->problem(), HasSubstr("SERVER_ERROR out of memory"));
}

// A server that answers with the same text whatever it is asked.
std::string problem_with_answer(const std::string &answer, bool close_after) {
    Address address;
    int listener = -1;
    for (int port = 24'000; port < 25'000 && listener < 0; port++) {
        try {
            address = Address::parse("127.0.0.1:" + std::to_string(port));
            listener = listen_on(address);
        } catch (const UserError &) {
        }
    }
    KvLoad load;
    load.get_share = 1;
    load.drain_ns = 10 * kNsPerMs;
    KeyChooser keys = KeyChooser::uniform(1);
    KvClient client(load, keys);
    client.connect({address}, mono_ns() + 10 * kNsPerSec);
    int fd = -1;
    for (int i = 0; i < 1'000'000 && fd < 0; i++)
        fd = accept_from(listener);
    EXPECT_EQ(write(fd, answer.data(), answer.size()), static_cast<ssize_t>(answer.size()));
    if (close_after)
        close(fd);
    int64_t now = mono_ns();
    client.start({now, now, now + 10 * kNsPerMs});
    client.run();
    if (!close_after)
        close(fd);
    close(listener);
    return client.problem();
}

TEST_F(kv, client__hostile_server) {
    std::string key = key_text(0, 32);
    EXPECT_THAT(problem_with_answer("SERVER_ERROR on fire\r\n", false), HasSubstr("on fire"));
    EXPECT_THAT(problem_with_answer("VALUE wrong 0 64\r\n", false), HasSubstr("VALUE wrong"));
    EXPECT_THAT(problem_with_answer("VALUE " + key + " 0 63\r\n", false), HasSubstr(" 0 63"));
    EXPECT_THAT(problem_with_answer("VALUE " + key + " 0 64\r\n" + std::string(80, 'x'), false),
                HasSubstr("is none"));
    EXPECT_THAT(problem_with_answer("STORED\r\n", false), HasSubstr("'STORED'"));
    EXPECT_THAT(problem_with_answer(std::string(5000, 'y'), false), HasSubstr("yyyy"));
    EXPECT_THAT(problem_with_answer("VALUE " + key, true), HasSubstr("closed by the server"));
    EXPECT_EQ(problem_with_answer("VALUE " + key + " 0 64\r\nincomplete", false), "")
        << "an answer that never ends is no error of the protocol; it stays unfinished";
}

} // namespace
} // namespace etran::wl
