/* SPDX-License-Identifier: MIT
 * Copyright (c) The eTran artifact authors
 *
 * switch.json: reading, checking, writing back. The fields are described in README.md
 * ("Configuration").
 */
#ifndef ETRAN_SWITCH_CONFIG_H
#define ETRAN_SWITCH_CONFIG_H

#include <nlohmann/json.hpp>
#include <stdexcept>
#include <string>

#include "tor_model.h"

namespace etran {

/* what(): "source: field: value, permitted range". */
class ConfigError : public std::runtime_error {
  public:
    using std::runtime_error::runtime_error;
};

struct SwitchConfig {
    tor_config model{};
    int64_t sync_ns = 0; // longest virtual time between two reports of a VM, 0 = 2 x latency
    int64_t mac_backlog_ns = 2000; // line time of frames that a VM's MAC accepts ahead
};

/*
 * Every field has a default; unknown fields are errors. `ports`: from the command line, 0 = not
 * given; must agree with the file if both say something. `source` is only for messages.
 */
SwitchConfig parse_config(const std::string &text, uint32_t ports, const std::string &source);

/* The same from a file; an empty path gives the defaults. */
SwitchConfig load_config(const std::string &path, uint32_t ports);

/* The complete configuration, defaults included, in the form that parse_config reads. */
nlohmann::json config_json(const SwitchConfig &config);

} // namespace etran

#endif
