// SPDX-License-Identifier: MIT
// Copyright (c) The eTran artifact authors
#include "kvbench/kv_run.h"

#include <algorithm>
#include <memory>
#include <vector>

#include <fmt/format.h>

#include "common/clock.h"
#include "common/error.h"
#include "common/pattern.h"
#include "common/signals.h"
#include "kvbench/kv_client.h"
#include "kvbench/kv_server.h"

namespace etran::wl {
namespace {

struct ServerThread {
    std::unique_ptr<KvServer> server;
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

KvLoad make_load(const KvOptions &options, uint32_t thread) {
    KvLoad load;
    load.key_bytes = options.key_bytes;
    load.value_bytes = options.value_bytes;
    load.get_share = options.get_share;
    load.outstanding = options.outstanding;
    load.rate = options.rate / options.common.threads;
    load.max_outstanding = options.max_outstanding;
    load.poll = options.common.poll_mode();
    load.verify = options.common.verify_payload;
    load.dump = !options.client.dump_samples.empty();
    load.drain_ns = options.client.drain_us * kNsPerUs;
    load.seed = options.common.seed;
    load.thread = thread;
    load.threads = options.common.threads;
    return load;
}

KeyChooser make_keys(const KvOptions &options) {
    return options.distribution == "uniform" ? KeyChooser::uniform(options.keys)
                                             : KeyChooser::zipf(options.keys, options.theta);
}

using Clients = std::vector<std::unique_ptr<KvClient>>;

// Thread i gets every threads-th connection; ports are taken in turn over all connections.
Clients connect_clients(const KvOptions &options, const KeyChooser &keys) {
    Address server = Address::parse(options.client.servers);
    if (options.connections < options.common.threads)
        throw UserError("fewer connections than threads", "raise --connections");
    int64_t deadline = mono_ns() + options.client.connect_timeout_ms * kNsPerMs;
    Clients clients;
    for (uint32_t i = 0; i < options.common.threads; i++) {
        std::vector<Address> targets;
        for (uint32_t c = i; c < options.connections; c += options.common.threads)
            targets.push_back(server.with_port_offset(c % options.client.server_ports));
        clients.push_back(std::make_unique<KvClient>(make_load(options, i), keys));
        clients.back()->connect(targets, deadline);
    }
    return clients;
}

Json latency_by_operation(const Recorder &total) {
    Histogram all;
    uint64_t missing = 0;
    for (const Recorder::Class &c : total.classes()) {
        all.merge(c.histogram);
        missing += c.missing;
    }
    Json latency = Json::array();
    latency.push_back(latency_json("all", all, missing));
    const Recorder::Class &get = total.classes()[kKvGet];
    const Recorder::Class &set = total.classes()[kKvSet];
    latency.push_back(latency_json("get", get.histogram, get.missing));
    latency.push_back(latency_json("set", set.histogram, set.missing));
    return latency;
}

} // namespace

int run_kv_server(const KvOptions &options, const Json &params) {
    check_writable(options.common.json);
    Address first = Address::parse(options.server.listen);
    KvStore store(static_cast<size_t>(options.store_mb) << 20);
    std::vector<ServerThread> threads(options.common.threads);
    for (uint32_t i = 0; i < threads.size(); i++) {
        threads[i].server =
            std::make_unique<KvServer>(first.with_port_offset(i), options.common.poll_mode(), store,
                                       i == 0 ? options.server.fault_flip_byte : 0);
        if (options.common.start_at_ns != 0)
            threads[i].meter = ServeMeter(make_window(options.common));
    }
    run_threads(options.common.threads, [&](uint32_t i) { serve(threads[i]); });

    ResultHead head;
    head.bench = "kvbench";
    head.role = "server";
    head.params = params;
    uint64_t hits = 0;
    uint64_t misses = 0;
    for (const ServerThread &thread : threads) {
        ServeCounts inside = thread.meter.inside();
        head.window_ns = std::max(head.window_ns, thread.meter.length());
        head.ops += inside.ops;
        head.rx_bytes += inside.rx_bytes;
        head.tx_bytes += inside.tx_bytes;
        head.errors += thread.server->protocol_errors();
        hits += thread.server->hits();
        misses += thread.server->misses();
    }
    if (head.errors > 0) {
        head.state = State::kFailed;
        head.problem = fmt::format("{} commands could not be understood", head.errors);
    }
    Json json = head_json(head);
    json["hits"] = hits;
    json["misses"] = misses;
    json["items"] = store.items();
    json["store_bytes"] = store.bytes();
    return finish_result(json, head, options.common.json);
}

int run_kv_client(const KvOptions &options, const Json &params) {
    check_writable(options.common.json);
    check_writable(options.client.dump_samples);
    KeyChooser keys = make_keys(options);
    Pattern::get();
    Clients clients = connect_clients(options, keys);
    if (!options.no_preload)
        run_threads(options.common.threads, [&](uint32_t i) { clients[i]->preload(); });
    Window window = make_window(options.common);
    for (const std::unique_ptr<KvClient> &client : clients)
        client->start(window);
    run_threads(options.common.threads, [&](uint32_t i) { clients[i]->run(); });

    ResultHead head;
    head.bench = "kvbench";
    head.role = "client";
    head.params = params;
    head.window_ns = window.length();
    std::vector<const Recorder *> recorders;
    uint64_t misses = 0;
    bool window_over = true;
    for (const std::unique_ptr<KvClient> &client : clients) {
        recorders.push_back(&client->recorder());
        head.verified += client->verified();
        head.errors += client->errors();
        if (head.problem.empty())
            head.problem = client->problem();
        misses += client->misses();
        window_over = window_over && client->window_over();
    }
    if (!options.client.dump_samples.empty())
        write_samples(recorders, {"get", "set"}, options.client.dump_samples);
    Recorder total = Recorder::merged(recorders);
    head.ops = total.ops();
    head.tx_bytes = total.tx_bytes();
    head.rx_bytes = total.rx_bytes();
    judge(head, window_over, "no operation ended inside the window");
    Json json = head_json(head);
    json["latency"] = latency_by_operation(total);
    json["misses"] = misses;
    json["unfinished"] = total.missing();
    json["late"] = latency_json("late", total.lateness(), 0);
    json["offered_rate"] = options.rate;
    json["sample_hash"] = total.hash();
    return finish_result(json, head, options.common.json);
}

} // namespace etran::wl
