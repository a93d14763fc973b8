// SPDX-License-Identifier: MIT
// Copyright (c) The eTran artifact authors
#include "common/recorder.h"

#include <fmt/format.h>

namespace etran::wl {

Recorder::Recorder(size_t classes, SampleBy by, bool dump)
    : classes_(classes), by_(by), dump_(dump) {}

Recorder Recorder::merged(const std::vector<const Recorder *> &threads) {
    const Recorder &first = *threads.front();
    Recorder total(first.classes_.size(), first.by_, first.dump_);
    total.window_ = first.window_;
    for (const Recorder *thread : threads) {
        total.merge(*thread);
        total.hash_.add(thread->hash_.value());
    }
    if (threads.size() == 1)
        total.hash_ = first.hash_;
    return total;
}

void Recorder::merge(const Recorder &other) {
    for (size_t i = 0; i < classes_.size(); i++) {
        classes_[i].histogram.merge(other.classes_[i].histogram);
        classes_[i].missing += other.classes_[i].missing;
    }
    late_.merge(other.late_);
    ops_ += other.ops_;
    tx_bytes_ += other.tx_bytes_;
    rx_bytes_ += other.rx_bytes_;
    dropped_ += other.dropped_;
}

uint64_t Recorder::missing() const {
    uint64_t sum = 0;
    for (const Class &c : classes_)
        sum += c.missing;
    return sum;
}

std::string Recorder::hash() const {
    return fmt::format("{:016x}", hash_.value());
}

void Recorder::keep(const Sample &sample) {
    if (samples_.size() < kMaxDump)
        samples_.push_back(sample);
    else
        dropped_++;
}

} // namespace etran::wl
