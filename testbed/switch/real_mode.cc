/* SPDX-License-Identifier: MIT
 * Copyright (c) The eTran artifact authors
 *
 * The model on the real clock. A frame is late by what the host's scheduler takes (tens of
 * microseconds), so this mode is for functional tests and interactive use, never for timing
 * results.
 */
#include <fmt/format.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <deque>
#include <memory>
#include <optional>
#include <stdexcept>
#include <system_error>
#include <vector>

#include "modes.h"
#include "signals.h"
#include "switch_stats.h"
#include "trace_files.h"

namespace etran {
namespace {

using nlohmann::json;

constexpr int kBatch = 64; // datagrams per port and turn
constexpr int64_t kProgressPs = INT64_C(1000000000000);

struct TimedFrame {
    tor_time at;
    std::vector<uint8_t> data;
};

sockaddr_un address(const std::string &path) {
    sockaddr_un a{};
    a.sun_family = AF_UNIX;
    if (path.size() >= sizeof(a.sun_path))
        throw std::runtime_error(
            fmt::format("{}: longer than {} characters, which is the limit for "
                        "a socket; choose a shorter --dir",
                        path, sizeof(a.sun_path) - 1));
    std::memcpy(a.sun_path, path.data(), path.size());
    return a;
}

/* The switch's end of a cable: a bound datagram socket, removed at the end. */
class Cable {
  public:
    Cable(const std::string &dir, uint32_t port)
        : path_(fmt::format("{}/port{}.sw", dir, port)),
          peer_(address(fmt::format("{}/port{}.vm", dir, port))) {
        fd_ = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        if (fd_ < 0)
            throw std::system_error(errno, std::generic_category(), "socket");
        sockaddr_un self = address(path_);
        const auto *sa = reinterpret_cast<const sockaddr *>(&self);
        if (!connect(fd_, sa, sizeof(self))) {
            close(fd_);
            throw std::runtime_error(fmt::format("{}: in use by another process", path_));
        }
        unlink(path_.c_str()); // nobody listens: left behind
        int size = 4 << 20;
        setsockopt(fd_, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
        setsockopt(fd_, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
        if (bind(fd_, sa, sizeof(self))) {
            int error = errno;
            close(fd_);
            throw std::system_error(error, std::generic_category(), path_ + ": cannot bind");
        }
    }
    ~Cable() {
        close(fd_);
        unlink(path_.c_str());
    }
    Cable(const Cable &) = delete;
    Cable &operator=(const Cable &) = delete;

    int fd() const { return fd_; }

    /* Bytes of the next datagram, or -1. */
    ssize_t receive(uint8_t *buf, size_t size) const { return recv(fd_, buf, size, MSG_TRUNC); }

    /* False: the VM is not there, or does not read. */
    bool send(const std::vector<uint8_t> &frame) const {
        return sendto(fd_, frame.data(), frame.size(), 0,
                      reinterpret_cast<const sockaddr *>(&peer_), sizeof(peer_)) >= 0;
    }

  private:
    std::string path_;
    sockaddr_un peer_;
    int fd_ = -1;
};

class RealSwitch {
  public:
    RealSwitch(const RealOptions &options, const SwitchConfig &config, const Outputs &outputs)
        : config_(config), outputs_(outputs), mem_(new uint64_t[tor_size(&config.model) / 8 + 1]) {
        struct stat st {};
        if (stat(options.dir.c_str(), &st) || !S_ISDIR(st.st_mode))
            throw std::runtime_error(options.dir + ": not a directory");
        if (tor_init(&switch_, mem_.get(), tor_size(&config.model), &config.model))
            throw std::runtime_error("the switch cannot be set up");
        for (uint32_t i = 0; i < config.model.ports; i++)
            ports_.push_back(std::make_unique<Port>(options.dir, i));
        if (!outputs.pcap.empty()) {
            pcap_in_ = outputs.capture_mask(CapturePoint::kIn, config.model.ports);
            pcap_out_ = outputs.capture_mask(CapturePoint::kOut, config.model.ports);
            pcap_.emplace(outputs.pcap);
        }
        if (!outputs.queue_trace.empty())
            queue_trace_.emplace(outputs.queue_trace);
    }

    int run() {
        Signals signals;
        prctl(PR_SET_TIMERSLACK, 1000);
        report({{"event", "ready"}, {"ports", config_.model.ports}});
        start_ = clock_ps();
        while (!signals.take()) {
            tor_time now = clock_ps() - start_;
            receive(now);
            forward(now);
            send(now);
            progress(now);
            wait(signals);
        }
        finish();
        return 0;
    }

  private:
    struct Port {
        Port(const std::string &dir, uint32_t i) : cable(dir, i) {}
        Cable cable;
        tor_time line_busy = 0;        // from the VM
        std::deque<TimedFrame> coming; // from the VM, complete at the switch at `at`
        std::deque<TimedFrame> going;  // to the VM, complete there at `at`
        uint64_t unreachable = 0;
    };

    static tor_time clock_ps() {
        timespec t{};
        clock_gettime(CLOCK_MONOTONIC, &t);
        return (t.tv_sec * INT64_C(1000000000) + t.tv_nsec) * TOR_NS;
    }

    void receive(tor_time now) {
        for (uint32_t i = 0; i < ports_.size(); i++) {
            Port &p = *ports_[i];
            for (int n = 0; n < kBatch; n++) {
                ssize_t got = p.cable.receive(buffer_.data(), buffer_.size());
                if (got < 0)
                    break;
                uint32_t len = static_cast<uint32_t>(std::min<size_t>(got, buffer_.size()));
                p.line_busy = std::max(p.line_busy, now) + tor_line_time(&config_.model, i, len);
                p.coming.push_back({p.line_busy + config_.model.latency_ps,
                                    {buffer_.begin(), buffer_.begin() + len}});
            }
        }
    }

    /* Everything in the switch up to `now`. */
    void forward(tor_time now) {
        for (;;) {
            Port *first = nullptr;
            uint32_t port = 0;
            for (uint32_t i = 0; i < ports_.size(); i++) {
                Port &p = *ports_[i];
                if (!p.coming.empty() && p.coming.front().at < now &&
                    (!first || p.coming.front().at < first->coming.front().at)) {
                    first = &p;
                    port = i;
                }
            }
            run_events(first ? first->coming.front().at : now);
            if (!first)
                return;
            const TimedFrame &f = first->coming.front();
            if (pcap_in_ >> port & 1)
                pcap_->frame(f.at / TOR_NS, f.data.data(), static_cast<uint32_t>(f.data.size()));
            if (tor_input(&switch_, port, f.at, f.data.data(),
                          static_cast<uint32_t>(f.data.size())))
                throw std::logic_error("the switch model refuses a frame");
            first->coming.pop_front();
        }
    }

    void run_events(tor_time until) {
        tor_event ev;
        while (tor_next(&switch_, until, &ev) > 0) {
            if (ev.kind == TOR_EV_SAMPLE) {
                if (queue_trace_)
                    queue_trace_->sample(1, ev.time / TOR_NS, ev.port, ev.depth);
                continue;
            }
            if (pcap_out_ >> ev.port & 1)
                pcap_->frame(ev.time / TOR_NS, ev.frame, ev.len);
            ports_[ev.port]->going.push_back({ev.arrival, {ev.frame, ev.frame + ev.len}});
        }
    }

    void send(tor_time now) {
        for (auto &p : ports_) {
            while (!p->going.empty() && p->going.front().at <= now) {
                p->unreachable += !p->cable.send(p->going.front().data);
                p->going.pop_front();
            }
        }
    }

    void progress(tor_time now) {
        if (now - progress_ < kProgressPs)
            return;
        progress_ = now;
        uint64_t frames = 0;
        for (uint32_t i = 0; i < ports_.size(); i++) {
            tor_counters c;
            tor_get_counters(&switch_, i, &c);
            frames += c.tx_frames;
        }
        if (frames != progress_frames_)
            report({{"event", "progress"}, {"real_s", now / kProgressPs}, {"frames", frames}});
        progress_frames_ = frames;
        if (pcap_)
            pcap_->flush();
        if (queue_trace_)
            queue_trace_->flush();
    }

    void wait(const Signals &signals) {
        std::array<pollfd, TOR_MAX_PORTS + 1> fds{};
        size_t n = 0;
        tor_time next = std::min(tor_next_time(&switch_), progress_ + kProgressPs);
        fds[n++] = {signals.fd(), POLLIN, 0};
        for (auto &p : ports_) {
            fds[n++] = {p->cable.fd(), POLLIN, 0};
            if (!p->coming.empty())
                next = std::min(next, p->coming.front().at);
            if (!p->going.empty())
                next = std::min(next, p->going.front().at);
        }
        int64_t ns = std::max<int64_t>(0, (next - (clock_ps() - start_)) / TOR_NS);
        timespec timeout = {ns / 1000000000, ns % 1000000000};
        ppoll(fds.data(), n, &timeout, nullptr);
    }

    void finish() {
        json ports = json::array();
        for (uint32_t i = 0; i < ports_.size(); i++) {
            tor_counters c;
            tor_get_counters(&switch_, i, &c);
            ports.push_back(counters_json(c));
            ports.back()["unreachable"] = ports_[i]->unreachable;
        }
        if (pcap_)
            pcap_->close();
        if (queue_trace_)
            queue_trace_->close();
        if (!outputs_.stats.empty())
            write_json(outputs_.stats, {{"version", 1},
                                        {"mode", "real"},
                                        {"state", "ok"},
                                        {"config", config_json(config_)},
                                        {"ports", ports}});
        report({{"event", "end"}});
    }

    SwitchConfig config_;
    Outputs outputs_;
    std::unique_ptr<uint64_t[]> mem_;
    tor switch_{};
    std::vector<std::unique_ptr<Port>> ports_;
    uint32_t pcap_in_ = 0, pcap_out_ = 0;
    std::optional<PcapFile> pcap_;
    std::optional<QueueTrace> queue_trace_;
    std::array<uint8_t, TOR_FRAME_LIMIT + 1> buffer_{};
    tor_time start_ = 0, progress_ = 0;
    uint64_t progress_frames_ = 0;
};

} // namespace

int run_real(const RealOptions &options, SwitchConfig config, const Outputs &outputs) {
    RealSwitch s(options, config, outputs);
    try {
        return s.run();
    } catch (const std::exception &e) {
        report({{"event", "error"}, {"message", e.what()}});
        fmt::print(stderr, "torswitch: {}\n", e.what());
        return 1;
    }
}

} // namespace etran
