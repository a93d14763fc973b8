// SPDX-License-Identifier: MIT
// Copyright (c) The eTran artifact authors
#include "echobench/echo_run.h"

#include <algorithm>
#include <memory>
#include <vector>

#include "common/clock.h"
#include "common/error.h"
#include "common/signals.h"
#include "echobench/echo_client.h"
#include "echobench/echo_server.h"

namespace etran::wl {
namespace {

struct ServerThread {
    std::unique_ptr<EchoServer> server;
    ServeMeter meter;
};

void serve(ServerThread &thread) {
    int64_t now = mono_ns();
    while (!stop_requested()) {
        thread.server->poll(thread.meter.next_deadline(now));
        now = mono_ns();
        thread.meter.note(now, thread.server->counts());
    }
}

// Thread i gets every threads-th connection; ports are taken in turn over all connections.
std::vector<Address> thread_targets(const EchoOptions &options, const Address &server,
                                    uint32_t thread) {
    std::vector<Address> targets;
    for (uint32_t c = thread; c < options.connections; c += options.common.threads)
        targets.push_back(server.with_port_offset(c % options.client.server_ports));
    return targets;
}

EchoLoad make_load(const EchoOptions &options) {
    EchoLoad load;
    load.mode = options.stream ? EchoMode::kStream : EchoMode::kEcho;
    load.message_bytes = options.message_bytes;
    load.reply_bytes = options.response_bytes == 0 ? options.message_bytes : options.response_bytes;
    load.outstanding = options.outstanding;
    load.batch = options.batch;
    load.poll = options.common.poll_mode();
    load.verify = options.common.verify_payload;
    load.dump = !options.client.dump_samples.empty();
    load.drain_ns = options.client.drain_us * kNsPerUs;
    load.seed = options.common.seed;
    return load;
}

} // namespace

int run_echo_server(const EchoOptions &options, const Json &params) {
    check_writable(options.common.json);
    EchoServerOptions server_options;
    server_options.poll = options.common.poll_mode();
    server_options.verify = options.common.verify_payload;
    server_options.batch = options.batch;
    Address first = Address::parse(options.server.listen);
    std::vector<ServerThread> threads(options.common.threads);
    Pattern::get(); // now and not at the first message
    for (uint32_t i = 0; i < threads.size(); i++) {
        server_options.flip_at = i == 0 ? options.server.fault_flip_byte : 0;
        threads[i].server = std::make_unique<EchoServer>(first.with_port_offset(i), server_options);
        if (options.common.start_at_ns != 0)
            threads[i].meter = ServeMeter(make_window(options.common));
    }
    run_threads(options.common.threads, [&](uint32_t i) { serve(threads[i]); });

    ResultHead head;
    head.bench = "echobench";
    head.role = "server";
    head.params = params;
    for (const ServerThread &thread : threads) {
        ServeCounts inside = thread.meter.inside();
        head.window_ns = std::max(head.window_ns, thread.meter.length());
        head.ops += inside.ops;
        head.rx_bytes += inside.rx_bytes;
        head.tx_bytes += inside.tx_bytes;
        head.verified += thread.server->verified();
        head.errors += thread.server->mismatches() + thread.server->protocol_errors();
        if (head.problem.empty())
            head.problem = thread.server->problem();
    }
    head.state = head.errors > 0 ? State::kFailed : State::kOk;
    return finish_result(head_json(head), head, options.common.json);
}

int run_echo_client(const EchoOptions &options, const Json &params) {
    check_writable(options.common.json);
    check_writable(options.client.dump_samples);
    Address server = Address::parse(options.client.servers);
    if (options.connections < options.common.threads)
        throw UserError("fewer connections than threads", "raise --connections");
    Pattern::get();
    std::vector<std::unique_ptr<EchoClient>> clients;
    int64_t deadline = mono_ns() + options.client.connect_timeout_ms * kNsPerMs;
    uint32_t id = 0;
    for (uint32_t i = 0; i < options.common.threads; i++) {
        std::vector<Address> targets = thread_targets(options, server, i);
        clients.push_back(std::make_unique<EchoClient>(make_load(options)));
        clients.back()->connect(targets, id, deadline);
        id += static_cast<uint32_t>(targets.size());
    }
    Window window = make_window(options.common);
    for (const std::unique_ptr<EchoClient> &client : clients)
        client->start(window);
    run_threads(options.common.threads, [&](uint32_t i) { clients[i]->run(); });

    ResultHead head;
    head.bench = "echobench";
    head.role = "client";
    head.params = params;
    head.window_ns = window.length();
    std::vector<const Recorder *> recorders;
    std::vector<uint64_t> per_connection;
    uint64_t confirmed = 0;
    uint64_t unconfirmed = 0;
    bool window_over = true;
    for (const std::unique_ptr<EchoClient> &client : clients) {
        recorders.push_back(&client->recorder());
        head.verified += client->verified();
        head.errors += client->errors();
        if (head.problem.empty())
            head.problem = client->problem();
        window_over = window_over && client->window_over();
        std::vector<uint64_t> counts = client->per_connection();
        per_connection.insert(per_connection.end(), counts.begin(), counts.end());
        if (options.stream) {
            confirmed += client->confirmed_in_window();
            unconfirmed += client->unconfirmed();
        }
    }
    if (!options.client.dump_samples.empty())
        write_samples(recorders, {"echo"}, options.client.dump_samples);
    Recorder total = Recorder::merged(recorders);
    head.ops = options.stream ? confirmed / options.message_bytes : total.ops();
    head.tx_bytes = options.stream ? confirmed : total.tx_bytes();
    head.rx_bytes = total.rx_bytes();
    if (options.stream && options.common.verify_payload)
        head.verified = head.ops;
    judge(head, window_over, "no message was answered inside the window");
    Json json = head_json(head);
    json["latency"] = Json::array();
    if (!options.stream)
        json["latency"].push_back(latency_json("all", total.classes()[0].histogram, 0));
    json["sample_hash"] = total.hash();
    std::sort(per_connection.begin(), per_connection.end());
    json["per_connection_ops"] = {{"min", per_connection.front()},
                                  {"p50", per_connection[per_connection.size() / 2]},
                                  {"max", per_connection.back()}};
    if (options.stream)
        json["unconfirmed_bytes"] = unconfirmed;
    return finish_result(json, head, options.common.json);
}

} // namespace etran::wl
