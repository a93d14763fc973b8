// SPDX-License-Identifier: MIT
// Copyright (c) The eTran artifact authors
#include "echobench/echo_server.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

#include <fmt/format.h>
#include <unistd.h>

namespace etran::wl {

namespace {
constexpr uint64_t kListenTag = EventLoop::kMaxTag;
constexpr uint32_t kEvents = EPOLLIN | EPOLLRDHUP;
} // namespace

EchoServer::EchoServer(const Address &listen, const EchoServerOptions &options)
    : options_(options), loop_(options.poll), listen_fd_(listen_on(listen)),
      buffer_(std::make_unique_for_overwrite<std::byte[]>(kReceiveBytes)) {
    loop_.add(listen_fd_, EPOLLIN, kListenTag);
}

EchoServer::~EchoServer() {
    connections_.for_each([](Connection &connection) { close(connection.fd); });
    close(listen_fd_);
}

void EchoServer::accept_all() {
    int fd = -1;
    while ((fd = accept_from(listen_fd_)) >= 0) {
        auto owned = std::make_unique<Connection>();
        Connection &connection = *owned;
        connection.fd = fd;
        connection.tag = connections_.insert(std::move(owned));
        loop_.add(fd, kEvents, connection.tag);
    }
}

void EchoServer::poll(int64_t deadline) {
    std::array<epoll_event, 64> events;
    int n = loop_.wait(events, deadline);
    for (int i = 0; i < n; i++) {
        const epoll_event &event = events[static_cast<size_t>(i)];
        if (event.data.u64 == kListenTag) {
            accept_all();
            continue;
        }
        Connection *connection = connections_.find(event.data.u64);
        if (connection == nullptr)
            continue;
        bool alive = true;
        if (event.events & EPOLLOUT)
            alive = after_write(*connection, connection->writer.flush(connection->fd));
        if (alive && (event.events & ~static_cast<uint32_t>(EPOLLOUT)))
            alive = receive(*connection);
        if (!alive)
            drop(*connection);
    }
}

bool EchoServer::receive(Connection &connection) {
    ssize_t n = read(connection.fd, buffer_.get(), kReceiveBytes);
    if (n < 0)
        return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR;
    if (n == 0) {
        if (connection.hello_have == sizeof(Hello) && connection.hello.mode == EchoMode::kStream)
            report(connection, true);
        return false;
    }
    std::span<std::byte> data(buffer_.get(), static_cast<size_t>(n));
    if (connection.hello_have < sizeof(Hello)) {
        if (!take_hello(connection, data))
            return false;
        if (data.empty())
            return true;
    }
    check(connection, data);
    uint64_t messages = connection.reader.received() / connection.hello.message_bytes;
    uint64_t fresh = messages - connection.messages;
    connection.messages = messages;
    counts_.rx_bytes += data.size();
    if (connection.hello.mode == EchoMode::kStream) {
        counts_.ops += fresh;
        return report(connection, false);
    }
    return fresh == 0 || answer(connection, fresh);
}

bool EchoServer::take_hello(Connection &connection, std::span<std::byte> &data) {
    size_t n = std::min<size_t>(sizeof(Hello) - connection.hello_have, data.size());
    auto *raw = reinterpret_cast<std::byte *>(&connection.hello);
    std::memcpy(raw + connection.hello_have, data.data(), n);
    connection.hello_have += static_cast<uint32_t>(n);
    data = data.subspan(n);
    if (connection.hello_have < sizeof(Hello))
        return true;
    if (!valid_hello(connection.hello)) {
        protocol_errors_++;
        if (problem_.empty())
            problem_ = "a client did not start with a valid hello";
        return false;
    }
    connection.reader = PatternReader(request_stream(connection.hello));
    connection.writer = PatternWriter(reply_stream(connection.hello));
    return true;
}

void EchoServer::check(Connection &connection, std::span<std::byte> data) {
    if (connection.hello.mode == EchoMode::kStream && ++pieces_ == options_.flip_at) [[unlikely]]
        data.back() ^= std::byte{0x10};
    uint64_t offset = connection.reader.received();
    uint32_t position = connection.reader.position();
    if (connection.reader.accept(data, options_.verify)) [[likely]]
        return;
    mismatches_++;
    connection.mismatches++;
    if (problem_.empty()) {
        size_t at = Pattern::get().first_difference(position, data);
        problem_ = fmt::format("byte {} of a client's stream is wrong", offset + at);
    }
}

bool EchoServer::answer(Connection &connection, uint64_t messages) {
    uint32_t bytes = connection.hello.reply_bytes;
    uint64_t first = counts_.ops + 1;
    counts_.ops += messages;
    counts_.tx_bytes += messages * bytes;
    if (options_.flip_at >= first && options_.flip_at < first + messages) [[unlikely]] {
        uint64_t reply = options_.flip_at - first + 1;
        connection.writer.spoil(connection.writer.total() + reply * bytes - 1);
    }
    PatternWriter::Result result = PatternWriter::Result::kDone;
    if (options_.batch) {
        bool blocked = connection.writer.waiting();
        connection.writer.queue(messages * bytes);
        result = blocked ? PatternWriter::Result::kBlocked : connection.writer.flush(connection.fd);
    } else {
        for (uint64_t i = 0; i < messages && result != PatternWriter::Result::kFailed; i++)
            result = connection.writer.send(connection.fd, bytes);
    }
    return after_write(connection, result);
}

// The socket takes these few bytes unless the client never reads; then the report is left out, the
// next one says the same and more.
bool EchoServer::report(Connection &connection, bool last) {
    int64_t now = mono_ns();
    if (!last && now - connection.reported_at < kProgressNs)
        return true;
    connection.reported_at = now;
    Progress progress = {connection.reader.received(), connection.mismatches};
    ssize_t n = write(connection.fd, &progress, sizeof(progress));
    if (n == static_cast<ssize_t>(sizeof(progress)))
        return true;
    return n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR);
}

bool EchoServer::after_write(Connection &connection, PatternWriter::Result result) {
    if (result == PatternWriter::Result::kFailed)
        return false;
    bool want = result == PatternWriter::Result::kBlocked;
    if (want != connection.want_write) {
        connection.want_write = want;
        loop_.modify(connection.fd, kEvents | (want ? static_cast<uint32_t>(EPOLLOUT) : 0),
                     connection.tag);
    }
    return true;
}

void EchoServer::drop(Connection &connection) {
    close(connection.fd);
    connections_.erase(connection.tag);
}

} // namespace etran::wl
