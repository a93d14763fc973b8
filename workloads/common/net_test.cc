// SPDX-License-Identifier: MIT
// Copyright (c) The eTran artifact authors
#include "common/net.h"

#include <chrono>
#include <thread>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/error.h"
#include "common/signals.h"

namespace etran::wl {
namespace {

using testing::HasSubstr;

// A port that was free a moment ago.
Address free_port() {
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    sockaddr_in address = {};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t length = sizeof(address);
    bind(fd, reinterpret_cast<sockaddr *>(&address), length);
    getsockname(fd, reinterpret_cast<sockaddr *>(&address), &length);
    close(fd);
    return Address::parse("127.0.0.1:" + std::to_string(ntohs(address.sin_port)));
}

template <typename Call> std::string problem_of(Call &&call) {
    try {
        call();
    } catch (const UserError &error) {
        return std::string(error.what()) + " / " + error.hint();
    }
    return "";
}

TEST(net, parse__round_trips) {
    EXPECT_EQ(Address::parse("10.0.0.2:5000").str(), "10.0.0.2:5000");
    EXPECT_EQ(Address::parse("[::1]:80").str(), "[::1]:80");
    EXPECT_EQ(Address::parse("10.0.0.2:5000").port(), 5000);
    EXPECT_TRUE(Address::parse("10.0.0.2:1") == Address::parse("10.0.0.2:1"));
    EXPECT_FALSE(Address::parse("10.0.0.2:1") == Address::parse("10.0.0.2:2"));
}

TEST(net, parse__refuses) {
    for (const char *text :
         {"", "10.0.0.2", "10.0.0.2:", "10.0.0.2:0", "10.0.0.2:65536", "10.0.0:5000", "host:5000",
          ":5000", "10.0.0.2:5000x", "[::1]", "[::g]:80", "::1:80", "10.0.0.2:-1"})
        EXPECT_THROW(Address::parse(text), UserError) << text;
}

TEST(net, parse_addresses__list) {
    EXPECT_EQ(parse_addresses("10.0.0.1:1,10.0.0.2:2").size(), 2U);
    EXPECT_THROW(parse_addresses(""), UserError);
    EXPECT_THROW(parse_addresses("10.0.0.1:1,"), UserError);
}

TEST(net, with_port_offset__moves_and_checks) {
    EXPECT_EQ(Address::parse("10.0.0.2:5000").with_port_offset(3).str(), "10.0.0.2:5003");
    EXPECT_THROW(Address::parse("10.0.0.2:65535").with_port_offset(1), UserError);
}

TEST(net, listen__port_in_use_says_so) {
    Address address = free_port();
    int fd = listen_on(address);
    EXPECT_THAT(problem_of([&] { listen_on(address); }),
                testing::AllOf(HasSubstr("cannot listen on " + address.str()),
                               HasSubstr("another program listens there")));
    close(fd);
}

TEST(net, listen__foreign_address_says_so) {
    EXPECT_THAT(problem_of([] { listen_on(Address::parse("192.0.2.1:5000")); }),
                HasSubstr("no such address"));
}

TEST(net, connect__many_at_once_in_order) {
    Address address = free_port();
    int listener = listen_on(address);
    std::vector<Address> targets(150, address); // more than may be under way
    std::vector<int> fds = connect_all(targets, mono_ns() + 10 * kNsPerSec);
    ASSERT_EQ(fds.size(), 150U);
    size_t accepted = 0;
    for (int fd = accept_from(listener); fd >= 0; fd = accept_from(listener)) {
        accepted++;
        close(fd);
    }
    EXPECT_EQ(accepted, 150U);
    for (int fd : fds)
        close(fd);
    close(listener);
}

TEST(net, connect__waits_for_a_server_that_comes_later) {
    Address address = free_port();
    std::thread late([&] {
        std::this_thread::sleep_for(std::chrono::milliseconds(20)); // longer than the first retry
        int listener = listen_on(address);
        for (int i = 0; i < 5000; i++) {
            int fd = accept_from(listener);
            if (fd >= 0) {
                close(fd);
                break;
            }
            std::this_thread::sleep_for(std::chrono::milliseconds(1));
        }
        close(listener);
    });
    std::vector<int> fds = connect_all(std::vector{address}, mono_ns() + 10 * kNsPerSec);
    EXPECT_EQ(fds.size(), 1U);
    close(fds[0]);
    late.join();
}

TEST(net, connect__absent_server_ends_at_the_deadline_and_says_which) {
    Address address = free_port();
    std::string problem =
        problem_of([&] { connect_all(std::vector{address}, mono_ns() + 30 * kNsPerMs); });
    EXPECT_THAT(problem, testing::AllOf(HasSubstr("cannot connect to " + address.str()),
                                        HasSubstr("Connection refused"),
                                        HasSubstr("start the server first")));
}

TEST(net, connect__stop_request_ends_it) {
    reset_stop();
    Address address = free_port();
    request_stop();
    EXPECT_THAT(problem_of([&] { connect_all(std::vector{address}, kNever); }),
                HasSubstr("asked to stop"));
    reset_stop();
}

} // namespace
} // namespace etran::wl
