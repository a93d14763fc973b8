/* SPDX-License-Identifier: MIT
 * Copyright (c) The eTran artifact authors
 */
#include "test_nodes.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <thread>

namespace etran_test {

Node::Node(const NodeSpec &spec) : spec_(spec), rng_(spec.seed * 1000 + spec.id) {}

void Node::note(uint64_t v) {
    for (int i = 0; i < 8; i++) {
        trace_ ^= v >> 8 * i & 0xff;
        trace_ *= 0x100000001b3;
    }
}

Bytes Node::message(uint32_t to, uint32_t len) {
    FrameSpec f;
    f.dst = to == spec_.nodes ? kBroadcast : node_mac(to);
    f.src = node_mac(spec_.id);
    f.dscp = static_cast<uint8_t>(rng_() % 64);
    f.ecn = static_cast<uint8_t>(rng_() % 4);
    f.version = rng_() % 4 ? 4 : 6;
    f.len = len;
    f.tag = ++sent_ << 8 | spec_.id;
    return make_frame(f);
}

std::vector<Bytes> Node::on_frame(int64_t now, const uint8_t *data, uint32_t len) {
    std::vector<Bytes> out;
    uint64_t h = len;
    for (uint32_t i = 0; i < len; i++)
        h = h * 31 + data[i];
    note(static_cast<uint64_t>(now));
    note(h);
    received_++;
    if (idle_) // an interrupt: it runs at once
        next_run_ = now;
    if (data[0] & 1)
        return out;
    if (static_cast<int>(rng_() % 100) < spec_.load)
        out.push_back(message(data[11] - 1u, 60 + static_cast<uint32_t>(rng_() % 300)));
    return out;
}

std::vector<Bytes> Node::run(int64_t now) {
    std::vector<Bytes> out;
    note(static_cast<uint64_t>(now) ^ 0x5555);
    if (static_cast<int>(rng_() % 100) < spec_.load) {
        uint64_t burst = 1 + rng_() % 6;
        uint32_t to = static_cast<uint32_t>(rng_() % 20 ? rng_() % spec_.nodes : spec_.nodes);
        for (uint64_t i = 0; i < burst; i++)
            out.push_back(message(to, 60 + static_cast<uint32_t>(rng_() % 1450)));
    }
    idle_ = rng_() % 3 != 0;
    uint64_t scale = rng_() % 10 == 0 ? 30000 : idle_ ? 8000 : 2000;
    next_run_ = now + 1 + static_cast<int64_t>(rng_() % scale);
    if (idle_ && !spec_.restless && rng_() % 5 == 0)
        next_run_ = VT_NEVER_NS; // only a frame, or the end, wakes it
    return out;
}

namespace {

/* What a node has handed to its driver and the MAC has not taken yet. */
struct SendQueue {
    std::deque<Bytes> frames;
    int64_t retry_at = VT_NEVER_NS;

    void add(std::vector<Bytes> &&more) {
        for (Bytes &b : more)
            frames.push_back(std::move(b));
    }

    /* A MAC that has refused a frame is left alone until it said. */
    bool waits(int64_t now) const { return retry_at != VT_NEVER_NS && now < retry_at; }
};

/* Gives frames to the MAC until it has enough. False: broken. */
bool flush(vt_vm *vm, SendQueue &q, int64_t now) {
    if (q.waits(now))
        return true;
    q.retry_at = VT_NEVER_NS;
    while (!q.frames.empty()) {
        const Bytes &f = q.frames.front();
        vt_status s = vt_send(vm, f.data(), static_cast<uint32_t>(f.size()), now, &q.retry_at);
        if (s == VT_BUSY)
            return q.retry_at > now;
        if (s != VT_OK)
            return false;
        q.frames.pop_front();
        q.retry_at = VT_NEVER_NS;
    }
    return true;
}

} // namespace

NodeResult run_node(vt_vm *vm, const NodeSpec &spec, const HostSpec &host) {
    std::mt19937_64 rng(host.seed * 77 + spec.id);
    auto percent = [&rng](int p) { return p && static_cast<int>(rng() % 100) < p; };
    Node node(spec);
    SendQueue queue;
    int64_t now = 0, next = 0;
    vt_frame f;
    vt_status s = vt_join(vm, -1);

    while (s == VT_OK) {
        if (percent(host.yield_percent))
            std::this_thread::yield();
        if ((s = vt_report(vm, now, -1, &next)) != VT_OK)
            break;
        if (next <= now)
            return {0, 0, "vt_report does not let time pass"};
        while (vt_peek(vm, &f) && f.at <= now) {
            if (f.at != now)
                return {0, 0, fmt::format("frame for {} is taken at {}", f.at, now)};
            queue.add(node.on_frame(now, f.data, f.len));
            vt_pop(vm);
        }
        if (now >= spec.end_ns)
            break;
        if (now >= node.next_run())
            queue.add(node.run(now));
        if (!flush(vm, queue, now)) {
            s = VT_BROKEN;
            break;
        }
        int64_t timer = std::min({node.next_run(), queue.retry_at, spec.end_ns});
        if (node.idle()) {
            int64_t wake;
            s = vt_idle(vm, now, timer, host.cancel_percent ? 0 : -1, &wake);
            while (s == VT_AGAIN && !percent(host.cancel_percent))
                s = vt_idle(vm, now, timer, 1000, &wake);
            if (s == VT_AGAIN) {
                s = vt_idle_cancel(vm, &wake);
                node.interrupt(wake);
            }
            if (s == VT_OK && (wake < now || wake > timer))
                return {0, 0, fmt::format("idle from {} to {} gives {}", now, timer, wake)};
            now = wake;
            continue;
        }
        int64_t stop = std::min({timer, next, vt_next_frame(vm)});
        if (percent(host.shorter_percent))
            stop = now + static_cast<int64_t>(rng() % static_cast<uint64_t>(stop - now + 1));
        now = stop;
    }
    if (s == VT_OK)
        s = vt_leave(vm, now, -1);
    NodeResult r{node.trace(), node.received(), {}};
    if (s != VT_OK)
        r.error = vt_error(vm);
    return r;
}

std::vector<NodeResult> run_parallel(const std::string &path, const std::vector<NodeSpec> &specs,
                                     const HostSpec &host) {
    std::vector<NodeResult> results(specs.size());
    std::vector<std::thread> threads;
    threads.reserve(specs.size());
    for (const NodeSpec &spec : specs) {
        threads.emplace_back([&results, &path, &host, spec] {
            char err[300] = "";
            vt_vm *vm = vt_attach(path.c_str(), spec.id, host.sync_ns, err, sizeof(err));
            if (!vm) {
                results[spec.id].error = err;
                return;
            }
            results[spec.id] = run_node(vm, spec, host);
            vt_detach(vm);
        });
    }
    for (std::thread &t : threads)
        t.join();
    return results;
}

namespace {

/* The world of run_sequential(). */
class World {
  public:
    World(const tor_config &cfg, int64_t backlog_ns, const std::vector<NodeSpec> &specs)
        : cfg_(cfg), backlog_ps_(backlog_ns * TOR_NS), mem_(new uint64_t[tor_size(&cfg) / 8 + 1]) {
        tor_init(&switch_, mem_.get(), tor_size(&cfg), &cfg_);
        hosts_.reserve(specs.size());
        for (const NodeSpec &spec : specs)
            hosts_.emplace_back(spec);
    }

    std::vector<NodeResult> run() {
        for (;;) {
            int64_t now = VT_NEVER_NS;
            for (Host &h : hosts_)
                now = std::min(now, next_event(h));
            if (now == VT_NEVER_NS)
                break;
            if (advance_switch(now * TOR_NS))
                continue; // a frame comes earlier than that
            for (Host &h : hosts_) {
                if (next_event(h) == now)
                    step(h, now);
            }
        }
        advance_switch(TOR_TIME_INF);
        std::vector<NodeResult> results;
        results.reserve(hosts_.size());
        for (Host &h : hosts_)
            results.push_back({h.node.trace(), h.node.received(), {}});
        return results;
    }

    tor_counters counters(uint32_t port) {
        tor_counters c;
        tor_get_counters(&switch_, port, &c);
        return c;
    }

  private:
    struct Arrival {
        int64_t at; // ns at a node, ps at the switch
        Bytes frame;
    };
    struct Host {
        explicit Host(const NodeSpec &spec) : node(spec) {}
        Node node;
        bool left = false;
        SendQueue queue;
        int64_t mac_busy = 0;       // ps
        std::deque<Arrival> sent;   // on the way to the switch
        std::deque<Arrival> coming; // on the way from the switch
    };

    int64_t next_event(const Host &h) const {
        if (h.left)
            return VT_NEVER_NS;
        int64_t t = std::min({h.node.next_run(), h.queue.retry_at, h.node.spec().end_ns});
        return h.coming.empty() ? t : std::min(t, h.coming.front().at);
    }

    /*
     * Lets the switch work until `until`, or until the first frame arrives somewhere before that:
     * true, because its receiver comes next.
     */
    bool advance_switch(tor_time until) {
        bool earlier = false;
        for (;;) {
            Host *first = nullptr;
            for (Host &h : hosts_) {
                if (!h.sent.empty() && (!first || h.sent.front().at < first->sent.front().at))
                    first = &h;
            }
            bool arrival = first && first->sent.front().at < until;
            tor_event ev;
            if (tor_next(&switch_, arrival ? first->sent.front().at : until, &ev) > 0) {
                if (ev.kind != TOR_EV_DEPART)
                    continue;
                int64_t at = (ev.arrival + TOR_NS - 1) / TOR_NS;
                hosts_[ev.port].coming.push_back({at, Bytes(ev.frame, ev.frame + ev.len)});
                if (!hosts_[ev.port].left && at * TOR_NS < until) {
                    until = at * TOR_NS;
                    earlier = true;
                }
                continue;
            }
            if (!arrival)
                return earlier;
            const Arrival &a = first->sent.front();
            if (tor_input(&switch_, first->node.spec().id, a.at, a.frame.data(),
                          static_cast<uint32_t>(a.frame.size())))
                std::abort(); // the reference itself is wrong
            first->sent.pop_front();
        }
    }

    void send(Host &h, int64_t now) {
        if (h.queue.waits(now))
            return;
        h.queue.retry_at = VT_NEVER_NS;
        while (!h.queue.frames.empty()) {
            if (h.mac_busy > now * TOR_NS + backlog_ps_) {
                h.queue.retry_at = (h.mac_busy - backlog_ps_ / 2 + TOR_NS - 1) / TOR_NS;
                return;
            }
            Bytes &f = h.queue.frames.front();
            h.mac_busy = std::max(h.mac_busy, now * TOR_NS) +
                         tor_line_time(&cfg_, h.node.spec().id, static_cast<uint32_t>(f.size()));
            h.sent.push_back({h.mac_busy + cfg_.latency_ps, std::move(f)});
            h.queue.frames.pop_front();
        }
    }

    void step(Host &h, int64_t now) {
        while (!h.coming.empty() && h.coming.front().at <= now) {
            const Bytes &f = h.coming.front().frame;
            h.queue.add(h.node.on_frame(now, f.data(), static_cast<uint32_t>(f.size())));
            h.coming.pop_front();
        }
        if (now >= h.node.spec().end_ns) {
            h.left = true;
            return;
        }
        if (now >= h.node.next_run())
            h.queue.add(h.node.run(now));
        send(h, now);
    }

    tor_config cfg_;
    int64_t backlog_ps_;
    std::unique_ptr<uint64_t[]> mem_;
    tor switch_;
    std::vector<Host> hosts_;
};

} // namespace

std::vector<NodeResult> run_sequential(const tor_config &cfg, int64_t backlog_ns,
                                       const std::vector<NodeSpec> &specs,
                                       std::vector<tor_counters> *counters) {
    World w(cfg, backlog_ns, specs);
    std::vector<NodeResult> r = w.run();
    if (counters) {
        for (uint32_t i = 0; i < cfg.ports; i++)
            counters->push_back(w.counters(i));
    }
    return r;
}

std::vector<NodeSpec> make_nodes(uint32_t n, uint64_t seed, int64_t end_ns, int load) {
    std::vector<NodeSpec> specs;
    specs.reserve(n);
    for (uint32_t i = 0; i < n; i++)
        specs.push_back(
            {.id = i, .nodes = n, .seed = seed, .end_ns = end_ns + 1000 * i, .load = load});
    return specs;
}

std::vector<NodeSpec> make_endless_nodes(uint32_t n, uint64_t seed) {
    std::vector<NodeSpec> specs = make_nodes(n, seed, INT64_C(3600000000000), 50);
    for (NodeSpec &spec : specs)
        spec.restless = true;
    return specs;
}

std::string test_file() {
    static std::atomic<int> count;
    return fmt::format("/dev/shm/etran-switch-test-{}-{}", getpid(), count++);
}

} // namespace etran_test
