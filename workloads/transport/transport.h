// SPDX-License-Identifier: MIT
// Copyright (c) The eTran artifact authors
//
// The one interface behind which transports live: message-oriented remote procedure calls.
//
// To add a transport "foo":
//   1. transport/foo/foo_transport.{h,cc}: a class that implements Transport;
//   2. a line in kTransports in transport/registry.cc;
//   3. its sources in workloads/CMakeLists.txt, and a case in test_end_to_end.py.
// The interface was cut so that a socket API with its own messages fits too, such as Homa's:
// issue() and reply() are one sendmsg() with the header and the body's parts as its iovec;
// MessageHeader::id travels as the completion cookie; ReplyTo holds the kernel's RPC id and an
// index of the source address; a received message is delivered as one Piece per buffer page, and
// its pages go back with the next recvmsg(). POSIX stacks that are preloaded need no new transport:
// `tcp` uses only plain POSIX calls.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "common/event_loop.h"
#include "common/net.h"
#include "common/pattern.h"
#include "transport/message.h"

namespace etran::wl {

// A part of a received message. `data` is valid during the callback only.
struct Piece {
    const MessageHeader &header;     // checked by valid_header()
    uint32_t offset;                 // of `data` in the body
    std::span<const std::byte> data; // may be empty (a message without body)
    bool last;                       // the message ends here
};

struct OutMessage {
    MessageHeader header;
    Body body; // must outlive the transport; its size is header.body_length()
};

using PeerId = uint32_t;

// Names the request that a reply answers. Opaque; may be kept and used once, at any time later.
struct ReplyTo {
    uint64_t token = 0;
};

// Callbacks run inside Transport::poll(), on its thread, and may call issue() and reply(), but not
// poll(). (on_peer_lost() may also run inside issue().) The pieces of one message come in order;
// pieces of different messages may interleave.
class ClientHandler {
  public:
    virtual ~ClientHandler() = default;
    virtual void on_reply(PeerId peer, const Piece &piece) = 0;
    // RPCs to this peer may never be answered. May come several times.
    virtual void on_peer_lost(PeerId peer, const std::string &why) = 0;
};

class ServerHandler {
  public:
    virtual ~ServerHandler() = default;
    virtual void on_request(ReplyTo from, const Piece &piece) = 0;
};

struct TransportOptions {
    PollMode poll = PollMode::kSleep;
    uint32_t connections = 1; // per peer; used in turn
    bool batch = false;       // send what one poll() produced together, not message by message
};

// All functions from one thread (a program with several threads has one transport in each).
// Set-up functions throw UserError; the others never throw.
class Transport {
  public:
    virtual ~Transport() = default;

    // Server side. Requests are taken from now on, whenever poll() runs.
    virtual void listen(const Address &address, ServerHandler &handler) = 0;

    // Client side: opens what is needed to reach all peers, in this order: PeerId is the index.
    // Each peer listens on `ports` consecutive ports. Tries until `deadline` (CLOCK_MONOTONIC ns).
    virtual void connect(std::span<const Address> peers, uint32_t ports, ClientHandler &handler,
                         int64_t deadline) = 0;

    // Sends a request. Never blocks: what the network does not take now waits inside.
    virtual void issue(PeerId peer, const OutMessage &request) = 0;

    // Sends a reply. Silently nothing if the client is gone.
    virtual void reply(ReplyTo to, const OutMessage &reply) = 0;

    // Waits for events until `deadline` (CLOCK_MONOTONIC ns; 0 = only look), runs callbacks for
    // them and returns, at the latest when the program is asked to stop. One pass only.
    virtual void poll(int64_t deadline) = 0;

    // Ends the client side: peers see that no more requests come.
    virtual void close_peers() = 0;

    // Clients that are connected to the server side now. A transport without connections: 0.
    virtual size_t inbound() const = 0;

    // Inbound traffic that was no valid message, since the start.
    virtual uint64_t protocol_errors() const = 0;
};

// Throws UserError that lists the known names.
std::unique_ptr<Transport> make_transport(std::string_view name, const TransportOptions &options);

std::vector<std::string> transport_names();

} // namespace etran::wl
