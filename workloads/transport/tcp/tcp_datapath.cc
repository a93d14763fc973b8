// SPDX-License-Identifier: MIT
// Copyright (c) The eTran artifact authors
//
// Sending and receiving. Runs once or more per message: no allocation in the steady state.
#include "transport/tcp/tcp_transport.h"

#include <array>
#include <cerrno>
#include <cstring>

#include <sys/uio.h>
#include <unistd.h>

namespace etran::wl {
namespace {

// A body up to this size is copied behind its header, because one write() from one buffer is
// cheaper than a writev() of two.
constexpr uint32_t kInlineBytes = 512;
constexpr size_t kStageBytes = 16 * 1024;
constexpr size_t kMaxIov = 64;
constexpr int kMaxReads = 8; // per connection and poll(), so that one cannot starve the others

bool would_block(int error) {
    return error == EAGAIN || error == EWOULDBLOCK || error == EINTR;
}

// Header and body of one message without its first `skip` bytes. Returns the number of entries (at
// most 3).
size_t scatter(const MessageHeader &header, const Body &body, uint32_t skip, iovec *iov) {
    size_t n = 0;
    auto add = [&](const std::byte *data, size_t length) {
        if (skip >= length) {
            skip -= static_cast<uint32_t>(length);
            return;
        }
        // iovec has no const; the kernel only reads.
        iov[n].iov_base = const_cast<std::byte *>(data + skip);
        iov[n].iov_len = length - skip;
        skip = 0;
        n++;
    };
    add(reinterpret_cast<const std::byte *>(&header), kHeaderBytes);
    add(body.parts[0].data(), body.parts[0].size());
    add(body.parts[1].data(), body.parts[1].size());
    return n;
}

// Whether the message may be copied into one piece of kHeaderBytes + kInlineBytes.
bool small(const OutMessage &message) {
    return message.header.body_length() <= kInlineBytes && message.body.parts[1].empty();
}

void copy_small(const OutMessage &message, std::byte *to) {
    std::memcpy(to, &message.header, kHeaderBytes);
    const std::span<const std::byte> &body = message.body.parts[0];
    if (!body.empty())
        std::memcpy(to + kHeaderBytes, body.data(), body.size());
}

} // namespace

void TcpTransport::issue(PeerId peer, const OutMessage &request) {
    if (peer >= peers_.size())
        return;
    Peer &p = peers_[peer];
    Connection *connection = p.connections[p.next];
    p.next = p.next + 1 == p.connections.size() ? 0 : p.next + 1;
    if (connection != nullptr) // otherwise the loss has been reported
        send(*connection, request);
}

void TcpTransport::reply(ReplyTo to, const OutMessage &reply) {
    Connection *connection = connections_.find(to.token);
    if (connection != nullptr && !connection->lost)
        send(*connection, reply);
}

void TcpTransport::send(Connection &connection, const OutMessage &message) {
    if (options_.batch || connection.head != connection.queue.size()) {
        connection.queue.push_back({message, 0});
        if (options_.batch && !connection.dirty) {
            connection.dirty = true;
            dirty_.push_back(connection.tag);
        }
        return;
    }
    ssize_t written = 0;
    if (small(message)) {
        std::array<std::byte, kHeaderBytes + kInlineBytes> buffer;
        copy_small(message, buffer.data());
        written = write(connection.fd, buffer.data(), message.header.length);
    } else {
        std::array<iovec, 3> iov;
        size_t n = scatter(message.header, message.body, 0, iov.data());
        written = writev(connection.fd, iov.data(), static_cast<int>(n));
    }
    if (written == static_cast<ssize_t>(message.header.length))
        return;
    if (written < 0) {
        if (!would_block(errno)) {
            lose(connection, std::strerror(errno));
            return;
        }
        written = 0;
    }
    connection.queue.push_back({message, static_cast<uint32_t>(written)});
    want_write(connection, true);
}

void TcpTransport::flush(Connection &connection) {
    alignas(64) std::array<std::byte, kStageBytes> stage;
    while (!connection.lost && connection.head < connection.queue.size()) {
        std::array<iovec, kMaxIov> iov;
        size_t entries = 0;
        size_t staged = 0;
        bool extend = false; // the last entry ends where the stage's free space begins
        for (size_t i = connection.head; i < connection.queue.size() && entries + 3 <= kMaxIov;
             i++) {
            const Queued &queued = connection.queue[i];
            uint32_t length = queued.message.header.length;
            if (queued.sent == 0 && small(queued.message) && staged + length <= kStageBytes) {
                copy_small(queued.message, stage.data() + staged);
                if (extend)
                    iov[entries - 1].iov_len += length;
                else
                    iov[entries++] = {stage.data() + staged, length};
                staged += length;
                extend = true;
                continue;
            }
            extend = false;
            entries += scatter(queued.message.header, queued.message.body, queued.sent,
                               iov.data() + entries);
        }
        ssize_t written = entries == 1
                              ? write(connection.fd, iov[0].iov_base, iov[0].iov_len)
                              : writev(connection.fd, iov.data(), static_cast<int>(entries));
        if (written < 0) {
            if (would_block(errno)) {
                compact(connection);
                want_write(connection, true);
                return;
            }
            lose(connection, std::strerror(errno));
            return;
        }
        auto left = static_cast<size_t>(written);
        while (left > 0) {
            Queued &queued = connection.queue[connection.head];
            size_t rest = queued.message.header.length - queued.sent;
            if (left < rest) {
                queued.sent += static_cast<uint32_t>(left);
                break;
            }
            left -= rest;
            connection.head++;
        }
    }
    connection.queue.clear();
    connection.head = 0;
    want_write(connection, false);
}

// Frees the sent part of a queue that never gets empty.
void TcpTransport::compact(Connection &connection) {
    std::vector<Queued> &queue = connection.queue;
    if (connection.head < 256 || connection.head < queue.size() / 2)
        return;
    queue.erase(queue.begin(), queue.begin() + static_cast<std::ptrdiff_t>(connection.head));
    connection.head = 0;
}

void TcpTransport::want_write(Connection &connection, bool on) {
    if (connection.want_write == on || connection.lost)
        return;
    connection.want_write = on;
    uint32_t events = EPOLLIN | EPOLLRDHUP | (on ? static_cast<uint32_t>(EPOLLOUT) : 0);
    loop_.modify(connection.fd, events, connection.tag);
}

void TcpTransport::receive(Connection &connection) {
    for (int i = 0; i < kMaxReads && !connection.lost; i++) {
        ssize_t n = read(connection.fd, receive_buffer_.get(), kReceiveBytes);
        if (n < 0) {
            if (!would_block(errno))
                lose(connection, std::strerror(errno));
            return;
        }
        if (n == 0) {
            lose(connection, connection.parser.between_messages()
                                 ? "closed by the peer"
                                 : "closed by the peer in the middle of a message");
            return;
        }
        auto length = static_cast<size_t>(n);
        FrameParser::Result result =
            connection.parser.feed({receive_buffer_.get(), length},
                                   [&](const Piece &piece) { return deliver(connection, piece); });
        if (result == FrameParser::Result::kInvalid) {
            protocol_errors_++;
            lose(connection, "sent something that is no message");
            return;
        }
        if (length < kReceiveBytes)
            return;
    }
}

// Whether the connection is still wanted.
bool TcpTransport::deliver(Connection &connection, const Piece &piece) {
    MessageType expected = connection.inbound ? MessageType::kRequest : MessageType::kReply;
    if (piece.header.type() != expected) {
        protocol_errors_++;
        lose(connection, "sent a message of the wrong type");
        return false;
    }
    if (connection.inbound)
        server_->on_request({connection.tag}, piece);
    else
        client_->on_reply(connection.peer, piece);
    return !connection.lost;
}

} // namespace etran::wl
