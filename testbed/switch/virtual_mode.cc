/* SPDX-License-Identifier: MIT
 * Copyright (c) The eTran artifact authors
 *
 * Supervisor of a virtual-time network: VMs forward frames among themselves; this program creates
 * the file, notices VMs that die, writes what is traced, and reports. It must never keep a VM
 * waiting: one that holds the lock may be waiting for room in the trace, so the lock is only ever
 * tried.
 */
#include <fmt/format.h>
#include <poll.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <memory>
#include <optional>
#include <stdexcept>

#include "modes.h"
#include "signals.h"
#include "switch_stats.h"
#include "trace_files.h"
#include "vt_file.h"

namespace etran {
namespace {

using nlohmann::json;

constexpr uint32_t kTraceBytes = 1u << 24;
constexpr int kPollMs = 20;
constexpr int kTracePollMs = 1;
constexpr int64_t kProgressNs = 1000000000;
constexpr uint64_t kEpochGapS = 3600; // between epochs in a packet capture

int64_t host_ns() {
    timespec t{};
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * INT64_C(1000000000) + t.tv_nsec;
}

/* The process of a VM; readable as soon as it has ended, even if nobody has collected its status.
 */
class Watch {
  public:
    ~Watch() { reset(); }
    Watch() = default;
    Watch(const Watch &) = delete;
    Watch &operator=(const Watch &) = delete;

    void follow(int32_t pid) {
        if (pid == pid_)
            return;
        reset();
        pid_ = pid;
        if (pid > 0)
            fd_ = static_cast<int>(syscall(SYS_pidfd_open, pid, 0));
        gone_ = pid > 0 && fd_ < 0 && errno == ESRCH;
    }
    bool ended() const {
        pollfd p = {fd_, POLLIN, 0};
        return gone_ || (fd_ >= 0 && poll(&p, 1, 0) > 0);
    }
    int fd() const { return fd_; }

  private:
    void reset() {
        if (fd_ >= 0)
            close(fd_);
        fd_ = -1;
        gone_ = false;
    }
    int32_t pid_ = 0;
    int fd_ = -1;
    bool gone_ = false;
};

class Supervisor {
  public:
    Supervisor(const VirtualOptions &options, const SwitchConfig &config, const Outputs &outputs)
        : options_(options), config_(config), outputs_(outputs) {
        vt_setup setup;
        vt_setup_default(&setup, config.model.ports);
        setup.model = config.model;
        setup.sync_ns = config.sync_ns;
        setup.backlog_ns = config.mac_backlog_ns;
        setup.spin = options.spin;
        if (!outputs.pcap.empty()) {
            setup.trace_in = outputs.capture_mask(CapturePoint::kIn, config.model.ports);
            setup.trace_out = outputs.capture_mask(CapturePoint::kOut, config.model.ports);
            pcap_.emplace(outputs.pcap);
        }
        if (!outputs.queue_trace.empty())
            queue_trace_.emplace(outputs.queue_trace);
        if (pcap_ || queue_trace_)
            setup.trace_bytes = kTraceBytes;
        std::array<char, 400> err{};
        net_ = vt_create(options.file.c_str(), &setup, err.data(), err.size());
        if (!net_)
            throw std::runtime_error(err.data());
    }
    ~Supervisor() { vt_destroy(net_, options_.file.c_str()); }
    Supervisor(const Supervisor &) = delete;
    Supervisor &operator=(const Supervisor &) = delete;

    int run() {
        Signals signals;
        int status = 0;

        report({{"event", "ready"}, {"file", options_.file}, {"ports", config_.model.ports}});
        for (bool done = false; !done;) {
            bool busy = drain_trace();
            vt_get_overview(net_, &now_);
            collect_epochs();
            if (options_.epochs && epochs_.size() >= options_.epochs) {
                done = true;
            } else if (now_.state == VT_NET_BROKEN) {
                fail(now_.reason);
                done = true;
            } else if (int sig = signals.take()) {
                fail(fmt::format("interrupted by {}", strsignal(sig)));
                state_ = "interrupted";
                status = 128 + sig;
                done = true;
            } else {
                done = all_gone();
                watch();
                progress();
                if (!busy)
                    wait(signals);
            }
        }
        finish();
        if (state_ == "ok")
            report({{"event", "end"}, {"epochs", epochs_.size()}});
        return status ? status : state_ == "ok" ? 0 : 1;
    }

  private:
    void fail(const std::string &reason) {
        if (state_ != "ok")
            return;
        state_ = "broken";
        reason_ = reason;
        report({{"event", "error"}, {"message", reason}});
        fmt::print(stderr, "torswitch: {}\n", reason);
    }

    /* True if there was something. */
    bool drain_trace() {
        vt_trace t;
        int ret = 0;
        try {
            for (int i = 0; i < 100000 && (ret = vt_trace_next(net_, &t)) > 0; i++) {
                if (!output_failed_)
                    write_trace(t);
                vt_trace_pop(net_);
            }
        } catch (const std::exception &e) {
            output_failed_ = true; // the VMs must go on, or end, all the same
            fail(e.what());
            shutdown(e.what());
        }
        if (ret < 0) {
            fail("the trace has been garbled by a VM");
            shutdown(reason_);
        }
        return ret > 0;
    }

    void write_trace(const vt_trace &t) {
        int64_t ns = t.time / TOR_NS;
        uint64_t number = 0;
        if (t.kind == VT_TRACE_SAMPLE || t.kind == VT_TRACE_EPOCH)
            std::memcpy(&number, t.data, sizeof(number));
        if (t.kind == VT_TRACE_EPOCH)
            trace_epoch_ = number;
        else if (t.kind == VT_TRACE_SAMPLE && queue_trace_)
            queue_trace_->sample(trace_epoch_, ns, t.port, number);
        else if (t.kind != VT_TRACE_SAMPLE && pcap_)
            pcap_->frame(ns + static_cast<int64_t>((trace_epoch_ - 1) * kEpochGapS) * 1000000000,
                         t.data, t.length);
    }

    void collect_epochs() {
        vt_epoch_record r;
        while (vt_get_record(net_, static_cast<uint32_t>(epochs_.size()) + 1, &r)) {
            double real = static_cast<double>(r.real_end_ns - r.real_start_ns) * 1e-9;
            double virt = static_cast<double>(r.virtual_ps) * 1e-12;
            json e = {{"number", r.number},
                      {"virtual_ns", r.virtual_ps / TOR_NS},
                      {"real_s", real},
                      {"slowdown", virt > 0 ? json(real / virt) : json()},
                      {"ports", json::array()}};
            for (uint32_t i = 0; i < config_.model.ports; i++)
                e["ports"].push_back(counters_json(r.counters[i]));
            report({{"event", "epoch_end"},
                    {"epoch", r.number},
                    {"virtual_ms", virt * 1e3},
                    {"real_s", real},
                    {"slowdown", e["slowdown"]}});
            epochs_.push_back(std::move(e));
        }
    }

    /* Have all VMs come and gone? */
    bool all_gone() {
        for (uint32_t i = 0; i < now_.ports; i++) {
            if (now_.port[i].state != VT_PORT_ABSENT || !now_.port[i].attaches)
                return false;
        }
        if (epochs_.empty() || options_.epochs)
            fail(fmt::format("all VMs have detached after {} of {} epochs", epochs_.size(),
                             options_.epochs ? options_.epochs : 1));
        return true;
    }

    void watch() {
        for (uint32_t i = 0; i < now_.ports; i++) {
            watches_[i].follow(now_.port[i].pid);
            if (now_.port[i].pid > 0 && watches_[i].ended())
                vt_mark_dead(net_, i); // taken lock: again in the next round
        }
    }

    void progress() {
        int64_t t = host_ns();
        if (now_.state != VT_NET_EPOCH || now_.clock_ps >= TOR_TIME_INF)
            return;
        if (progress_epoch_ != now_.epoch) {
            progress_epoch_ = now_.epoch;
            progress_host_ = t;
            progress_ps_ = 0;
            return;
        }
        if (t - progress_host_ < kProgressNs)
            return;
        int64_t step = now_.clock_ps - progress_ps_;
        json line = {{"event", "progress"},
                     {"epoch", now_.epoch},
                     {"virtual_ms", static_cast<double>(now_.clock_ps) * 1e-9},
                     {"slowdown", step > 0 ? json(static_cast<double>(t - progress_host_) * 1e3 /
                                                  static_cast<double>(step))
                                           : json()},
                     {"stalled", step <= 0}};
        report(line);
        progress_host_ = t;
        progress_ps_ = now_.clock_ps;
    }

    void wait(const Signals &signals) {
        std::array<pollfd, TOR_MAX_PORTS + 1> fds{};
        size_t n = 0;
        fds[n++] = {signals.fd(), POLLIN, 0};
        for (uint32_t i = 0; i < now_.ports; i++) {
            if (watches_[i].fd() >= 0)
                fds[n++] = {watches_[i].fd(), POLLIN, 0};
        }
        poll(fds.data(), n, pcap_ || queue_trace_ ? kTracePollMs : kPollMs);
    }

    void shutdown(const std::string &why) {
        for (int i = 0; i < 100000 && !vt_shutdown(net_, why.c_str()); i++) {
            vt_trace t;
            while (vt_trace_next(net_, &t) > 0) // a VM may be waiting for room
                vt_trace_pop(net_);
            poll(nullptr, 0, 1);
        }
    }

    json port_json(uint32_t i) const {
        vt_port p;
        vt_get_port(net_, i, &p);
        return {{"port", i},
                {"reports", p.reports},
                {"waits", p.waits},
                {"spins", p.spins},
                {"idles", p.idles},
                {"wakes", p.wakes},
                {"host_wakes", p.host_wakes},
                {"sent", p.sent},
                {"backlogged", p.backlogged},
                {"free_sent", p.free_sent},
                {"free_lost", p.free_lost},
                {"late", p.late}};
    }

    /* Closes the network and writes what is to be written. */
    void finish() {
        while (state_ == "ok" && drain_trace()) {
        }
        json ports = json::array();
        bool reproducible = true;
        for (uint32_t i = 0; i < config_.model.ports; i++) {
            ports.push_back(port_json(i));
            reproducible &= ports.back()["host_wakes"] == 0;
        }
        shutdown(reason_.empty() ? "torswitch has ended" : reason_);
        vt_get_overview(net_, &now_);
        if (now_.trace_lost)
            fail(
                fmt::format("{} records of the capture or queue trace were lost", now_.trace_lost));
        try {
            if (pcap_)
                pcap_->close();
            if (queue_trace_)
                queue_trace_->close();
            if (!outputs_.stats.empty())
                write_json(outputs_.stats, {{"version", 1},
                                            {"mode", "virtual"},
                                            {"state", state_},
                                            {"reason", reason_},
                                            {"reproducible", reproducible},
                                            {"advances", now_.advances},
                                            {"trace_lost", now_.trace_lost},
                                            {"config", config_json(config_)},
                                            {"epochs", epochs_},
                                            {"ports", ports}});
        } catch (const std::exception &e) {
            fail(e.what());
        }
    }

    VirtualOptions options_;
    SwitchConfig config_;
    Outputs outputs_;
    vt_net *net_ = nullptr;
    std::optional<PcapFile> pcap_;
    std::optional<QueueTrace> queue_trace_;
    std::array<Watch, TOR_MAX_PORTS> watches_;
    vt_overview now_{};
    std::vector<json> epochs_;
    std::string state_ = "ok";
    std::string reason_;
    bool output_failed_ = false;
    uint64_t trace_epoch_ = 1;
    uint32_t progress_epoch_ = 0;
    int64_t progress_host_ = 0, progress_ps_ = 0;
};

} // namespace

int run_virtual(const VirtualOptions &options, SwitchConfig config, const Outputs &outputs) {
    return Supervisor(options, config, outputs).run();
}

} // namespace etran
