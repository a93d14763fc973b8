// SPDX-License-Identifier: MIT
// Copyright (c) The eTran artifact authors
//
// Command line of kvbench.
#include "kvbench/kv_client.h"
#include "kvbench/kv_protocol.h"
#include "kvbench/kv_run.h"

namespace etran::wl {
namespace {

const char *const kDescription =
    R"(kvbench - a key-value store and its load generator

DESCRIPTION
  The server keeps keys and values in memory and speaks memcached's text protocol (get, gets, set,
  delete, version, quit). The client stores all keys first (unless --no-preload), then reads and
  writes keys chosen uniformly or by a Zipf distribution: in a closed loop with --outstanding
  operations under way on each of --connections connections, or with --rate in an open loop with
  Poisson arrivals. It also drives an unmodified memcached. Every byte of every value is checked.
  With several client nodes one of them stores the keys, the others say --no-preload.)";

const char *const kExamples =
    R"(  kvbench server --listen 10.0.0.2:11211 --json server.json
  kvbench client --server 10.0.0.2:11211 --connections 32 --json client.json
  kvbench client --server 10.0.0.2:11211 --connections 32 --rate 100000 --distribution uniform
  memcached -l 10.0.0.2 -p 11211 -t 1 -m 32 -u nobody; kvbench client --server 10.0.0.2:11211)";

void add_kv_common(CLI::App &app, KvOptions &options) {
    add_common_options(app, options.common);
    add_timing_options(app, options.common);
    app.add_option("--transport", options.common.transport, "How messages travel")
        ->check(CLI::IsMember({"tcp"}));
}

void add_kv_client(CLI::App &app, KvOptions &options) {
    add_client_options(app, options.client, false);
    app.add_option("--connections", options.connections, "Connections, all threads together")
        ->check(CLI::Range(1, 60'000));
    app.add_option("--outstanding", options.outstanding,
                   "Closed loop: operations under way per connection at any time")
        ->check(CLI::Range(1, 65'536));
    app.add_option("--rate", options.rate,
                   "Open loop: operations per second, all threads together; 0: closed loop")
        ->check(CLI::Range(0.0, 1e9));
    app.add_option("--max-outstanding", options.max_outstanding,
                   "Open loop: at most this many under way per thread; further arrivals wait, and "
                   "their latency counts from their arrival all the same")
        ->check(CLI::Range(1, 1'000'000));
    app.add_option("--keys", options.keys, "Number of keys")->check(CLI::Range(1, 10'000'000));
    app.add_option("--key-bytes", options.key_bytes, "Bytes of a key")
        ->check(CLI::Range(kMinKeyBytes, static_cast<uint32_t>(kMaxKeyBytes)));
    app.add_option("--value-bytes", options.value_bytes, "Bytes of a value")
        ->check(CLI::Range(1U, kMaxValueBytes));
    app.add_option("--get-share", options.get_share, "Share of GETs; the rest are SETs")
        ->check(CLI::Range(0.0, 1.0));
    app.add_option("--distribution", options.distribution, "How keys are chosen")
        ->check(CLI::IsMember({"zipf", "uniform"}));
    app.add_option("--theta", options.theta, "Exponent of the Zipf distribution")
        ->check(CLI::Range(0.0, 10.0));
    app.add_flag("--no-preload", options.no_preload, "Do not store the keys before the start");
}

int run(int argc, char **argv) {
    CLI::App app(kDescription, "kvbench");
    style_app(app, kExamples);
    KvOptions options;

    CLI::App *server = app.add_subcommand("server", "Serve until SIGTERM");
    add_kv_common(*server, options);
    add_server_options(*server, options.server);
    server->add_option("--store-mb", options.store_mb, "Refuse values beyond this many MiB")
        ->check(CLI::Range(1, 65'536));

    CLI::App *client = app.add_subcommand("client", "Generate load and measure");
    add_kv_common(*client, options);
    add_kv_client(*client, options);

    return run_program(app, argc, argv, [&] {
        if (server->parsed())
            return run_kv_server(options, params_json(*server));
        return run_kv_client(options, params_json(*client));
    });
}

} // namespace
} // namespace etran::wl

int main(int argc, char **argv) {
    return etran::wl::run(argc, argv);
}
