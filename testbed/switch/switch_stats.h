/* SPDX-License-Identifier: MIT
 * Copyright (c) The eTran artifact authors
 *
 * Counters as JSON. Names are part of what experiments read: README.md ("Statistics").
 */
#ifndef ETRAN_SWITCH_STATS_H
#define ETRAN_SWITCH_STATS_H

#include <nlohmann/json.hpp>
#include <string>

#include "tor_model.h"

namespace etran {

/* One port. Queues that no frame has used are left out. */
nlohmann::json counters_json(const tor_counters &c);

/* Replaces the file as a whole, so that a reader never sees half of it. Throws std::system_error.
 */
void write_json(const std::string &path, const nlohmann::json &value);

} // namespace etran

#endif
