/* SPDX-License-Identifier: MIT
 * Copyright (c) The eTran artifact authors
 */
#include "switch_config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>

namespace etran {
namespace {

using testing::HasSubstr;

std::string error_of(const std::string &text, uint32_t ports = 4) {
    try {
        parse_config(text, ports, "switch.json");
    } catch (const ConfigError &e) {
        return e.what();
    }
    return "";
}

TEST(switch_config, defaults__are_those_of_the_model) {
    SwitchConfig c = parse_config("{}", 4, "x");
    tor_config d;
    tor_config_default(&d, 4);
    EXPECT_EQ(memcmp(&c.model, &d, sizeof(d)), 0);
    EXPECT_EQ(c.model.rate_mbps[3], 25000u);
    EXPECT_EQ(c.model.latency_ps, 1500 * TOR_NS);
    EXPECT_EQ(c.model.ecn_k_bytes, 83000u);
}

TEST(switch_config, fields__all_are_read) {
    std::string classes = "[3";
    for (int i = 1; i < 64; i++)
        classes += ",7";
    SwitchConfig c = parse_config(R"({"ports": 3, "rate_mbps": [1000, 2000, 3000],
        "latency_ns": 700, "ecn_k_bytes": null, "buffer_bytes": 100000, "port_buffer_bytes": 50000,
        "frame_max_bytes": 9018, "seed": 18446744073709551615, "sample_ns": "events",
        "sync_ns": 500, "mac_backlog_ns": 1000, "dscp_classes": )" +
                                      classes + R"(],
        "faults": [{"port": 1, "kind": "loss", "p": 0.25, "from_ns": 10, "to_ns": 20, "dir": "in"},
                   {"port": 2, "kind": "reorder", "delay_ns": 5000},
                   {"port": 0, "kind": "down", "dir": "out", "to_ns": null}]})",
                                  0, "x");
    const tor_config &m = c.model;
    EXPECT_EQ(m.ports, 3u);
    EXPECT_EQ(m.rate_mbps[1], 2000u);
    EXPECT_EQ(m.latency_ps, 700 * TOR_NS);
    EXPECT_EQ(m.ecn_k_bytes, TOR_ECN_OFF);
    EXPECT_EQ(m.buffer_bytes, 100000u);
    EXPECT_EQ(m.port_buffer_bytes, 50000u);
    EXPECT_EQ(m.frame_max, 9018u);
    EXPECT_EQ(m.seed, UINT64_MAX);
    EXPECT_EQ(m.sample_ps, TOR_SAMPLE_EVENTS);
    EXPECT_EQ(m.class_of_dscp[0], 3);
    EXPECT_EQ(m.class_of_dscp[63], 7);
    EXPECT_EQ(c.sync_ns, 500);
    EXPECT_EQ(c.mac_backlog_ns, 1000);
    ASSERT_EQ(m.faults, 3u);
    EXPECT_EQ(m.fault[0].kind, static_cast<uint32_t>(TOR_FAULT_LOSS));
    EXPECT_EQ(m.fault[0].directions, static_cast<uint32_t>(TOR_IN));
    EXPECT_EQ(m.fault[0].p32, TOR_P32_ONE / 4);
    EXPECT_EQ(m.fault[0].from, 10 * TOR_NS);
    EXPECT_EQ(m.fault[0].to, 20 * TOR_NS);
    EXPECT_EQ(m.fault[1].delay_ps, 5000 * TOR_NS);
    EXPECT_EQ(m.fault[1].p32, TOR_P32_ONE);
    EXPECT_EQ(m.fault[1].directions, static_cast<uint32_t>(TOR_IN | TOR_OUT));
    EXPECT_EQ(m.fault[2].to, TOR_TIME_INF);
}

TEST(switch_config, config_json__reads_back_the_same) {
    SwitchConfig c = parse_config(R"({"rate_mbps": 10000, "sample_ns": 1000, "ecn_k_bytes": null,
        "faults": [{"port": 1, "kind": "corrupt", "p": 0.001, "dir": "out", "from_ns": 5},
                   {"port": 2, "kind": "reorder", "delay_ns": 5000, "to_ns": 99}]})",
                                  4, "x");
    SwitchConfig again = parse_config(config_json(c).dump(), 0, "x");
    std::fill(c.model.rate_mbps + 4, c.model.rate_mbps + TOR_MAX_PORTS, 25000);
    std::fill(again.model.rate_mbps + 4, again.model.rate_mbps + TOR_MAX_PORTS, 25000);
    EXPECT_EQ(memcmp(&c.model, &again.model, sizeof(c.model)), 0);
}

/* Text and what the message must say. */
struct Bad {
    const char *text;
    const char *message;
};

class switch_config_bad : public testing::TestWithParam<Bad> {};

TEST_P(switch_config_bad, message__names_field_value_and_range) {
    EXPECT_THAT(error_of(GetParam().text), testing::StartsWith("switch.json: "));
    EXPECT_THAT(error_of(GetParam().text), HasSubstr(GetParam().message));
}

INSTANTIATE_TEST_SUITE_P(
    all, switch_config_bad,
    testing::Values(
        Bad{"{", "not valid JSON"}, Bad{"[]", "configuration: [], permitted a JSON object"},
        Bad{R"({"ports": 5})", "ports: 5, but --ports is 4"},
        Bad{R"({"latncy_ns": 5})", "latncy_ns: unknown field, permitted buffer_bytes"},
        Bad{R"({"latency_ns": 5})", "latency_ns: 5, permitted 10..100000000"},
        Bad{R"({"latency_ns": -5})", "latency_ns: -5, permitted 0.."},
        Bad{R"({"latency_ns": 1.5})", "latency_ns: 1.5, permitted integers"},
        Bad{R"({"latency_ns": "fast"})", R"(latency_ns: "fast", permitted integers)"},
        Bad{R"({"rate_mbps": 5})", "rate_mbps: 5 (port 0), permitted 10..800000"},
        Bad{R"({"rate_mbps": 99999999999})", "rate_mbps: 99999999999, permitted integers"},
        Bad{R"({"rate_mbps": [1, 2]})", "rate_mbps: 2 entries, permitted a number or 4 entries"},
        Bad{R"({"ecn_k_bytes": -1})", "ecn_k_bytes: -1, permitted integers 0.."},
        Bad{R"({"buffer_bytes": 10})", "buffer_bytes: 10, permitted 1522 (one frame).."},
        Bad{R"({"buffer_bytes": 99999999999})", "buffer_bytes: 99999999999, permitted 1522"},
        Bad{R"({"port_buffer_bytes": 5000000})", "port_buffer_bytes: 5000000, permitted 1522"},
        Bad{R"({"frame_max_bytes": 10000})", "frame_max_bytes: 10000, permitted 64..9216"},
        Bad{R"({"dscp_classes": [1, 2]})", "dscp_classes: 2, permitted 64 entries"},
        Bad{R"({"sample_ns": "always"})", R"(sample_ns: "always", permitted 0 (off), "events")"},
        Bad{R"({"sample_ns": 1})", "sample_ns: 1, permitted 0 (off)"},
        Bad{R"({"faults": {}})", "faults: {}, permitted a list"},
        Bad{R"({"faults": [{"port": 1}]})", "faults[0].kind: missing"},
        Bad{R"({"faults": [{"kind": "loss"}]})", "faults[0].port: missing"},
        Bad{R"({"faults": [{"port": 9, "kind": "loss"}]})", "faults[0].port: 9, permitted 0..3"},
        Bad{R"({"faults": [{"port": 1, "kind": "los"}]})",
            R"(faults[0].kind: "los", permitted "loss", "dup")"},
        Bad{R"({"faults": [{"port": 1, "kind": "loss", "p": 1.5}]})",
            "faults[0].p: 1.5, permitted"},
        Bad{R"({"faults": [{"port": 1, "kind": "loss", "dir": "up"}]})",
            R"(faults[0].dir: "up", permitted "in", "out", "both")"},
        Bad{R"({"faults": [{"port": 1, "kind": "loss", "from_ns": 9, "to_ns": 9}]})",
            "faults[0].to_ns: 9, permitted above from_ns (9)"},
        Bad{R"({"faults": [{"port": 1, "kind": "loss", "delay_ns": 9}]})",
            "faults[0].delay_ns: only for kind"},
        Bad{R"({"faults": [{"port": 1, "kind": "reorder", "delay_ns": 0}]})",
            "faults[0].delay_ns: 0, permitted 1..1000000000"},
        Bad{R"({"faults": [{"port": 1, "kind": "loss", "prob": 1}]})",
            "faults[0].prob: unknown field, permitted"}),
    [](const auto &param) { return "case" + std::to_string(param.index); });

TEST(switch_config, dscp_classes__entries_are_checked) {
    std::string classes = "[8";
    for (int i = 1; i < 64; i++)
        classes += ",0";
    EXPECT_THAT(error_of(R"({"dscp_classes": )" + classes + "]}"),
                HasSubstr("dscp_classes[0]: 8, permitted 0..7"));
}

TEST(switch_config, ports__must_come_from_somewhere) {
    EXPECT_THAT(error_of("{}", 0), HasSubstr("ports: missing"));
    EXPECT_THAT(error_of("{}", 17), HasSubstr("ports: 17, permitted 2..16"));
    EXPECT_THAT(error_of("{}", 1), HasSubstr("ports: 1, permitted 2..16"));
}

TEST(switch_config, load_config__missing_file) {
    EXPECT_THROW(load_config("/nonexistent.json", 2), ConfigError);
}

} // namespace
} // namespace etran
