// SPDX-License-Identifier: MIT
// Copyright (c) The eTran artifact authors
//
// Command line of echobench.
#include "echobench/echo_protocol.h"
#include "echobench/echo_run.h"

namespace etran::wl {
namespace {

const char *const kDescription =
    R"(echobench - fixed-size messages over many TCP connections

DESCRIPTION
  A client keeps --outstanding messages of --size bytes under way on each of --connections
  connections; the server answers each with as many bytes (or --response-bytes). With --stream the
  client only sends, each message with one write(), as fast as the connections take it, and the
  server reports how much it has received and checked. Every byte is checked. Only plain POSIX calls
  are used, so that a preloaded TCP stack can stand in for the kernel's.)";

const char *const kExamples =
    R"(  echobench server --listen 10.0.0.2:5000 --json server.json
  echobench client --server 10.0.0.2:5000 --size 64 --connections 100 --outstanding 64 --json c.json
  echobench client --server 10.0.0.2:5000 --stream --size 65536 --json c.json)";

void add_echo_common(CLI::App &app, EchoOptions &options) {
    add_common_options(app, options.common);
    add_timing_options(app, options.common);
    app.add_option("--transport", options.common.transport, "How messages travel")
        ->check(CLI::IsMember({"tcp"}));
    app.add_flag("--batch", options.batch,
                 "Send with one write() what one read() made possible (default: one write() per "
                 "message)");
}

int run(int argc, char **argv) {
    CLI::App app(kDescription, "echobench");
    style_app(app, kExamples);
    EchoOptions options;

    CLI::App *server = app.add_subcommand("server", "Answer messages until SIGTERM");
    add_echo_common(*server, options);
    add_server_options(*server, options.server);

    CLI::App *client = app.add_subcommand("client", "Send messages and measure");
    add_echo_common(*client, options);
    add_client_options(*client, options.client, false);
    client->add_option("--size", options.message_bytes, "Bytes of a message")
        ->check(CLI::Range(1U, kEchoMaxBytes));
    client
        ->add_option("--response-bytes", options.response_bytes,
                     "Bytes of a reply; 0: as long as the message")
        ->check(CLI::Range(0U, kEchoMaxBytes));
    client->add_option("--connections", options.connections, "Connections, all threads together")
        ->check(CLI::Range(1, 60'000));
    client
        ->add_option("--outstanding", options.outstanding,
                     "Messages under way per connection at any time")
        ->check(CLI::Range(1, 65'536));
    client->add_flag("--stream,--one-way", options.stream, "Only send (bulk throughput)");

    return run_program(app, argc, argv, [&] {
        if (server->parsed())
            return run_echo_server(options, params_json(*server));
        return run_echo_client(options, params_json(*client));
    });
}

} // namespace
} // namespace etran::wl

int main(int argc, char **argv) {
    return etran::wl::run(argc, argv);
}
