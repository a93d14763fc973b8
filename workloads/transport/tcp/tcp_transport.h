// SPDX-License-Identifier: MIT
// Copyright (c) The eTran artifact authors
//
// RPC over TCP: framed messages on non-blocking sockets under epoll. RPCs share connections (one or
// more per peer, taken in turn) and their replies may come in any order; on one connection a
// message waits for those queued before it, as in every multiplexed RPC over a byte stream.
//
// Costs per small message: one write(), and one epoll_wait() and read() per batch received. Bodies
// are not copied here: they go from the pattern into the kernel, and are checked in the receive
// buffer.
#pragma once

#include <memory>
#include <vector>

#include "common/event_loop.h"
#include "common/slot_table.h"
#include "transport/tcp/framing.h"
#include "transport/transport.h"

namespace etran::wl {

std::unique_ptr<Transport> make_tcp_transport(const TransportOptions &options);

// Set-up is in tcp_transport.cc, sending and receiving in tcp_datapath.cc.
class TcpTransport : public Transport {
  public:
    static constexpr size_t kReceiveBytes = Pattern::kSpan; // at most this much per read()

    explicit TcpTransport(const TransportOptions &options);
    ~TcpTransport() override;

    void listen(const Address &address, ServerHandler &handler) override;
    void connect(std::span<const Address> peers, uint32_t ports, ClientHandler &handler,
                 int64_t deadline) override;
    void issue(PeerId peer, const OutMessage &request) override;
    void reply(ReplyTo to, const OutMessage &reply) override;
    void poll(int64_t deadline) override;
    void close_peers() override;
    size_t inbound() const override { return inbound_; }
    uint64_t protocol_errors() const override { return protocol_errors_; }

  private:
    struct Queued {
        OutMessage message;
        uint32_t sent; // bytes of header and body already written
    };

    struct Connection {
        int fd = -1;
        uint64_t tag = 0; // in connections_, and of its events
        PeerId peer = 0;
        bool inbound = false;
        bool lost = false;       // closed at the end of this poll()
        bool want_write = false; // EPOLLOUT is on
        bool dirty = false;      // in dirty_
        FrameParser parser;
        std::vector<Queued> queue; // messages from `head` on are waiting
        size_t head = 0;
    };

    // Connections of one peer, and whose turn it is.
    struct Peer {
        std::vector<Connection *> connections; // nullptr once lost
        uint32_t next = 0;
    };

    Connection &adopt(int fd, PeerId peer, bool inbound);
    void accept_all();
    void lose(Connection &connection, const std::string &why);
    void close_lost();

    void receive(Connection &connection);
    bool deliver(Connection &connection, const Piece &piece);
    void send(Connection &connection, const OutMessage &message);
    void flush(Connection &connection);
    void flush_dirty();
    void want_write(Connection &connection, bool on);
    static void compact(Connection &connection);

    TransportOptions options_;
    EventLoop loop_;
    ServerHandler *server_ = nullptr;
    ClientHandler *client_ = nullptr;
    int listen_fd_ = -1;
    SlotTable<Connection> connections_;
    std::vector<Peer> peers_;
    std::vector<uint64_t> dirty_; // connections with batched messages
    std::vector<uint64_t> lost_;
    std::unique_ptr<std::byte[]> receive_buffer_;
    size_t inbound_ = 0;
    uint64_t protocol_errors_ = 0;
};

} // namespace etran::wl
