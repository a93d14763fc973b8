/* SPDX-License-Identifier: MIT
 * Copyright (c) The eTran artifact authors
 *
 * Cost of keeping clocks together, without waiting: one thread plays all VMs, so this is the work
 * of a report, not the wake-up of a thread. BM_echo has that, too.
 */
#include <benchmark/benchmark.h>
#include <unistd.h>

#include <cstdlib>
#include <string>
#include <thread>
#include <vector>

#include "test_frames.h"
#include "test_nodes.h"
#include "vt_file.h"

namespace etran_test {
namespace {

class Net {
  public:
    explicit Net(uint32_t ports, uint32_t spin = 0) : path_(test_file()) {
        vt_setup s;
        char err[300];
        vt_setup_default(&s, ports);
        s.spin = spin;
        net_ = vt_create(path_.c_str(), &s, err, sizeof(err));
        for (uint32_t i = 0; net_ && i < ports; i++)
            vms.push_back(vt_attach(path_.c_str(), i, 0, err, sizeof(err)));
        if (!net_)
            std::abort();
    }
    ~Net() {
        for (vt_vm *vm : vms)
            vt_detach(vm);
        vt_destroy(net_, path_.c_str());
    }
    Net(const Net &) = delete;
    Net &operator=(const Net &) = delete;

    void join() {
        for (int round = 0; round < 2; round++) {
            for (vt_vm *vm : vms) {
                if (!vt_in_epoch(vm))
                    vt_join(vm, 0);
            }
        }
    }
    std::vector<vt_vm *> vms;

  private:
    std::string path_;
    vt_net *net_;
};

/* All VMs compute: reports every 3 us of virtual time, no frames. */
void BM_report(benchmark::State &state) {
    Net net(static_cast<uint32_t>(state.range(0)));
    net.join();
    int64_t now = 0, next;
    for (auto _ : state) {
        now += 3000;
        for (vt_vm *vm : net.vms)
            vt_report(vm, now, 0, &next);
        for (vt_vm *vm : net.vms)
            vt_report(vm, now, 0, &next); // released by the last one meanwhile
    }
    state.SetItemsProcessed(state.iterations() * state.range(0));
    state.counters["per_report"] =
        benchmark::Counter(static_cast<double>(state.iterations() * state.range(0)),
                           benchmark::Counter::kIsRate | benchmark::Counter::kInvert);
}
BENCHMARK(BM_report)->ArgName("ports")->Arg(2)->Arg(10);

/* A report that is still covered by the last one. */
void BM_report_covered(benchmark::State &state) {
    Net net(2);
    net.join();
    int64_t next;
    for (auto _ : state)
        vt_report(net.vms[0], 1, 0, &next);
}
BENCHMARK(BM_report_covered);

/* The same as BM_report, and every VM sends and receives one full-sized frame each time. */
void BM_report_with_frames(benchmark::State &state) {
    uint32_t n = static_cast<uint32_t>(state.range(0));
    Net net(n);
    net.join();
    std::vector<Bytes> frames;
    for (uint32_t i = 0; i < n; i++)
        frames.push_back(
            make_frame({.dst = node_mac((i + 1) % n), .src = node_mac(i), .len = 1514}));
    int64_t now = 0, next, retry;
    vt_frame f;
    uint64_t got = 0;
    for (auto _ : state) {
        for (uint32_t i = 0; i < n; i++) {
            vt_send(net.vms[i], frames[i].data(), 1514, now, &retry);
            vt_report(net.vms[i], now + 3000, 0, &next);
        }
        now += 3000;
        for (vt_vm *vm : net.vms) {
            vt_report(vm, now, 0, &next);
            while (vt_peek(vm, &f) && f.at <= now) {
                got++;
                vt_pop(vm);
            }
        }
    }
    state.counters["received"] = static_cast<double>(got);
    state.SetItemsProcessed(state.iterations() * n);
}
BENCHMARK(BM_report_with_frames)->ArgName("ports")->Arg(2)->Arg(10);

/* Two VMs on two threads echo a frame of 64 bytes; 6.2 us of virtual time per round. Argument:
 * spin. */
void BM_echo(benchmark::State &state) {
    Net net(2, static_cast<uint32_t>(state.range(0)));
    auto echo = [&net](uint32_t id, int64_t rounds) {
        vt_vm *vm = net.vms[id];
        Bytes out = make_frame({.dst = node_mac(1 - id), .src = node_mac(id), .len = 64});
        int64_t now = 0, next, retry, wake;
        vt_frame f;
        vt_join(vm, -1);
        if (!id)
            vt_send(vm, out.data(), 64, now, &retry);
        for (int64_t i = 0; i < rounds;) {
            if (vt_report(vm, now, -1, &next) != VT_OK ||
                vt_idle(vm, now, 1000000000000, -1, &wake) != VT_OK)
                break;
            now = wake;
            while (vt_peek(vm, &f) && f.at <= now) {
                vt_pop(vm);
                i++;
                if (id || i < rounds)
                    vt_send(vm, out.data(), 64, now, &retry);
            }
        }
        vt_leave(vm, now, -1);
    };
    constexpr int64_t kRounds = 500;
    for (auto _ : state) {
        std::thread other(echo, 1, kRounds);
        echo(0, kRounds);
        other.join();
    }
    state.SetItemsProcessed(state.iterations() * kRounds);
}
BENCHMARK(BM_echo)->ArgName("spin")->Arg(0)->Arg(1000)->UseRealTime();

} // namespace
} // namespace etran_test
