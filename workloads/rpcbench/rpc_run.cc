// SPDX-License-Identifier: MIT
// Copyright (c) The eTran artifact authors
#include "rpcbench/rpc_run.h"

#include <algorithm>
#include <memory>
#include <vector>

#include <fmt/format.h>

#include "common/clock.h"
#include "common/distribution.h"
#include "common/error.h"
#include "common/serve_meter.h"
#include "common/signals.h"
#include "rpcbench/rpc_client.h"
#include "rpcbench/rpc_result.h"
#include "rpcbench/rpc_server.h"
#include "transport/transport.h"

namespace etran::wl {
namespace {

// Everything one thread owns. The parts that a role does not have stay empty. Set up by the main
// thread, used by its own thread, read by the main thread after that has ended.
struct Worker {
    std::unique_ptr<Transport> transport;
    std::unique_ptr<RpcServer> server;
    std::unique_ptr<RpcClient> client;
    ServeMeter meter;
};

using Workers = std::vector<Worker>;

Workers make_workers(const RpcOptions &options) {
    TransportOptions transport;
    transport.poll = options.common.poll_mode();
    transport.connections = options.connections;
    transport.batch = options.batch;
    Workers workers(options.common.threads);
    for (Worker &worker : workers)
        worker.transport = make_transport(options.common.transport, transport);
    Pattern::get(); // now and not at the first message
    return workers;
}

void add_servers(Workers &workers, const RpcOptions &options) {
    Address first = Address::parse(options.server.listen);
    for (uint32_t i = 0; i < workers.size(); i++) {
        Worker &worker = workers[i];
        uint64_t flip = i == 0 ? options.server.fault_flip_byte : 0; // one fault, not one each
        worker.server =
            std::make_unique<RpcServer>(*worker.transport, options.common.verify_payload, flip);
        worker.transport->listen(first.with_port_offset(i), *worker.server);
    }
}

void add_clients(Workers &workers, const RpcOptions &options, const SizeDistribution &sizes,
                 const std::vector<Address> &peers) {
    RpcLoad load;
    load.gbps = options.gbps / options.common.threads;
    load.outstanding = options.outstanding;
    load.max_outstanding = options.max_outstanding;
    load.response_bytes = options.response_bytes;
    load.drain_ns = options.client.drain_us * kNsPerUs;
    load.verify = options.common.verify_payload;
    load.dump = !options.client.dump_samples.empty();
    load.seed = options.common.seed;
    int64_t deadline = mono_ns() + options.client.connect_timeout_ms * kNsPerMs;
    for (uint32_t i = 0; i < workers.size(); i++) {
        load.thread = i;
        Worker &worker = workers[i];
        worker.client = std::make_unique<RpcClient>(*worker.transport, sizes, load,
                                                    static_cast<uint32_t>(peers.size()));
        worker.transport->connect(peers, options.client.server_ports, *worker.client, deadline);
    }
}

SizeDistribution load_sizes(const RpcOptions &options) {
    SizeTable table = options.sizes_file.empty()
                          ? parse_size_table(builtin_size_table_text(), "built-in sizes")
                          : load_size_table(options.sizes_file);
    return SizeDistribution::parse(options.workload, table, {kHeaderBytes, kMaxMessageBytes});
}

void note_server(Worker &worker, int64_t now) {
    const RpcServer::Counters &c = worker.server->counters();
    worker.meter.note(now, {c.requests, c.rx_bytes, c.tx_bytes});
}

void serve(Worker &worker) {
    int64_t now = mono_ns();
    while (!stop_requested()) {
        worker.transport->poll(worker.meter.next_deadline(now));
        now = mono_ns();
        note_server(worker, now);
    }
}

void drive(Worker &worker) {
    RpcClient &client = *worker.client;
    while (true) {
        client.run();
        if (client.finished() || stop_requested())
            break;
        worker.transport->poll(client.next_deadline());
    }
    client.conclude();
    worker.transport->close_peers();
}

// A node that leaves early would take its peers' servers away, so it serves until all peers have
// closed their connections, but not for ever. A peer may take all of its drain time, however early
// this node was done, so `deadline` lies beyond that.
void linger(Worker &worker, int64_t deadline) {
    while (!stop_requested() && worker.transport->inbound() > 0 && mono_ns() < deadline)
        worker.transport->poll(deadline);
}

struct ServerSum {
    RpcServer::Counters counters;
    ServeCounts inside;
    int64_t length = 0;
    uint64_t verified = 0;
    uint64_t protocol_errors = 0;
    std::string problem;
};

ServerSum sum_servers(const Workers &workers) {
    ServerSum sum;
    for (const Worker &worker : workers) {
        const RpcServer::Counters &c = worker.server->counters();
        sum.counters.requests += c.requests;
        sum.counters.rx_bytes += c.rx_bytes;
        sum.counters.tx_bytes += c.tx_bytes;
        sum.counters.mismatches += c.mismatches;
        ServeCounts inside = worker.meter.inside();
        sum.inside.ops += inside.ops;
        sum.inside.rx_bytes += inside.rx_bytes;
        sum.inside.tx_bytes += inside.tx_bytes;
        sum.length = std::max(sum.length, worker.meter.length());
        sum.verified += worker.server->verified();
        sum.protocol_errors += worker.transport->protocol_errors();
        if (sum.problem.empty())
            sum.problem = worker.server->first_mismatch();
    }
    if (sum.problem.empty() && sum.protocol_errors > 0)
        sum.problem = fmt::format("{} connections sent no valid message", sum.protocol_errors);
    return sum;
}

// Client results; of a node also what its server has done.
int conclude(const RpcOptions &options, const Json &params, const std::string &role,
             Workers &workers, const SizeDistribution &sizes, bool interrupted) {
    ResultHead head;
    head.bench = "rpcbench";
    head.role = role;
    head.params = params;
    std::vector<const Recorder *> recorders;
    for (Worker &worker : workers) {
        recorders.push_back(&worker.client->recorder());
        head.verified += worker.client->verified();
        head.errors += worker.client->errors();
        if (head.problem.empty())
            head.problem = worker.client->problem();
    }
    if (!options.client.dump_samples.empty())
        write_samples(recorders, rpc_class_names(sizes), options.client.dump_samples);
    Recorder total = Recorder::merged(recorders);
    head.window_ns = total.window().length();
    head.ops = total.ops();
    head.tx_bytes = total.tx_bytes();
    head.rx_bytes = total.rx_bytes();

    Json server;
    if (role == "node") {
        ServerSum sum = sum_servers(workers);
        head.errors += sum.counters.mismatches + sum.protocol_errors;
        if (head.problem.empty())
            head.problem = sum.problem;
        server["requests"] = sum.counters.requests;
        server["rx_bytes"] = sum.counters.rx_bytes;
        server["tx_bytes"] = sum.counters.tx_bytes;
        server["verified"] = sum.verified;
    }
    judge(head, !interrupted, "no RPC ended inside the window");
    Json json = head_json(head);
    add_rpc_latency(json, sizes, total);
    json["offered_gbps"] = options.gbps;
    if (role == "node")
        json["server"] = server;
    return finish_result(json, head, options.common.json);
}

int run_clients(const RpcOptions &options, const Json &params, bool node) {
    SizeDistribution sizes = load_sizes(options);
    std::vector<Address> peers = options.client.addresses();
    if (node) {
        Address self = Address::parse(options.server.listen);
        std::erase(peers, self);
        if (peers.empty())
            throw UserError("no peers besides this node", "name the other nodes with --server");
    }
    check_writable(options.common.json);
    check_writable(options.client.dump_samples);
    Workers workers = make_workers(options);
    if (node)
        add_servers(workers, options);
    add_clients(workers, options, sizes, peers);
    Window window = make_window(options.common);
    for (Worker &worker : workers)
        worker.client->start(window);
    std::vector<char> cut(workers.size());
    run_threads(options.common.threads, [&](uint32_t i) {
        drive(workers[i]);
        cut[i] = stop_requested() && !workers[i].client->window_over();
        if (node)
            linger(workers[i],
                   window.end + (options.client.drain_us + options.linger_us) * kNsPerUs);
    });
    bool interrupted = std::find(cut.begin(), cut.end(), 1) != cut.end();
    return conclude(options, params, node ? "node" : "client", workers, sizes, interrupted);
}

} // namespace

int run_rpc_server(const RpcOptions &options, const Json &params) {
    check_writable(options.common.json);
    Workers workers = make_workers(options);
    add_servers(workers, options);
    if (options.common.start_at_ns != 0) {
        Window window = make_window(options.common);
        for (Worker &worker : workers)
            worker.meter = ServeMeter(window);
    }
    run_threads(options.common.threads, [&](uint32_t i) { serve(workers[i]); });
    ServerSum sum = sum_servers(workers);
    ResultHead head;
    head.bench = "rpcbench";
    head.role = "server";
    head.params = params;
    head.window_ns = sum.length;
    head.ops = sum.inside.ops;
    head.rx_bytes = sum.inside.rx_bytes;
    head.tx_bytes = sum.inside.tx_bytes;
    head.verified = sum.verified;
    head.errors = sum.counters.mismatches + sum.protocol_errors;
    head.problem = sum.problem;
    head.state = head.errors > 0 ? State::kFailed : State::kOk;
    Json json = head_json(head);
    json["requests"] = sum.counters.requests;
    return finish_result(json, head, options.common.json);
}

int run_rpc_client(const RpcOptions &options, const Json &params) {
    return run_clients(options, params, false);
}

int run_rpc_node(const RpcOptions &options, const Json &params) {
    return run_clients(options, params, true);
}

} // namespace etran::wl
