/* SPDX-License-Identifier: MIT
 * Copyright (c) The eTran artifact authors
 *
 * A switch on the heap with the loop that drives it: what most tests of the model need.
 */
#ifndef ETRAN_TEST_MODEL_H
#define ETRAN_TEST_MODEL_H

#include <gtest/gtest.h>

#include <memory>
#include <vector>

#include "test_frames.h"
#include "tor_model.h"

namespace etran_test {

struct Departure {
    uint32_t port;
    tor_time start, end, arrival;
    uint32_t queue;
    Bytes frame;
    bool operator==(const Departure &) const = default;
};

struct Sample {
    uint32_t port;
    tor_time time;
    uint64_t depth;
    bool operator==(const Sample &) const = default;
};

inline tor_config small_config(uint32_t ports) {
    tor_config cfg;
    tor_config_default(&cfg, ports);
    return cfg;
}

class Switch {
  public:
    explicit Switch(const tor_config &cfg) : mem_(new uint64_t[tor_size(&cfg) / 8 + 1]) {
        char err[200] = "";
        EXPECT_EQ(tor_config_check(&cfg, err, sizeof(err)), 0) << err;
        EXPECT_EQ(tor_init(&t, mem_.get(), tor_size(&cfg), &cfg), 0);
    }

    /* Everything before `until` happens. */
    void run(tor_time until) {
        tor_event ev;
        int ret;
        while ((ret = tor_next(&t, until, &ev)) > 0) {
            if (ev.kind == TOR_EV_DEPART)
                out.push_back({ev.port, ev.time, ev.end, ev.arrival, ev.queue,
                               Bytes(ev.frame, ev.frame + ev.len)});
            else
                samples.push_back({ev.port, ev.time, ev.depth});
        }
        ASSERT_EQ(ret, 0);
    }

    void in(uint32_t port, tor_time at, const Bytes &frame) {
        run(at);
        ASSERT_EQ(tor_input(&t, port, at, frame.data(), static_cast<uint32_t>(frame.size())), 0);
    }

    void finish() { run(TOR_TIME_INF); }

    /* All ports speak once, so that nothing is flooded later; departures of that are discarded. */
    tor_time teach() {
        tor_time at = 0;
        for (uint32_t p = 0; p < t.cfg.ports; p++) {
            FrameSpec spec{.dst = kBroadcast, .src = node_mac(p), .version = 0, .len = 60};
            in(p, at += 1000000, make_frame(spec));
        }
        at += 1000000;
        run(at);
        out.clear();
        samples.clear();
        return at;
    }

    tor_counters counters(uint32_t port) const {
        tor_counters c;
        tor_get_counters(&t, port, &c);
        return c;
    }

    uint64_t drops(uint32_t port) const {
        uint64_t n = 0;
        for (uint64_t d : counters(port).drops)
            n += d;
        return n;
    }

    /* See tor_counters: nothing appears, nothing vanishes. Call after finish(). */
    void expect_conservation() const {
        uint64_t came = 0, went = 0;
        for (uint32_t p = 0; p < t.cfg.ports; p++) {
            tor_counters c = counters(p);
            came += c.rx_frames + c.flood_copies + c.duplicated;
            went += c.tx_frames + drops(p);
        }
        EXPECT_EQ(came, went);
    }

    tor t;
    std::vector<Departure> out;
    std::vector<Sample> samples;

  private:
    std::unique_ptr<uint64_t[]> mem_;
};

} // namespace etran_test

#endif
