// SPDX-License-Identifier: MIT
// Copyright (c) The eTran artifact authors
//
// The parts of rpcbench's result that only it has: latency by decile and by message size.
#pragma once

#include <string>
#include <vector>

#include "common/distribution.h"
#include "common/recorder.h"
#include "common/result.h"

namespace etran::wl {

// Adds latency ("all", and for a distribution "decile0".."decile9"), by_size, unfinished, late,
// sample_hash, mean_message_bytes to `json`.
void add_rpc_latency(Json &json, const SizeDistribution &sizes, const Recorder &recorder);

// One name per class, for --dump-samples: "decile3".
std::vector<std::string> rpc_class_names(const SizeDistribution &sizes);

} // namespace etran::wl
