// SPDX-License-Identifier: MIT
// Copyright (c) The eTran artifact authors
#include "common/net.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <string>

#include <arpa/inet.h>
#include <fmt/format.h>
#include <netinet/tcp.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/error.h"
#include "common/event_loop.h"
#include "common/signals.h"

namespace etran::wl {
namespace {

constexpr int kBacklog = 4096; // the kernel lowers it to net.core.somaxconn
constexpr size_t kMaxAttempts = 64;
constexpr int64_t kFirstRetryNs = kNsPerMs;
constexpr int64_t kLastRetryNs = 32 * kNsPerMs;

[[noreturn]] void bad_address(std::string_view text) {
    throw UserError(fmt::format("bad address '{}'", text),
                    "use <numeric IPv4 address>:<port> or [<IPv6 address>]:<port>");
}

void set_no_delay(int fd) {
    int one = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
}

// One connection in the making.
struct Attempt {
    int fd = -1;
    int error = 0; // of the latest try
    bool done = false;
    int64_t retry_at = 0;
    int64_t retry_after = kFirstRetryNs;
};

class Connector {
  public:
    Connector(std::span<const Address> addresses, int64_t deadline)
        : addresses_(addresses), deadline_(deadline), attempts_(addresses.size()) {}

    ~Connector() {
        for (Attempt &attempt : attempts_) {
            if (attempt.fd >= 0)
                close(attempt.fd);
        }
    }

    std::vector<int> run() {
        while (done_ < attempts_.size()) {
            int64_t now = mono_ns();
            if (now >= deadline_ || stop_requested())
                give_up();
            int64_t wake = start_due(now);
            std::array<epoll_event, kMaxAttempts> events;
            int n = loop_.wait(events, std::min(deadline_, wake));
            for (int i = 0; i < n; i++)
                finish(events[static_cast<size_t>(i)].data.u64);
        }
        std::vector<int> fds;
        for (Attempt &attempt : attempts_)
            fds.push_back(std::exchange(attempt.fd, -1));
        return fds;
    }

  private:
    // Starts what is due, as far as the limit of attempts under way allows. Returns when the next
    // one will be due.
    int64_t start_due(int64_t now) {
        int64_t wake = kNever;
        for (size_t i = 0; i < attempts_.size() && pending_ < kMaxAttempts; i++) {
            Attempt &attempt = attempts_[i];
            if (attempt.done || attempt.fd >= 0)
                continue;
            if (attempt.retry_at <= now)
                start(i);
            if (attempt.fd < 0 && !attempt.done)
                wake = std::min(wake, attempt.retry_at);
        }
        return wake;
    }

    void start(size_t i) {
        Attempt &attempt = attempts_[i];
        const Address &address = addresses_[i];
        int fd = socket(address.family(), SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        if (fd < 0) {
            throw UserError(fmt::format("cannot create a socket: {}", std::strerror(errno)),
                            "check the limit of open files (ulimit -n)");
        }
        attempt.fd = fd;
        pending_++;
        if (connect(fd, address.raw(), address.raw_length()) == 0)
            succeed(attempt);
        else if (errno == EINPROGRESS)
            loop_.add(fd, EPOLLOUT, i);
        else
            fail(attempt, errno);
    }

    void finish(size_t i) {
        Attempt &attempt = attempts_[i];
        if (attempt.done || attempt.fd < 0)
            return;
        int error = 0;
        socklen_t length = sizeof(error);
        getsockopt(attempt.fd, SOL_SOCKET, SO_ERROR, &error, &length);
        if (error != 0) {
            fail(attempt, error);
        } else {
            loop_.remove(attempt.fd);
            succeed(attempt);
        }
    }

    void succeed(Attempt &attempt) {
        set_no_delay(attempt.fd);
        attempt.done = true;
        pending_--;
        done_++;
    }

    void fail(Attempt &attempt, int error) {
        close(attempt.fd);
        attempt.fd = -1;
        attempt.error = error;
        attempt.retry_at = mono_ns() + attempt.retry_after;
        attempt.retry_after = std::min(2 * attempt.retry_after, kLastRetryNs);
        pending_--;
    }

    [[noreturn]] void give_up() {
        size_t i = 0;
        while (attempts_[i].done)
            i++;
        if (stop_requested())
            throw UserError("asked to stop while connecting", "", kExitInterrupted);
        int error = attempts_[i].error;
        throw UserError(fmt::format("cannot connect to {}: {}", addresses_[i].str(),
                                    error != 0 ? std::strerror(error) : "no answer"),
                        "start the server first, check --server, or raise --connect-timeout-ms");
    }

    std::span<const Address> addresses_;
    int64_t deadline_;
    EventLoop loop_{PollMode::kSleep};
    std::vector<Attempt> attempts_;
    size_t pending_ = 0;
    size_t done_ = 0;
};

} // namespace

Address Address::parse(std::string_view text) {
    size_t colon = text.rfind(':');
    if (colon == std::string_view::npos)
        bad_address(text);
    std::string host(text.substr(0, colon));
    std::string_view port_text = text.substr(colon + 1);
    uint16_t port = 0;
    auto [end, error] =
        std::from_chars(port_text.data(), port_text.data() + port_text.size(), port);
    if (error != std::errc() || end != port_text.data() + port_text.size() || port == 0)
        bad_address(text);

    Address address;
    if (host.size() > 2 && host.front() == '[' && host.back() == ']') {
        auto *v6 = reinterpret_cast<sockaddr_in6 *>(&address.storage_);
        v6->sin6_family = AF_INET6;
        v6->sin6_port = htons(port);
        address.length_ = sizeof(*v6);
        host = host.substr(1, host.size() - 2);
        if (inet_pton(AF_INET6, host.c_str(), &v6->sin6_addr) != 1)
            bad_address(text);
    } else {
        auto *v4 = reinterpret_cast<sockaddr_in *>(&address.storage_);
        v4->sin_family = AF_INET;
        v4->sin_port = htons(port);
        address.length_ = sizeof(*v4);
        if (inet_pton(AF_INET, host.c_str(), &v4->sin_addr) != 1)
            bad_address(text);
    }
    return address;
}

Address Address::with_port_offset(uint32_t offset) const {
    Address moved = *this;
    uint32_t port = this->port() + offset;
    if (port > 65535) {
        throw UserError(fmt::format("port {} does not exist", port),
                        "choose a lower first port or fewer ports");
    }
    // sin_port and sin6_port are at the same place.
    reinterpret_cast<sockaddr_in *>(&moved.storage_)->sin_port = htons(static_cast<uint16_t>(port));
    return moved;
}

uint16_t Address::port() const {
    return ntohs(reinterpret_cast<const sockaddr_in *>(&storage_)->sin_port);
}

std::string Address::str() const {
    std::array<char, INET6_ADDRSTRLEN> text;
    if (family() == AF_INET6) {
        const auto *v6 = reinterpret_cast<const sockaddr_in6 *>(&storage_);
        inet_ntop(AF_INET6, &v6->sin6_addr, text.data(), text.size());
        return fmt::format("[{}]:{}", text.data(), port());
    }
    const auto *v4 = reinterpret_cast<const sockaddr_in *>(&storage_);
    inet_ntop(AF_INET, &v4->sin_addr, text.data(), text.size());
    return fmt::format("{}:{}", text.data(), port());
}

std::vector<Address> parse_addresses(std::string_view text) {
    std::vector<Address> addresses;
    while (true) {
        size_t comma = text.find(',');
        addresses.push_back(Address::parse(text.substr(0, comma)));
        if (comma == std::string_view::npos)
            return addresses;
        text.remove_prefix(comma + 1);
    }
}

int listen_on(const Address &address) {
    int fd = socket(address.family(), SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    int one = 1;
    if (fd >= 0)
        setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
    if (fd >= 0 && bind(fd, address.raw(), address.raw_length()) == 0 && listen(fd, kBacklog) == 0)
        return fd;
    int error = errno;
    if (fd >= 0)
        close(fd);
    std::string hint = "check --listen";
    if (error == EADDRINUSE)
        hint = "another program listens there (see `ss -ltnp`); end it or choose another port";
    else if (error == EADDRNOTAVAIL)
        hint = "this machine has no such address (see `ip addr`)";
    throw UserError(fmt::format("cannot listen on {}: {}", address.str(), std::strerror(error)),
                    hint);
}

int accept_from(int listen_fd) {
    int fd = accept4(listen_fd, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd >= 0)
        set_no_delay(fd);
    return fd;
}

std::vector<int> connect_all(std::span<const Address> addresses, int64_t deadline) {
    return Connector(addresses, deadline).run();
}

} // namespace etran::wl
