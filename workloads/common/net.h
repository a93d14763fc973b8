// SPDX-License-Identifier: MIT
// Copyright (c) The eTran artifact authors
//
// TCP sockets: addresses, listening, connecting with bounded retries. Only plain POSIX calls, so
// that a preloaded user-level stack can stand in for the kernel's.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <netinet/in.h>
#include <sys/socket.h>

namespace etran::wl {

// A numeric IPv4 or IPv6 address and a port. Names are not resolved: a node under test has no DNS,
// and the resolver would be loaded for nothing.
class Address {
  public:
    // "10.0.0.2:5000" or "[fe80::1]:5000". Throws UserError.
    static Address parse(std::string_view text);

    // The same host, the port increased by `offset`. Throws UserError beyond port 65535.
    Address with_port_offset(uint32_t offset) const;

    uint16_t port() const;
    std::string str() const;
    const sockaddr *raw() const { return reinterpret_cast<const sockaddr *>(&storage_); }
    socklen_t raw_length() const { return length_; }
    int family() const { return storage_.ss_family; }

    friend bool operator==(const Address &a, const Address &b) { return a.str() == b.str(); }

  private:
    sockaddr_storage storage_ = {};
    socklen_t length_ = 0;
};

// A comma-separated list. Throws UserError, also for an empty list.
std::vector<Address> parse_addresses(std::string_view text);

// A non-blocking listening socket. Throws UserError that says which address and why, with its own
// hint for a port in use. The caller owns the descriptor.
int listen_on(const Address &address);

// One non-blocking connection from a listening socket, with TCP_NODELAY, or -1 if none waits.
// The caller owns the descriptor.
int accept_from(int listen_fd);

// Opens one non-blocking connection (TCP_NODELAY) to each address, all at the same time (at most 64
// attempts under way), and returns the descriptors in the same order; the caller owns them. A
// refused or unreachable address is tried again every few milliseconds until `deadline`
// (CLOCK_MONOTONIC ns); then, or when the program is asked to stop, throws UserError and closes
// everything.
std::vector<int> connect_all(std::span<const Address> addresses, int64_t deadline);

} // namespace etran::wl
