// SPDX-License-Identifier: MIT
// Copyright (c) The eTran artifact authors
#include "timetable.h"

#include <algorithm>
#include <fstream>
#include <set>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace etran::agent {
namespace {

using Json = nlohmann::json;

[[noreturn]] void fail(std::string_view where, std::string_view what) {
    throw TimetableError(fmt::format("{}: {}", where, what));
}

// One object of the document with the path to it; every accessor reports that path.
class Fields {
  public:
    Fields(const Json &object, std::string path) : object_(object), path_(std::move(path)) {
        if (!object_.is_object())
            fail(path_, fmt::format("must be an object, is {}", object_.type_name()));
    }

    std::string at(std::string_view name) const {
        return path_ == "timetable" ? std::string(name) : fmt::format("{}.{}", path_, name);
    }

    // A misspelt optional field would silently keep its default.
    void only(const std::set<std::string> &known) const {
        for (const auto &item : object_.items())
            if (!known.contains(item.key()))
                fail(at(item.key().substr(0, 64)), "is not a field of this object");
    }

    const Json *find(const std::string &name) const {
        const auto found = object_.find(name);
        return found == object_.end() || found->is_null() ? nullptr : &*found;
    }

    const Json &need(const std::string &name) const {
        const Json *value = find(name);
        if (!value)
            fail(at(name), "is missing");
        return *value;
    }

    int64_t integer(const std::string &name, const Json &value, int64_t low, int64_t high) const {
        const bool fits = value.is_number_unsigned() ? value.get<uint64_t>() <= INT64_MAX
                                                     : value.is_number_integer();
        if (!fits)
            fail(at(name), "must be a whole number of at most 63 bits");
        const auto number = value.get<int64_t>();
        if (number < low || number > high)
            fail(at(name), fmt::format("is {}, must be from {} to {}", number, low, high));
        return number;
    }

    int64_t integer(const std::string &name, int64_t low, int64_t high) const {
        return integer(name, need(name), low, high);
    }

    std::optional<int64_t> optional_integer(const std::string &name, int64_t low,
                                            int64_t high) const {
        const Json *value = find(name);
        return value ? std::optional(integer(name, *value, low, high)) : std::nullopt;
    }

    // A string that can be handed to the kernel: no NUL inside.
    std::string text(const std::string &where, const Json &value) const {
        if (!value.is_string())
            fail(at(where), fmt::format("must be a string, is {}", value.type_name()));
        auto string = value.get<std::string>();
        if (string.find('\0') != std::string::npos)
            fail(at(where), "contains a NUL character");
        return string;
    }

  private:
    const Json &object_;
    std::string path_;
};

bool is_plain_name(std::string_view name) {
    const auto good = [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
               c == '.' || c == '_' || c == '-';
    };
    return !name.empty() && name.size() <= 128 && name.front() != '.' &&
           std::all_of(name.begin(), name.end(), good);
}

std::string output_name(const Fields &fields, const std::string &field) {
    const Json *value = fields.find(field);
    if (!value)
        return {};
    auto name = fields.text(field, *value);
    if (!is_plain_name(name))
        fail(fields.at(field), "must be a plain file name of at most 128 letters, digits, . _ -");
    if (name == "agent.json")
        fail(fields.at(field), "agent.json is the agent's own record");
    return name;
}

Step parse_step(const Json &json, const std::string &path, int64_t end_ns) {
    const Fields fields(json, path);
    fields.only(
        {"id", "at_ns", "argv", "env", "stop_at_ns", "timeout_ns", "stdout", "stderr", "critical"});
    Step step;
    step.id = fields.text("id", fields.need("id"));
    if (!is_plain_name(step.id))
        fail(fields.at("id"), "must have 1 to 128 letters, digits, . _ -, not begin with a dot");
    step.at_ns = fields.integer("at_ns", 0, end_ns - 1);
    const Json &argv = fields.need("argv");
    if (!argv.is_array() || argv.empty())
        fail(fields.at("argv"), "must be a list of at least one word");
    for (size_t i = 0; i < argv.size(); i++)
        step.argv.push_back(fields.text(fmt::format("argv[{}]", i), argv[i]));
    if (step.argv.front().empty())
        fail(fields.at("argv[0]"), "is empty");
    if (const Json *env = fields.find("env")) {
        if (!env->is_object())
            fail(fields.at("env"), "must be an object of strings");
        for (const auto &item : env->items()) {
            const auto &name = item.key();
            if (name.empty() || name.find('=') != std::string::npos ||
                name.find('\0') != std::string::npos)
                fail(fields.at("env"), "has a name that is empty or contains = or NUL");
            step.env[name] = fields.text("env." + name, item.value());
        }
    }
    step.stop_at_ns = fields.optional_integer("stop_at_ns", 0, end_ns);
    if (step.stop_at_ns && *step.stop_at_ns <= step.at_ns)
        fail(fields.at("stop_at_ns"),
             fmt::format("is {}, must be after at_ns, which is {}", *step.stop_at_ns, step.at_ns));
    step.timeout_ns = fields.optional_integer("timeout_ns", 1, kMaxEndNs);
    step.stdout_file = output_name(fields, "stdout");
    step.stderr_file = output_name(fields, "stderr");
    if (const Json *critical = fields.find("critical")) {
        if (!critical->is_boolean())
            fail(fields.at("critical"), "must be true or false");
        step.critical = critical->get<bool>();
    }
    return step;
}

Timetable parse_checked(std::string_view text) {
    const Json json = Json::parse(text);
    const Fields fields(json, "timetable");
    fields.only({"version", "node", "nodes", "mode", "t0_ns", "lead_ns", "steps", "end_ns"});
    if (fields.integer("version", 0, INT64_MAX) != 1)
        fail("version", "this agent understands version 1 only");

    Timetable table;
    table.nodes = fields.integer("nodes", 1, kMaxNodes);
    table.node = fields.integer("node", 0, table.nodes - 1);
    const auto mode = fields.text("mode", fields.need("mode"));
    if (mode != "virtual" && mode != "wallclock")
        fail("mode", "must be \"virtual\" or \"wallclock\"");
    table.mode = mode == "virtual" ? Mode::kVirtual : Mode::kWallclock;
    table.t0_ns = fields.optional_integer("t0_ns", 1, INT64_MAX / 2);
    table.lead_ns = fields.optional_integer("lead_ns", 0, 60'000'000'000LL).value_or(0);
    table.end_ns = fields.integer("end_ns", 1, kMaxEndNs);

    const Json &steps = fields.need("steps");
    if (!steps.is_array() || steps.size() > kMaxSteps)
        fail("steps", fmt::format("must be a list of at most {} steps", kMaxSteps));
    std::set<std::string> ids;
    std::set<std::string> files;
    for (size_t i = 0; i < steps.size(); i++) {
        const auto path = fmt::format("steps[{}]", i);
        auto step = parse_step(steps[i], path, table.end_ns);
        if (!ids.insert(step.id).second)
            fail(path + ".id", fmt::format("\"{}\" is used twice", step.id));
        // stdout and stderr of one step may share a file; two steps would overwrite each other.
        for (const auto &name : std::set<std::string>{step.stdout_file, step.stderr_file})
            if (!name.empty() && !files.insert(name).second)
                fail(path, fmt::format("output file \"{}\" is used by two steps", name));
        table.steps.push_back(std::move(step));
    }
    return table;
}

void replace_all(std::string &text, std::string_view from, std::string_view to) {
    for (size_t at = 0; (at = text.find(from, at)) != std::string::npos; at += to.size())
        text.replace(at, from.size(), to);
}

} // namespace

Timetable parse_timetable(std::string_view json) {
    if (json.size() > kMaxTimetableBytes)
        throw TimetableError(fmt::format("has more than {} bytes", kMaxTimetableBytes));
    try {
        return parse_checked(json);
    } catch (const Json::exception &error) {
        throw TimetableError(fmt::format("is not valid JSON: {}", error.what()));
    }
}

Timetable load_timetable(const std::string &path) {
    std::ifstream file(path, std::ios::binary);
    if (!file)
        throw TimetableError(fmt::format("{}: cannot be opened", path));
    std::string text(kMaxTimetableBytes + 1, '\0');
    file.read(text.data(), static_cast<std::streamsize>(text.size()));
    if (file.bad())
        throw TimetableError(fmt::format("{}: cannot be read", path));
    text.resize(static_cast<size_t>(file.gcount()));
    try {
        return parse_timetable(text);
    } catch (const TimetableError &error) {
        throw TimetableError(fmt::format("{}: {}", path, error.what()));
    }
}

std::vector<std::string> expand_argv(const std::vector<std::string> &argv, int64_t t0_ns,
                                     std::string_view out_dir) {
    std::vector<std::string> words = argv;
    for (auto &word : words) {
        replace_all(word, "{t0_ns}", std::to_string(t0_ns));
        replace_all(word, "{out}", out_dir);
    }
    return words;
}

} // namespace etran::agent
