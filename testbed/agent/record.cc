// SPDX-License-Identifier: MIT
// Copyright (c) The eTran artifact authors
#include "record.h"

#include <algorithm>
#include <cstdio>
#include <fstream>
#include <optional>
#include <sstream>

#include <fcntl.h>
#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <unistd.h>

#include "process.h"

namespace etran::agent {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::streamoff kTailBytes = 600;

template <typename T> Json or_null(const std::optional<T> &value) {
    return value ? Json(*value) : Json(nullptr);
}

Json output(const OutputInfo &info) {
    if (info.file.empty())
        return nullptr;
    return {{"file", info.file}, {"bytes", info.bytes}, {"truncated", info.truncated}};
}

std::string tail(const std::string &path) {
    std::ifstream file(path, std::ios::binary | std::ios::ate);
    if (!file)
        return {};
    const std::streamoff size = file.tellg();
    file.seekg(std::max<std::streamoff>(0, size - kTailBytes));
    std::ostringstream text;
    text << file.rdbuf();
    return text.str();
}

} // namespace

std::string format_record(const Timetable &table, int64_t t0_ns, const RunResult &result) {
    Json steps = Json::array();
    for (size_t i = 0; i < table.steps.size(); i++) {
        const Step &step = table.steps[i];
        const StepResult &done = result.steps[i];
        steps.push_back({
            {"id", step.id},
            {"argv", done.argv.empty() ? step.argv : done.argv},
            {"env", step.env},
            {"critical", step.critical},
            {"at_ns", step.at_ns},
            {"stop_at_ns", or_null(step.stop_at_ns)},
            {"start_ns", or_null(done.outcome.start_ns)},
            {"end_ns", or_null(done.outcome.end_ns)},
            {"exit_status", or_null(done.outcome.exit_status)},
            {"signal", or_null(done.outcome.signal)},
            {"state", state_name(done.outcome.state)},
            {"reason", done.outcome.reason},
            {"stdout", output(done.out)},
            {"stderr", output(done.err)},
        });
    }
    const Json record = {
        {"version", 1},
        {"node", table.node},
        {"nodes", table.nodes},
        {"mode", table.mode == Mode::kVirtual ? "virtual" : "wallclock"},
        {"t0_ns", t0_ns},
        {"end_ns", table.end_ns},
        {"state", state_name(result.verdict)},
        {"steps", std::move(steps)},
    };
    // Whatever bytes the timetable's strings hold, the record is valid JSON.
    return record.dump(1, ' ', false, Json::error_handler_t::replace) + "\n";
}

std::string describe_failures(const Timetable &table, const RunResult &result,
                              const std::string &out_dir) {
    std::string text;
    for (size_t i = 0; i < table.steps.size(); i++) {
        const StepResult &done = result.steps[i];
        if (done.outcome.state == State::kOk)
            continue;
        const auto &argv = done.argv.empty() ? table.steps[i].argv : done.argv;
        text +=
            fmt::format("step {} {}: {}\n  command: {}\n", table.steps[i].id,
                        state_name(done.outcome.state), done.outcome.reason, fmt::join(argv, " "));
        for (const auto &file : {done.err.file, done.out.file}) {
            const auto end =
                file.empty() ? std::string() : tail(fmt::format("{}/{}", out_dir, file));
            if (end.empty())
                continue;
            text += fmt::format("  {} ends with:\n{}{}", file, end, end.back() == '\n' ? "" : "\n");
            break;
        }
    }
    return text;
}

void write_file(const std::string &path, const std::string &text) {
    const std::string part = path + ".part";
    const Fd file(open(part.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0644));
    if (!file)
        throw_errno("cannot create " + part);
    for (size_t done = 0; done < text.size();) {
        const ssize_t put = write(file.get(), text.data() + done, text.size() - done);
        if (put < 0 && errno == EINTR)
            continue;
        if (put < 0)
            throw_errno("cannot write " + part);
        done += static_cast<size_t>(put);
    }
    if (rename(part.c_str(), path.c_str()) < 0)
        throw_errno("cannot rename " + part);
}

} // namespace etran::agent
