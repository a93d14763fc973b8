/* SPDX-License-Identifier: MIT
 * Copyright (c) The eTran artifact authors
 */
#include "switch_stats.h"

#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <system_error>

namespace etran {
namespace {

/* In the order of enum tor_drop. */
constexpr std::array<const char *, TOR_DROPS> kDropNames = {
    "runt",         "oversize",  "same_port", "in_fault_loss",  "in_fault_down",
    "delayed_full", "pool_full", "port_full", "out_fault_loss", "out_fault_down"};

} // namespace

nlohmann::json counters_json(const tor_counters &c) {
    nlohmann::json drops, queues = nlohmann::json::array();
    uint64_t marked = 0;

    for (size_t i = 0; i < TOR_DROPS; i++)
        drops[kDropNames[i]] = c.drops[i];
    for (size_t i = 0; i < TOR_QUEUES; i++) {
        const tor_queue_counters &q = c.queue[i];
        marked += q.marked;
        if (!q.enqueued_frames && !q.dropped)
            continue;
        queues.push_back({{"queue", i},
                          {"enqueued_frames", q.enqueued_frames},
                          {"enqueued_bytes", q.enqueued_bytes},
                          {"tx_frames", q.tx_frames},
                          {"tx_bytes", q.tx_bytes},
                          {"marked", q.marked},
                          {"dropped", q.dropped},
                          {"max_bytes", q.max_bytes}});
    }
    return {{"rx_frames", c.rx_frames},
            {"rx_bytes", c.rx_bytes},
            {"tx_frames", c.tx_frames},
            {"tx_bytes", c.tx_bytes},
            {"flooded", c.flooded},
            {"flood_copies", c.flood_copies},
            {"duplicated", c.duplicated},
            {"delayed", c.delayed},
            {"corrupted", c.corrupted},
            {"marked", marked},
            {"max_bytes", c.max_bytes},
            {"drops", drops},
            {"queues", queues}};
}

void write_json(const std::string &path, const nlohmann::json &value) {
    std::string text = value.dump(2) + "\n";
    std::string tmp = path + "." + std::to_string(getpid());
    FILE *f = std::fopen(tmp.c_str(), "we");
    bool ok = f && std::fwrite(text.data(), 1, text.size(), f) == text.size();

    if (f && std::fclose(f))
        ok = false;
    if (!ok || std::rename(tmp.c_str(), path.c_str())) {
        int error = errno;
        unlink(tmp.c_str());
        throw std::system_error(error, std::generic_category(), path + ": cannot write");
    }
}

} // namespace etran
