/* SPDX-License-Identifier: MIT
 * Copyright (c) The eTran artifact authors
 *
 * The model against a second one that is written to be obviously right instead of fast: it keeps
 * lists of frames and at each step searches for what happens next. Random traffic; every departure,
 * drop and mark is compared.
 */
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <deque>
#include <map>
#include <random>

#include "test_model.h"

namespace etran_test {
namespace {

class Reference {
  public:
    explicit Reference(const tor_config &cfg) : cfg_(cfg), ports_(cfg.ports) {}

    void in(uint32_t port, tor_time at, const FrameSpec &spec, const Bytes &frame) {
        run(at);
        home_[spec.src] = port;
        auto to = home_.find(spec.dst);
        for (uint32_t o = 0; o < cfg_.ports; o++) {
            if (o != port && (to == home_.end() || to->second == o))
                enqueue(o, at, spec, frame);
        }
    }

    void run(tor_time until) {
        for (;;) {
            Port *best = nullptr;
            for (Port &p : ports_) {
                if (!p.waiting.empty() && start(p) < until && (!best || start(p) < start(*best)))
                    best = &p;
            }
            if (!best)
                return;
            transmit(*best);
        }
    }

    std::vector<Departure> out;
    uint64_t dropped = 0, marked = 0;

  private:
    struct Waiting {
        tor_time at;
        uint32_t queue;
        Bytes frame;
    };
    struct Port {
        std::deque<Waiting> waiting; // in the order of arrival, all queues
        tor_time free_at = 0;
    };

    static uint64_t size(const Bytes &b) { return std::max<uint64_t>(b.size(), 60); }

    tor_time start(const Port &p) const { return std::max(p.free_at, p.waiting.front().at); }

    uint64_t bytes(const Port &p, int queue) const {
        uint64_t n = 0;
        for (const Waiting &w : p.waiting)
            n += queue < 0 || w.queue == static_cast<uint32_t>(queue) ? size(w.frame) : 0;
        return n;
    }

    void enqueue(uint32_t o, tor_time at, const FrameSpec &spec, Bytes frame) {
        Port &p = ports_[o];
        uint64_t all = 0;
        for (const Port &q : ports_)
            all += bytes(q, -1);
        if (bytes(p, -1) + size(frame) > cfg_.port_buffer_bytes ||
            all + size(frame) > cfg_.buffer_bytes) {
            dropped++;
            return;
        }
        uint32_t queue = cfg_.class_of_dscp[spec.version ? spec.dscp : 0];
        bool ect = spec.version && (spec.ecn == 1 || spec.ecn == 2);
        if (ect && bytes(p, static_cast<int>(queue)) > cfg_.ecn_k_bytes) {
            FrameSpec ce = spec;
            ce.ecn = 3;
            frame = make_frame(ce);
            marked++;
        }
        p.waiting.push_back({at, queue, frame});
    }

    void transmit(Port &p) {
        auto best = p.waiting.begin();
        tor_time now = start(p);
        for (auto it = p.waiting.begin(); it != p.waiting.end(); ++it) {
            if (it->at <= now && it->queue > best->queue)
                best = it;
        }
        uint32_t port = static_cast<uint32_t>(&p - ports_.data());
        double ps = static_cast<double>((size(best->frame) + 24) * 8) * 1e6 / cfg_.rate_mbps[port];
        p.free_at = now + static_cast<tor_time>(ps);
        out.push_back(
            {port, now, p.free_at, p.free_at + cfg_.latency_ps, best->queue, best->frame});
        p.waiting.erase(best);
    }

    tor_config cfg_;
    std::vector<Port> ports_;
    std::map<Mac, uint32_t> home_;
};

class tor_reference : public testing::TestWithParam<int> {};

TEST_P(tor_reference, departures__agree_for_random_traffic) {
    std::mt19937_64 rng(static_cast<uint64_t>(GetParam()));
    auto pick = [&rng](uint64_t n) { return rng() % n; };
    tor_config cfg = small_config(2 + static_cast<uint32_t>(pick(9)));
    for (uint32_t &r : cfg.rate_mbps)
        r = std::array<uint32_t, 4>{10000, 25000, 40000, 100000}[pick(4)];
    cfg.ecn_k_bytes = pick(10000);
    cfg.buffer_bytes = 5000 + pick(50000);
    cfg.port_buffer_bytes = 2000 + pick(cfg.buffer_bytes - 2000);
    for (uint8_t &c : cfg.class_of_dscp)
        c = static_cast<uint8_t>(pick(8));
    /* From almost idle to overloaded. */
    const uint64_t gap = std::array<uint64_t, 4>{20000, 100000, 400000, 2000000}[pick(4)];

    Switch model(cfg);
    Reference reference(cfg);
    tor_time at = 0;
    for (int i = 0; i < 4000; i++) {
        FrameSpec f;
        uint32_t from = static_cast<uint32_t>(pick(cfg.ports));
        if (pick(10)) // else at the same instant; ports need not be in order for the model
            at += static_cast<tor_time>(pick(gap));
        f.src = node_mac(from);
        f.dst = pick(30)
                    ? node_mac((from + 1 + static_cast<uint32_t>(pick(cfg.ports - 1))) % cfg.ports)
                    : kBroadcast;
        f.version = std::array<int, 5>{4, 4, 4, 6, 0}[pick(5)];
        f.dscp = static_cast<uint8_t>(pick(64));
        f.ecn = static_cast<uint8_t>(pick(4));
        f.len = static_cast<uint32_t>(pick(3) ? 42 + pick(200) : 60 + pick(1460));
        f.tag = static_cast<uint64_t>(i);
        Bytes frame = make_frame(f);
        model.in(from, at, frame);
        reference.in(from, at, f, frame);
    }
    model.finish();
    reference.run(TOR_TIME_INF);
    ASSERT_EQ(model.out.size(), reference.out.size());
    auto by_port = [](const Departure &a, const Departure &b) {
        return std::tie(a.start, a.port) < std::tie(b.start, b.port);
    };
    std::stable_sort(reference.out.begin(), reference.out.end(), by_port);
    EXPECT_TRUE(std::is_sorted(model.out.begin(), model.out.end(), by_port));
    for (size_t i = 0; i < model.out.size(); i++)
        ASSERT_EQ(model.out[i], reference.out[i]) << "departure " << i;
    uint64_t dropped = 0, marked = 0;
    for (uint32_t p = 0; p < cfg.ports; p++) {
        dropped += model.drops(p);
        for (const tor_queue_counters &q : model.counters(p).queue)
            marked += q.marked;
    }
    EXPECT_EQ(dropped, reference.dropped);
    EXPECT_EQ(marked, reference.marked);
    model.expect_conservation();
}

INSTANTIATE_TEST_SUITE_P(seed, tor_reference, testing::Range(1, 41));

} // namespace
} // namespace etran_test
