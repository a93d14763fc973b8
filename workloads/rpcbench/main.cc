// SPDX-License-Identifier: MIT
// Copyright (c) The eTran artifact authors
//
// Command line of rpcbench.
#include <functional>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "rpcbench/rpc_run.h"
#include "transport/transport.h"

namespace etran::wl {
namespace {

const char *const kDescription =
    R"(rpcbench - remote procedure calls of many sizes over a chosen transport

DESCRIPTION
  A client sends requests and measures the time until the whole reply has arrived. Without --gbps
  the loop is closed: each thread keeps --outstanding RPCs under way. With --gbps it is open:
  requests arrive as a Poisson process whose mean rate makes that many Gbit/s of request bytes,
  whether or not earlier ones were answered. Every byte of requests and replies is checked.
  A message's size includes its 24-byte header; shorter sizes of a workload are raised to 24.)";

const char *const kExamples =
    R"(  rpcbench server --listen 10.0.0.2:5000 --json server.json
  rpcbench client --server 10.0.0.2:5000 --workload fixed:32 --json client.json
  rpcbench client --server 10.0.0.2:5000,10.0.0.3:5000 --workload w3 --gbps 7 --json client.json
  rpcbench node --listen 10.0.0.1:5000 --server 10.0.0.2:5000,10.0.0.3:5000 --workload w4 --gbps 10)";

void add_rpc_common(CLI::App &app, RpcOptions &options) {
    add_common_options(app, options.common);
    add_timing_options(app, options.common);
    app.add_option("--transport", options.common.transport, "How messages travel")
        ->check(CLI::IsMember(transport_names()));
    app.add_flag("--batch", options.batch,
                 "Send together what one turn of the event loop produced (default: one write per "
                 "message)");
}

void add_rpc_client(CLI::App &app, RpcOptions &options) {
    add_client_options(app, options.client, true);
    app.add_option("--workload", options.workload,
                   "Message sizes: w1 to w5 (the Homa paper's distributions) or fixed:BYTES");
    app.add_option("--sizes-file", options.sizes_file,
                   "Read the distributions from this CSV file instead of the built-in one")
        ->type_name("FILE");
    app.add_option("--gbps", options.gbps,
                   "Open loop at this rate of request bytes, all threads together; 0: closed loop")
        ->check(CLI::Range(0.0, 1000.0));
    app.add_option("--outstanding", options.outstanding,
                   "Closed loop: RPCs under way per thread at any time")
        ->check(CLI::Range(1, 1'000'000));
    app.add_option("--max-outstanding", options.max_outstanding,
                   "Open loop: at most this many under way per thread; further arrivals wait, and "
                   "their latency counts from their arrival all the same")
        ->check(CLI::Range(1, 1'000'000));
    app.add_option("--response-bytes", options.response_bytes,
                   "Size of each reply; 0: as long as its request")
        ->check(CLI::IsMember({0}) | CLI::Range(kHeaderBytes, kMaxMessageBytes));
    app.add_option("--connections", options.connections,
                   "Connections per server and thread; RPCs take them in turn")
        ->check(CLI::Range(1, 4096));
}

int run(int argc, char **argv) {
    CLI::App app(kDescription, "rpcbench");
    style_app(app, kExamples);
    RpcOptions options;

    CLI::App *server = app.add_subcommand("server", "Answer requests until SIGTERM");
    add_rpc_common(*server, options);
    add_server_options(*server, options.server);

    CLI::App *client = app.add_subcommand("client", "Send requests and measure");
    add_rpc_common(*client, options);
    add_rpc_client(*client, options);

    CLI::App *node = app.add_subcommand(
        "node", "Be client and server in one process (each thread does both), for all-to-all load");
    add_rpc_common(*node, options);
    add_server_options(*node, options.server);
    add_rpc_client(*node, options);
    node->add_option("--linger-us", options.linger_us,
                     "After the drain time, serve at most this long until all peers are done");

    return run_program(app, argc, argv, [&] {
        if (server->parsed())
            return run_rpc_server(options, params_json(*server));
        if (client->parsed())
            return run_rpc_client(options, params_json(*client));
        return run_rpc_node(options, params_json(*node));
    });
}

} // namespace
} // namespace etran::wl

int main(int argc, char **argv) {
    return etran::wl::run(argc, argv);
}
