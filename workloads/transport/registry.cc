// SPDX-License-Identifier: MIT
// Copyright (c) The eTran artifact authors
#include <array>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "common/error.h"
#include "transport/tcp/tcp_transport.h"
#include "transport/transport.h"

namespace etran::wl {
namespace {

struct Entry {
    std::string_view name;
    std::unique_ptr<Transport> (*make)(const TransportOptions &options);
};

// To add a transport: see transport.h.
constexpr std::array kTransports = {
    Entry{"tcp", make_tcp_transport},
};

} // namespace

std::unique_ptr<Transport> make_transport(std::string_view name, const TransportOptions &options) {
    for (const Entry &entry : kTransports) {
        if (entry.name == name)
            return entry.make(options);
    }
    throw UserError(fmt::format("unknown transport '{}'", name),
                    fmt::format("known transports: {}", fmt::join(transport_names(), ", ")));
}

std::vector<std::string> transport_names() {
    std::vector<std::string> names;
    for (const Entry &entry : kTransports)
        names.emplace_back(entry.name);
    return names;
}

} // namespace etran::wl
