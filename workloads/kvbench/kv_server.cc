// SPDX-License-Identifier: MIT
// Copyright (c) The eTran artifact authors
#include "kvbench/kv_server.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

#include <unistd.h>

namespace etran::wl {
namespace {

constexpr uint64_t kListenTag = EventLoop::kMaxTag;
// Room for the longest command, of which a part may have come before, and a usual batch.
constexpr size_t kReadBytes = 16 * 1024;
// Commands are put off while more than this waits to be sent.
constexpr size_t kMaxReplyBytes = 256 * 1024;
constexpr size_t kBufferBytes = kMaxLineBytes + kMaxValueBytes + 2 + kReadBytes;

bool would_block(int error) {
    return error == EAGAIN || error == EWOULDBLOCK || error == EINTR;
}

} // namespace

KvServer::KvServer(const Address &listen, PollMode poll, KvStore &store, uint64_t flip_at)
    : loop_(poll), store_(store), flip_at_(flip_at), listen_fd_(listen_on(listen)),
      buffer_(std::make_unique_for_overwrite<char[]>(kBufferBytes)) {
    loop_.add(listen_fd_, EPOLLIN, kListenTag);
}

KvServer::~KvServer() {
    connections_.for_each([](Connection &connection) { close(connection.fd); });
    close(listen_fd_);
}

void KvServer::accept_all() {
    int fd = -1;
    while ((fd = accept_from(listen_fd_)) >= 0) {
        auto owned = std::make_unique<Connection>();
        Connection &connection = *owned;
        connection.fd = fd;
        connection.tag = connections_.insert(std::move(owned));
        loop_.add(fd, EPOLLIN, connection.tag);
    }
}

void KvServer::poll(int64_t deadline) {
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
        bool alive = connection->want_write ? flush(*connection) : receive(*connection);
        if (!alive) {
            close(connection->fd);
            connections_.erase(connection->tag);
        }
    }
}

bool KvServer::receive(Connection &connection) {
    size_t before = connection.input.size();
    if (before > 0)
        std::memcpy(buffer_.get(), connection.input.data(), before);
    ssize_t n = read(connection.fd, buffer_.get() + before, kBufferBytes - before);
    if (n <= 0)
        return n < 0 && would_block(errno);
    counts_.rx_bytes += static_cast<uint64_t>(n);
    return work(connection, {buffer_.get(), before + static_cast<size_t>(n)});
}

bool KvServer::flush(Connection &connection) {
    ssize_t n = write(connection.fd, connection.output.data(), connection.output.size());
    if (n < 0)
        return would_block(errno);
    connection.output.erase(0, static_cast<size_t>(n));
    if (!connection.output.empty())
        return true;
    if (connection.closing)
        return false;
    connection.want_write = false;
    loop_.modify(connection.fd, EPOLLIN, connection.tag);
    // There may be commands that waited for room in the output.
    size_t before = connection.input.size();
    std::memcpy(buffer_.get(), connection.input.data(), before);
    return work(connection, {buffer_.get(), before});
}

bool KvServer::work(Connection &connection, std::string_view input) {
    bool more = true;
    while (more && !connection.want_write) {
        reply_.clear();
        more = interpret(connection, input);
        if (!reply_.empty() && !answer(connection))
            return false;
    }
    connection.input.assign(input);
    return connection.want_write || !connection.closing;
}

bool KvServer::answer(Connection &connection) {
    counts_.tx_bytes += reply_.size();
    ssize_t written = write(connection.fd, reply_.data(), reply_.size());
    if (written == static_cast<ssize_t>(reply_.size()))
        return true;
    if (written < 0 && !would_block(errno))
        return false;
    connection.output = reply_.substr(written < 0 ? 0 : static_cast<size_t>(written));
    connection.want_write = true;
    loop_.modify(connection.fd, EPOLLOUT, connection.tag);
    return true;
}

bool KvServer::interpret(Connection &connection, std::string_view &input) {
    while (!input.empty() && !connection.closing) {
        if (reply_.size() > kMaxReplyBytes)
            return true;
        size_t skip = std::min(connection.skip, input.size());
        input.remove_prefix(skip);
        connection.skip -= skip;
        if (input.empty())
            break;
        KvParsed parsed = parse_command(input);
        input.remove_prefix(parsed.consumed);
        if (parsed.kind == KvParsed::Kind::kNeedMore)
            break;
        if (parsed.kind != KvParsed::Kind::kCommand) {
            protocol_errors_++;
            connection.skip = parsed.skip;
            connection.closing = parsed.kind == KvParsed::Kind::kClose;
            reply_ += parsed.reply;
        } else if (parsed.command.verb == KvVerb::kQuit) {
            connection.closing = true;
        } else {
            execute(parsed.command);
        }
    }
    return false;
}

void KvServer::execute(const KvCommand &command) {
    counts_.ops++;
    std::string_view answer;
    switch (command.verb) {
    case KvVerb::kGet:
    case KvVerb::kGets:
        get(command.keys, command.verb == KvVerb::kGets);
        return;
    case KvVerb::kSet:
        answer = store_.set(command.keys, command.flags, command.value)
                     ? "STORED\r\n"
                     : "SERVER_ERROR out of memory storing object\r\n";
        break;
    case KvVerb::kDelete:
        answer = store_.erase(command.keys) ? "DELETED\r\n" : "NOT_FOUND\r\n";
        break;
    case KvVerb::kVersion:
        answer = "VERSION kvbench\r\n";
        break;
    case KvVerb::kQuit:
        return;
    }
    if (!command.noreply)
        reply_ += answer;
}

void KvServer::get(std::string_view keys, bool with_cas) {
    for (std::string_view key = next_key(keys); !key.empty(); key = next_key(keys)) {
        bool hit = store_.get(key, [&](uint32_t flags, std::string_view value) {
            append_value(reply_, key, flags, value, with_cas);
        });
        (hit ? hits_ : misses_)++;
        if (hit && hits_ == flip_at_) [[unlikely]]
            reply_[reply_.size() - 3] ^= 0x10; // in front of the value's \r\n
    }
    reply_ += "END\r\n";
}

} // namespace etran::wl
