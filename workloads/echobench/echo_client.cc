// SPDX-License-Identifier: MIT
// Copyright (c) The eTran artifact authors
#include "echobench/echo_client.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

#include <fmt/format.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/error.h"
#include "common/prng.h"
#include "common/signals.h"

namespace etran::wl {
namespace {

constexpr size_t kReceiveBytes = Pattern::kSpan;
constexpr uint32_t kEvents = EPOLLIN | EPOLLRDHUP;
constexpr int kStartBurst = 4;   // connections started per turn, so that answers are read meanwhile
constexpr int kStreamBurst = 16; // messages per turn, so that all connections get theirs

bool would_block(int error) {
    return error == EAGAIN || error == EWOULDBLOCK || error == EINTR;
}

} // namespace

EchoClient::EchoClient(const EchoLoad &load)
    : load_(load), loop_(load.poll), recorder_(1, SampleBy::kCompletion, load.dump),
      buffer_(std::make_unique_for_overwrite<std::byte[]>(kReceiveBytes)) {}

EchoClient::~EchoClient() {
    for (const std::unique_ptr<Connection> &connection : connections_)
        close(connection->fd);
}

void EchoClient::connect(const std::vector<Address> &targets, uint32_t first_id, int64_t deadline) {
    std::vector<int> fds = connect_all(targets, deadline);
    for (size_t i = 0; i < fds.size(); i++) {
        Hello hello;
        hello.mode = load_.mode;
        hello.message_bytes = load_.message_bytes;
        hello.reply_bytes = load_.mode == EchoMode::kEcho ? load_.reply_bytes : 0;
        hello.key = derive_seed(load_.seed, Purpose::kKeys, first_id + i);
        auto connection = std::make_unique<Connection>();
        connection->fd = fds[i];
        connection->tag = connections_.size();
        connection->reader = PatternReader(reply_stream(hello));
        connection->writer = PatternWriter(request_stream(hello));
        if (load_.mode == EchoMode::kEcho)
            connection->sent_at.resize(load_.outstanding);
        connections_.push_back(std::move(connection));
        loop_.add(fds[i], kEvents, connections_.back()->tag);
        // A fresh connection takes 24 bytes at once.
        if (write(fds[i], &hello, sizeof(hello)) != static_cast<ssize_t>(sizeof(hello))) {
            throw UserError(
                fmt::format("cannot greet {}: {}", targets[i].str(), std::strerror(errno)),
                "check that an echobench server runs there");
        }
    }
}

void EchoClient::start(Window window) {
    window_ = window;
    recorder_.set_window(window);
    // At the start the server has nothing.
    for (const std::unique_ptr<Connection> &connection : connections_)
        connection->begin.before_ns = connection->end.before_ns = window.start;
}

void EchoClient::run() {
    std::array<epoll_event, 64> events;
    while (!failed_ && !stop_requested()) {
        int64_t now = mono_ns();
        int64_t deadline = window_.start;
        if (now >= window_.end) {
            end_load();
            deadline = window_.end + load_.drain_ns;
            if (drained() || now >= deadline)
                return;
        } else if (now >= window_.start) {
            loading_ = true;
            deadline = start_more() ? 0 : window_.end;
        }
        int n = loop_.wait(events, deadline);
        for (int i = 0; i < n && !failed_; i++) {
            const epoll_event &event = events[static_cast<size_t>(i)];
            Connection &connection = *connections_[event.data.u64];
            if (connection.done)
                continue;
            if (event.events & EPOLLOUT)
                writable(connection);
            if (event.events & ~static_cast<uint32_t>(EPOLLOUT))
                receive(connection);
        }
    }
}

bool EchoClient::start_more() {
    for (int i = 0; i < kStartBurst && started_ < connections_.size(); i++) {
        Connection &connection = *connections_[started_++];
        if (load_.mode == EchoMode::kEcho)
            send_messages(connection, load_.outstanding);
        else
            stream_more(connection);
    }
    return started_ < connections_.size();
}

void EchoClient::end_load() {
    if (window_over_)
        return;
    window_over_ = true;
    loading_ = false;
    if (load_.mode != EchoMode::kStream)
        return;
    for (const std::unique_ptr<Connection> &connection : connections_)
        writable(*connection);
}

void EchoClient::writable(Connection &connection) {
    if (load_.mode == EchoMode::kStream && loading_) {
        stream_more(connection);
        return;
    }
    after_write(connection, connection.writer.flush(connection.fd));
    if (load_.mode == EchoMode::kStream && !connection.writer.waiting() && !connection.closing) {
        connection.closing = true;
        shutdown(connection.fd, SHUT_WR);
    }
}

void EchoClient::send_messages(Connection &connection, uint32_t count) {
    PatternWriter::Result result = PatternWriter::Result::kDone;
    bool blocked = connection.writer.waiting();
    int64_t now = mono_ns();
    for (uint32_t i = 0; i < count; i++) {
        uint32_t tail = connection.head + connection.under_way;
        tail -= tail >= load_.outstanding ? load_.outstanding : 0;
        if (!load_.batch && i > 0)
            now = mono_ns();
        connection.sent_at[tail] = now;
        connection.under_way++;
        if (load_.batch)
            connection.writer.queue(load_.message_bytes);
        else
            result = connection.writer.send(connection.fd, load_.message_bytes);
    }
    under_way_ += count;
    if (load_.batch)
        result = blocked ? PatternWriter::Result::kBlocked : connection.writer.flush(connection.fd);
    after_write(connection, result);
}

void EchoClient::stream_more(Connection &connection) {
    PatternWriter::Result result = connection.writer.flush(connection.fd);
    for (int i = 0; i < kStreamBurst && result == PatternWriter::Result::kDone; i++)
        result = connection.writer.send(connection.fd, load_.message_bytes);
    // Not blocked means that the burst is over, and the next turn goes on.
    if (result == PatternWriter::Result::kDone)
        result = PatternWriter::Result::kBlocked;
    after_write(connection, result);
}

void EchoClient::after_write(Connection &connection, PatternWriter::Result result) {
    if (result == PatternWriter::Result::kFailed) {
        lost(connection, std::strerror(errno));
        return;
    }
    bool want = result == PatternWriter::Result::kBlocked;
    if (want == connection.want_write)
        return;
    connection.want_write = want;
    loop_.modify(connection.fd, kEvents | (want ? static_cast<uint32_t>(EPOLLOUT) : 0),
                 connection.tag);
}

void EchoClient::receive(Connection &connection) {
    ssize_t n = read(connection.fd, buffer_.get(), kReceiveBytes);
    if (n < 0) {
        if (!would_block(errno))
            lost(connection, std::strerror(errno));
        return;
    }
    if (n == 0) {
        lost(connection, "closed by the server");
        return;
    }
    int64_t now = mono_ns();
    std::span<const std::byte> data(buffer_.get(), static_cast<size_t>(n));
    if (load_.mode == EchoMode::kEcho)
        take_replies(connection, data, now);
    else
        take_progress(connection, data, now);
}

void EchoClient::take_replies(Connection &connection, std::span<const std::byte> data,
                              int64_t now) {
    uint64_t offset = connection.reader.received();
    uint32_t position = connection.reader.position();
    bool right = connection.reader.accept(data, load_.verify);
    if (!right) [[unlikely]] {
        size_t at = Pattern::get().first_difference(position, data);
        fail(fmt::format("byte {} of the reply stream of connection {} is wrong", offset + at,
                         connection.tag));
    }
    uint64_t replies = connection.reader.received() / load_.reply_bytes;
    auto fresh = static_cast<uint32_t>(replies - connection.replies);
    if (fresh == 0)
        return;
    if (fresh > connection.under_way) {
        fail(fmt::format("connection {} got more replies than requests", connection.tag));
        failed_ = true;
        return;
    }
    for (uint32_t i = 0; i < fresh; i++) {
        recorder_.complete(0, connection.sent_at[connection.head], now, load_.message_bytes,
                           load_.reply_bytes);
        connection.head = connection.head + 1 == load_.outstanding ? 0 : connection.head + 1;
    }
    connection.replies = replies;
    connection.under_way -= fresh;
    connection.in_window += window_.contains(now) ? fresh : 0;
    under_way_ -= fresh;
    verified_ += load_.verify && right ? fresh : 0;
    if (loading_ && now < window_.end)
        send_messages(connection, fresh);
}

void EchoClient::take_progress(Connection &connection, std::span<const std::byte> data,
                               int64_t now) {
    while (!data.empty()) {
        size_t n = std::min(sizeof(Progress) - connection.progress_have, data.size());
        auto *raw = reinterpret_cast<std::byte *>(&connection.progress);
        std::memcpy(raw + connection.progress_have, data.data(), n);
        connection.progress_have += static_cast<uint32_t>(n);
        data = data.subspan(n);
        if (connection.progress_have < sizeof(Progress))
            return;
        connection.progress_have = 0;
        connection.confirmed = connection.progress.bytes;
        connection.begin.note(window_.begin, now, connection.confirmed);
        connection.end.note(window_.end, now, connection.confirmed);
        if (connection.progress.mismatches > 0) {
            fail(fmt::format("the server found wrong bytes in the stream of connection {}",
                             connection.tag));
        }
        connection.done = connection.closing && connection.confirmed == connection.writer.total();
    }
}

void EchoClient::lost(Connection &connection, const std::string &why) {
    fail(fmt::format("lost connection {}: {}", connection.tag, why));
    failed_ = true;
}

void EchoClient::fail(const std::string &what) {
    errors_++;
    if (problem_.empty())
        problem_ = what;
}

bool EchoClient::drained() const {
    if (load_.mode == EchoMode::kEcho)
        return under_way_ == 0;
    return std::all_of(connections_.begin(), connections_.end(),
                       [](const std::unique_ptr<Connection> &c) { return c->done; });
}

std::vector<uint64_t> EchoClient::per_connection() const {
    std::vector<uint64_t> counts;
    for (const std::unique_ptr<Connection> &connection : connections_) {
        uint64_t count = connection->in_window;
        if (load_.mode == EchoMode::kStream)
            count = confirmed_in_window(*connection) / load_.message_bytes;
        counts.push_back(count);
    }
    return counts;
}

uint64_t EchoClient::confirmed_in_window(const Connection &connection) const {
    double bytes = connection.end.at(window_.end) - connection.begin.at(window_.begin);
    return bytes > 0 ? static_cast<uint64_t>(bytes) : 0;
}

uint64_t EchoClient::confirmed_in_window() const {
    uint64_t sum = 0;
    for (const std::unique_ptr<Connection> &connection : connections_)
        sum += confirmed_in_window(*connection);
    return sum;
}

uint64_t EchoClient::unconfirmed() const {
    uint64_t sum = 0;
    for (const std::unique_ptr<Connection> &connection : connections_)
        sum += connection->writer.sent() - connection->confirmed;
    return sum;
}

void EchoClient::Edge::note(int64_t edge, int64_t now, uint64_t bytes) {
    if (now <= edge) {
        before_ns = now;
        before = bytes;
    } else if (after_ns == 0) {
        after_ns = now;
        after = bytes;
    }
}

double EchoClient::Edge::at(int64_t edge) const {
    auto low = static_cast<double>(before);
    if (after_ns == 0)
        return low;
    auto high = static_cast<double>(after);
    return low + (high - low) * static_cast<double>(edge - before_ns) /
                     static_cast<double>(after_ns - before_ns);
}

} // namespace etran::wl
