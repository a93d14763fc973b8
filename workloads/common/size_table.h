// SPDX-License-Identifier: MIT
// Copyright (c) The eTran artifact authors
//
// The table of message-size percentiles (data/message_sizes.csv). The file is compiled into the
// programs, so that a node needs no data file; --sizes-file reads another one instead.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace etran::wl {

struct SizeTable {
    std::vector<double> percentiles; // strictly increasing, the last is 100
    struct Column {
        std::string name;
        std::vector<uint64_t> sizes; // bytes, never decreasing, one per percentile
    };
    std::vector<Column> columns;

    // nullptr if there is no such workload.
    const Column *find(std::string_view name) const;
};

// Parses the CSV text: '#' lines are comments, the first other line is `percentile,<name>,...`.
// Throws UserError naming `origin` and the line on any defect.
SizeTable parse_size_table(std::string_view text, const std::string &origin);

// Reads and parses a file. Throws UserError.
SizeTable load_size_table(const std::string &path);

// The text of data/message_sizes.csv as it was at build time.
std::string_view builtin_size_table_text();

} // namespace etran::wl
