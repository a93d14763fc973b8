// SPDX-License-Identifier: MIT
// Copyright (c) The eTran artifact authors
//
// What one thread measures: a histogram per class of operation, counts in the window, the hash over
// all samples, and (on request) the samples themselves.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "common/histogram.h"

namespace etran::wl {

// The measured time, CLOCK_MONOTONIC ns. Load starts at `start`; [begin, end) is measured.
struct Window {
    int64_t start = 0;
    int64_t begin = 0;
    int64_t end = 0;

    int64_t length() const { return end - begin; }
    bool contains(int64_t t) const { return t >= begin && t < end; }
};

// Which operations give a latency sample.
enum class SampleBy {
    kIntended,   // open loop: those meant to be sent inside the window, whenever they end
    kCompletion, // closed loop: those that end inside the window
};

// FNV-1a with 64-bit words in the place of bytes: two instructions per sample.
class SampleHash {
  public:
    void add(uint64_t word) { state_ = (state_ ^ word) * 0x100000001b3ULL; }
    uint64_t value() const { return state_; }

  private:
    uint64_t state_ = 0xcbf29ce484222325ULL;
};

struct Sample {
    int64_t from;       // intended time, ns after the load's start
    int64_t latency;    // ns
    uint32_t operation; // class
    uint32_t tx_bytes;
};

// Single-threaded; merge() afterwards.
class Recorder {
  public:
    static constexpr size_t kMaxDump = 1'000'000; // samples per thread, 24 MB

    Recorder(size_t classes, SampleBy by, bool dump);

    // Until then nothing is a sample.
    void set_window(const Window &window) { window_ = window; }

    // One operation of class `operation` that was meant to start at `from` has ended at `now` after
    // sending tx and receiving rx bytes. About 30 instructions.
    void complete(uint32_t operation, int64_t from, int64_t now, uint32_t tx, uint32_t rx) {
        if (window_.contains(now)) {
            ops_++;
            tx_bytes_ += tx;
            rx_bytes_ += rx;
        }
        bool sampled = window_.contains(by_ == SampleBy::kIntended ? from : now);
        int64_t latency = now - from;
        classes_[operation].histogram.record(latency, sampled ? 1 : 0);
        if (!sampled)
            return;
        hash_.add(static_cast<uint64_t>(latency));
        if (dump_)
            keep({from - window_.start, latency, operation, tx});
    }

    // An open-loop operation that was meant to start at `from` and did not end.
    void unfinished(uint32_t operation, int64_t from) {
        if (window_.contains(from))
            classes_[operation].missing++;
    }

    // How late an open-loop operation was handed to the transport.
    void late(int64_t from, int64_t sent) {
        late_.record(sent - from, window_.contains(from) ? 1 : 0);
    }

    // Adds what the threads measured, which all have the same classes and window. The hash is that
    // of a single thread, or the hash over the hashes of several in their order.
    static Recorder merged(const std::vector<const Recorder *> &threads);

    struct Class {
        Histogram histogram;
        uint64_t missing = 0;
    };
    const std::vector<Class> &classes() const { return classes_; }
    const Window &window() const { return window_; }
    const Histogram &lateness() const { return late_; }
    uint64_t ops() const { return ops_; }
    uint64_t tx_bytes() const { return tx_bytes_; }
    uint64_t rx_bytes() const { return rx_bytes_; }
    uint64_t missing() const;
    std::string hash() const; // 16 hexadecimal digits
    const std::vector<Sample> &dumped() const { return samples_; }
    uint64_t dropped_from_dump() const { return dropped_; }

  private:
    void keep(const Sample &sample);
    void merge(const Recorder &other);

    std::vector<Class> classes_;
    Window window_;
    SampleBy by_;
    bool dump_;
    uint64_t ops_ = 0;
    uint64_t tx_bytes_ = 0;
    uint64_t rx_bytes_ = 0;
    SampleHash hash_;
    Histogram late_;
    std::vector<Sample> samples_;
    uint64_t dropped_ = 0;
};

} // namespace etran::wl
