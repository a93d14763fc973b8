// SPDX-License-Identifier: MIT
// Copyright (c) The eTran artifact authors
//
// Opening and closing connections. The data path is in tcp_datapath.cc.
#include "transport/tcp/tcp_transport.h"

#include <algorithm>
#include <array>

#include <unistd.h>

#include "common/error.h"

namespace etran::wl {

namespace {
constexpr uint64_t kListenTag = EventLoop::kMaxTag;
} // namespace

std::unique_ptr<Transport> make_tcp_transport(const TransportOptions &options) {
    return std::make_unique<TcpTransport>(options);
}

TcpTransport::TcpTransport(const TransportOptions &options)
    : options_(options), loop_(options.poll),
      receive_buffer_(std::make_unique_for_overwrite<std::byte[]>(kReceiveBytes)) {}

TcpTransport::~TcpTransport() {
    connections_.for_each([](Connection &connection) { close(connection.fd); });
    if (listen_fd_ >= 0)
        close(listen_fd_);
}

void TcpTransport::listen(const Address &address, ServerHandler &handler) {
    listen_fd_ = listen_on(address);
    server_ = &handler;
    loop_.add(listen_fd_, EPOLLIN, kListenTag);
}

void TcpTransport::connect(std::span<const Address> peers, uint32_t ports, ClientHandler &handler,
                           int64_t deadline) {
    std::vector<Address> targets;
    for (const Address &peer : peers) {
        for (uint32_t i = 0; i < options_.connections; i++)
            targets.push_back(peer.with_port_offset(i % ports));
    }
    std::vector<int> fds = connect_all(targets, deadline);
    client_ = &handler;
    peers_.resize(peers.size());
    for (size_t i = 0; i < fds.size(); i++) {
        auto peer = static_cast<PeerId>(i / options_.connections);
        peers_[peer].connections.push_back(&adopt(fds[i], peer, false));
    }
}

TcpTransport::Connection &TcpTransport::adopt(int fd, PeerId peer, bool inbound) {
    auto owned = std::make_unique<Connection>();
    Connection &connection = *owned;
    connection.fd = fd;
    connection.peer = peer;
    connection.inbound = inbound;
    connection.tag = connections_.insert(std::move(owned));
    inbound_ += inbound ? 1 : 0;
    loop_.add(fd, EPOLLIN | EPOLLRDHUP, connection.tag);
    return connection;
}

void TcpTransport::accept_all() {
    while (true) {
        int fd = accept_from(listen_fd_);
        if (fd < 0)
            return;
        adopt(fd, 0, true);
    }
}

void TcpTransport::lose(Connection &connection, const std::string &why) {
    if (connection.lost)
        return;
    connection.lost = true;
    lost_.push_back(connection.tag);
    if (connection.inbound)
        return;
    std::replace(peers_[connection.peer].connections.begin(),
                 peers_[connection.peer].connections.end(), &connection,
                 static_cast<Connection *>(nullptr));
    client_->on_peer_lost(connection.peer, why);
}

void TcpTransport::close_lost() {
    for (uint64_t tag : lost_) {
        Connection &connection = *connections_.find(tag);
        inbound_ -= connection.inbound ? 1 : 0;
        close(connection.fd);
        connections_.erase(tag);
    }
    lost_.clear();
}

void TcpTransport::close_peers() {
    for (Peer &peer : peers_) {
        for (Connection *connection : peer.connections) {
            if (connection != nullptr) {
                connection->lost = true;
                lost_.push_back(connection->tag);
            }
        }
    }
    peers_.clear();
    close_lost();
}

void TcpTransport::flush_dirty() {
    for (uint64_t tag : dirty_) {
        Connection *connection = connections_.find(tag);
        if (connection == nullptr)
            continue;
        connection->dirty = false;
        flush(*connection);
    }
    dirty_.clear();
}

void TcpTransport::poll(int64_t deadline) {
    if (!dirty_.empty())
        flush_dirty(); // what was sent since the last call
    std::array<epoll_event, 64> events;
    int n = loop_.wait(events, deadline);
    for (int i = 0; i < n; i++) {
        const epoll_event &event = events[static_cast<size_t>(i)];
        if (event.data.u64 == kListenTag) {
            accept_all();
            continue;
        }
        Connection *connection = connections_.find(event.data.u64);
        if (connection == nullptr || connection->lost)
            continue;
        if (event.events & EPOLLOUT)
            flush(*connection);
        if (event.events & ~static_cast<uint32_t>(EPOLLOUT))
            receive(*connection);
    }
    if (!dirty_.empty())
        flush_dirty();
    if (!lost_.empty())
        close_lost();
}

} // namespace etran::wl
