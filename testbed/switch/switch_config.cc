/* SPDX-License-Identifier: MIT
 * Copyright (c) The eTran artifact authors
 */
#include "switch_config.h"

#include <fmt/format.h>

#include <array>
#include <cerrno>
#include <cmath>
#include <cstring>
#include <fstream>
#include <limits>
#include <set>
#include <sstream>

namespace etran {
namespace {

using nlohmann::json;

/* In the order of enum tor_fault_kind. */
constexpr std::array<const char *, TOR_FAULT_KINDS> kFaultNames = {"loss", "dup", "reorder",
                                                                   "corrupt", "down"};
constexpr std::array<const char *, 4> kDirections = {"", "in", "out", "both"};

[[noreturn]] void refuse(const std::string &field, const json &value,
                         const std::string &permitted) {
    throw ConfigError(fmt::format("{}: {}, permitted {}", field, value.dump(), permitted));
}

/* An object whose fields are taken one by one; what is left over is unknown. */
class Fields {
  public:
    Fields(const json &object, std::string prefix) : object_(object), prefix_(std::move(prefix)) {
        if (!object.is_object())
            refuse(prefix_.empty() ? "configuration" : prefix_, object, "a JSON object");
    }

    /* NULL if absent. */
    const json *find(const std::string &name) {
        known_.insert(name);
        auto it = object_.find(name);
        return it == object_.end() ? nullptr : &*it;
    }

    std::string path(const std::string &name) const {
        return prefix_.empty() ? name : prefix_ + "." + name;
    }

    /* An integer within the type of *out; ranges proper are checked by tor_config_check. */
    template <typename T> void integer(const std::string &name, T *out) {
        const json *v = find(name);
        if (v)
            *out = to_integer<T>(*v, path(name));
    }

    /* Nanoseconds to picoseconds. */
    void nanoseconds(const std::string &name, tor_time *out) {
        const json *v = find(name);
        if (v)
            *out = to_time(*v, path(name));
    }

    template <typename T> static T to_integer(const json &v, const std::string &path) {
        constexpr T kMin = std::numeric_limits<T>::min();
        constexpr T kMax = std::numeric_limits<T>::max();
        bool fits = v.is_number_unsigned() ? v.get<uint64_t>() <= static_cast<uint64_t>(kMax)
                    : v.is_number_integer()
                        ? v.get<int64_t>() >= 0 || (std::is_signed_v<T> &&
                                                    v.get<int64_t>() >= static_cast<int64_t>(kMin))
                        : false;
        if (!fits)
            refuse(path, v, fmt::format("integers {}..{}", kMin, kMax));
        return v.get<T>();
    }

    static tor_time to_time(const json &v, const std::string &path) {
        int64_t ns = to_integer<int64_t>(v, path);
        if (ns < 0 || ns > TOR_TIME_INF / TOR_NS)
            refuse(path, v, fmt::format("0..{} ns", TOR_TIME_INF / TOR_NS));
        return ns * TOR_NS;
    }

    void no_others() const {
        for (const auto &item : object_.items()) {
            if (!known_.count(item.key()))
                throw ConfigError(fmt::format("{}: unknown field, permitted {}", path(item.key()),
                                              fmt::join(known_, ", ")));
        }
    }

  private:
    const json &object_;
    std::string prefix_;
    std::set<std::string> known_;
};

template <size_t N>
uint32_t choose(const json &v, const std::string &path, const std::array<const char *, N> &names) {
    if (v.is_string()) {
        for (size_t i = 0; i < N; i++) {
            if (*names[i] && v.get<std::string>() == names[i])
                return static_cast<uint32_t>(i);
        }
    }
    std::string list;
    for (const char *n : names) {
        if (*n)
            list += fmt::format("{}\"{}\"", list.empty() ? "" : ", ", n);
    }
    refuse(path, v, list);
}

tor_fault parse_fault(const json &object, const std::string &prefix) {
    Fields f(object, prefix);
    tor_fault fault{};

    const json *kind = f.find("kind");
    if (!kind)
        throw ConfigError(f.path("kind") + ": missing");
    fault.kind = choose(*kind, f.path("kind"), kFaultNames);
    const json *port = f.find("port");
    if (!port)
        throw ConfigError(f.path("port") + ": missing");
    fault.port = Fields::to_integer<uint32_t>(*port, f.path("port"));
    const json *dir = f.find("dir");
    fault.directions = dir ? choose(*dir, f.path("dir"), kDirections) : TOR_IN | TOR_OUT;
    f.nanoseconds("from_ns", &fault.from);
    fault.to = TOR_TIME_INF;
    const json *to = f.find("to_ns");
    if (to && !to->is_null())
        fault.to = Fields::to_time(*to, f.path("to_ns"));
    fault.p32 = TOR_P32_ONE;
    if (const json *p = f.find("p")) {
        if (!p->is_number() || !(p->get<double>() >= 0 && p->get<double>() <= 1))
            refuse(f.path("p"), *p, "numbers 0..1");
        fault.p32 = static_cast<uint64_t>(std::llround(p->get<double>() * TOR_P32_ONE));
    }
    const json *delay = f.find("delay_ns");
    if (fault.kind == TOR_FAULT_REORDER)
        fault.delay_ps = delay ? Fields::to_time(*delay, f.path("delay_ns")) : 20000 * TOR_NS;
    else if (delay)
        throw ConfigError(f.path("delay_ns") + ": only for kind \"reorder\"");
    f.no_others();
    return fault;
}

void parse_rate(const json &v, tor_config *m) {
    if (!v.is_array()) {
        uint32_t rate = Fields::to_integer<uint32_t>(v, "rate_mbps");
        std::fill(m->rate_mbps, m->rate_mbps + TOR_MAX_PORTS, rate);
        return;
    }
    if (v.size() != m->ports)
        throw ConfigError(fmt::format("rate_mbps: {} entries, permitted a number or {} entries "
                                      "(one per port)",
                                      v.size(), m->ports));
    for (size_t i = 0; i < v.size(); i++)
        m->rate_mbps[i] = Fields::to_integer<uint32_t>(v[i], fmt::format("rate_mbps[{}]", i));
}

void parse_classes(const json &v, tor_config *m) {
    if (!v.is_array() || v.size() != TOR_DSCPS)
        refuse("dscp_classes", v.is_array() ? json(v.size()) : v,
               "64 entries, one queue (0..7) per DSCP");
    for (size_t i = 0; i < v.size(); i++)
        m->class_of_dscp[i] = Fields::to_integer<uint8_t>(v[i], fmt::format("dscp_classes[{}]", i));
}

void parse_sampling(const json &v, tor_config *m) {
    if (v == "events")
        m->sample_ps = TOR_SAMPLE_EVENTS;
    else if (v.is_number_integer())
        m->sample_ps = Fields::to_time(v, "sample_ns");
    else
        refuse("sample_ns", v, "0 (off), \"events\", or 10..1000000000");
}

SwitchConfig from_json(const json &root, uint32_t ports) {
    Fields f(root, "");
    uint32_t file_ports = ports;
    f.integer("ports", &file_ports);
    if (!file_ports)
        throw ConfigError("ports: missing; give it in the file or as --ports");
    if (ports && file_ports != ports)
        throw ConfigError(fmt::format("ports: {}, but --ports is {}", file_ports, ports));
    SwitchConfig c;
    tor_config *m = &c.model;
    tor_config_default(m, file_ports);
    if (m->ports < 2 || m->ports > TOR_MAX_PORTS)
        throw ConfigError(fmt::format("ports: {}, permitted 2..{}", m->ports, +TOR_MAX_PORTS));
    if (const json *v = f.find("rate_mbps"))
        parse_rate(*v, m);
    f.nanoseconds("latency_ns", &m->latency_ps);
    const json *k = f.find("ecn_k_bytes");
    if (k)
        m->ecn_k_bytes =
            k->is_null() ? TOR_ECN_OFF : Fields::to_integer<uint64_t>(*k, "ecn_k_bytes");
    f.integer("buffer_bytes", &m->buffer_bytes);
    m->port_buffer_bytes = std::min(m->port_buffer_bytes, m->buffer_bytes);
    f.integer("port_buffer_bytes", &m->port_buffer_bytes);
    f.integer("frame_max_bytes", &m->frame_max);
    f.integer("seed", &m->seed);
    if (const json *v = f.find("dscp_classes"))
        parse_classes(*v, m);
    if (const json *v = f.find("sample_ns"))
        parse_sampling(*v, m);
    f.integer("sync_ns", &c.sync_ns);
    f.integer("mac_backlog_ns", &c.mac_backlog_ns);
    if (const json *v = f.find("faults")) {
        if (!v->is_array() || v->size() > TOR_MAX_FAULTS)
            refuse("faults", v->is_array() ? json(v->size()) : *v,
                   fmt::format("a list of up to {} faults", +TOR_MAX_FAULTS));
        for (const json &fault : *v) {
            m->fault[m->faults] = parse_fault(fault, fmt::format("faults[{}]", m->faults));
            m->faults++;
        }
    }
    f.no_others();
    std::array<char, 300> err{};
    if (tor_config_check(m, err.data(), err.size()))
        throw ConfigError(err.data());
    return c;
}

} // namespace

SwitchConfig parse_config(const std::string &text, uint32_t ports, const std::string &source) {
    try {
        return from_json(json::parse(text), ports);
    } catch (const json::exception &e) {
        throw ConfigError(fmt::format("{}: not valid JSON: {}", source, e.what()));
    } catch (const ConfigError &e) {
        throw ConfigError(fmt::format("{}: {}", source, e.what()));
    }
}

SwitchConfig load_config(const std::string &path, uint32_t ports) {
    if (path.empty())
        return parse_config("{}", ports, "default configuration");
    std::ifstream in(path);
    std::ostringstream text;
    if (!in)
        throw ConfigError(fmt::format("{}: cannot read: {}", path, std::strerror(errno)));
    text << in.rdbuf();
    return parse_config(text.str(), ports, path);
}

json config_json(const SwitchConfig &config) {
    const tor_config &m = config.model;
    json j = {
        {"ports", m.ports},
        {"rate_mbps", std::vector<uint32_t>(m.rate_mbps, m.rate_mbps + m.ports)},
        {"latency_ns", m.latency_ps / TOR_NS},
        {"ecn_k_bytes", m.ecn_k_bytes == TOR_ECN_OFF ? json() : json(m.ecn_k_bytes)},
        {"buffer_bytes", m.buffer_bytes},
        {"port_buffer_bytes", m.port_buffer_bytes},
        {"frame_max_bytes", m.frame_max},
        {"seed", m.seed},
        {"dscp_classes", std::vector<uint8_t>(m.class_of_dscp, m.class_of_dscp + TOR_DSCPS)},
        {"sample_ns",
         m.sample_ps == TOR_SAMPLE_EVENTS ? json("events") : json(m.sample_ps / TOR_NS)},
        {"sync_ns", config.sync_ns},
        {"mac_backlog_ns", config.mac_backlog_ns},
        {"faults", json::array()},
    };
    for (uint32_t i = 0; i < m.faults; i++) {
        const tor_fault &f = m.fault[i];
        json fault = {
            {"kind", kFaultNames[f.kind]},
            {"port", f.port},
            {"dir", kDirections[f.directions]},
            {"from_ns", f.from / TOR_NS},
            {"to_ns", f.to == TOR_TIME_INF ? json() : json(f.to / TOR_NS)},
            {"p", static_cast<double>(f.p32) / static_cast<double>(TOR_P32_ONE)},
        };
        if (f.kind == TOR_FAULT_REORDER)
            fault["delay_ns"] = f.delay_ps / TOR_NS;
        j["faults"].push_back(fault);
    }
    return j;
}

} // namespace etran
