// SPDX-License-Identifier: MIT
// Copyright (c) The eTran artifact authors
#include "common/result.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <cstdio>
#include <cstring>
#include <iterator>

#include <fmt/format.h>
#include <unistd.h>

#include "common/error.h"

namespace etran::wl {
namespace {

Json optional_json(const std::optional<uint64_t> &value) {
    return value ? Json(*value) : Json();
}

// [[value,count],...]
std::string sparse_text(const Histogram &histogram) {
    std::string text = "[";
    std::array<char, 48> pair;
    for (const auto &[value, count] : histogram.sparse()) {
        char *end = pair.data();
        *end++ = '[';
        end = std::to_chars(end, end + 20, value).ptr;
        *end++ = ',';
        end = std::to_chars(end, end + 20, count).ptr;
        *end++ = ']';
        *end++ = ',';
        text.append(pair.data(), end);
    }
    if (text.size() > 1)
        text.pop_back();
    return text + "]";
}

[[noreturn]] void cannot_write(const std::string &path, int error) {
    throw UserError(fmt::format("cannot write {}: {}", path, std::strerror(error)),
                    "check that the directory exists and the disk has room");
}

// Writes all of `text` next to `path`, then renames.
void replace_file(const std::string &path, const std::string &text) {
    std::string temporary = fmt::format("{}.{}.tmp", path, getpid());
    FILE *file = fopen(temporary.c_str(), "we");
    if (file == nullptr)
        cannot_write(path, errno);
    bool ok = fwrite(text.data(), 1, text.size(), file) == text.size();
    int error = errno;
    if (fclose(file) != 0 && ok) {
        ok = false;
        error = errno;
    }
    if (ok && rename(temporary.c_str(), path.c_str()) != 0) {
        ok = false;
        error = errno;
    }
    if (!ok) {
        unlink(temporary.c_str());
        cannot_write(path, error);
    }
}

} // namespace

std::string_view state_name(State state) {
    switch (state) {
    case State::kOk:
        return "ok";
    case State::kFailed:
        return "failed";
    case State::kInterrupted:
        return "interrupted";
    }
    return "failed";
}

Json head_json(const ResultHead &head) {
    double seconds = static_cast<double>(head.window_ns) * 1e-9;
    auto per_second = [&](double amount) { return seconds > 0 ? amount / seconds : 0.0; };
    auto more = static_cast<double>(std::max(head.tx_bytes, head.rx_bytes));
    Json json;
    json["version"] = kResultVersion;
    json["bench"] = head.bench;
    json["role"] = head.role;
    json["state"] = state_name(head.state);
    if (!head.problem.empty())
        json["problem"] = head.problem;
    json["params"] = head.params;
    json["window_ns"] = head.window_ns;
    json["ops"] = head.ops;
    json["bytes"] = head.tx_bytes + head.rx_bytes;
    json["tx_bytes"] = head.tx_bytes;
    json["rx_bytes"] = head.rx_bytes;
    json["throughput"] = per_second(static_cast<double>(head.ops));
    json["goodput"] = per_second(more * 8e-9);
    json["errors"] = head.errors;
    json["verified"] = head.verified;
    return json;
}

Json latency_json(std::string_view name, const Histogram &histogram, uint64_t missing) {
    Json json;
    json["name"] = name;
    json["count"] = histogram.count();
    json["unfinished"] = missing;
    json["min_ns"] = histogram.min();
    json["p50_ns"] = optional_json(histogram.percentile(0.5, missing));
    json["p90_ns"] = optional_json(histogram.percentile(0.9, missing));
    json["p99_ns"] = optional_json(histogram.percentile(0.99, missing));
    json["p999_ns"] = optional_json(histogram.percentile(0.999, missing));
    json["max_ns"] = histogram.max();
    json["mean_ns"] = histogram.mean();
    json["hdr"] = sparse_text(histogram);
    return json;
}

void judge(ResultHead &head, bool window_over, const std::string &nothing) {
    if (head.errors > 0) {
        head.state = State::kFailed;
    } else if (!window_over) {
        head.state = State::kInterrupted;
        head.problem = "asked to end before the window was over";
    } else if (head.ops == 0) {
        head.state = State::kFailed;
        head.problem = "nothing was measured: " + nothing;
    } else {
        head.state = State::kOk;
    }
}

int finish_result(const Json &json, const ResultHead &head, const std::string &path) {
    if (!path.empty())
        write_result(json, path);
    if (head.state == State::kOk)
        return kExitOk;
    fmt::print(stderr, "{}: {}: {}\n", head.bench, state_name(head.state), head.problem);
    return head.state == State::kInterrupted ? kExitInterrupted : kExitFailed;
}

std::string result_text(const Json &json) {
    constexpr std::string_view kOpen = "\"hdr\":\"";
    std::string quoted = json.dump();
    std::string text;
    text.reserve(quoted.size() + 1);
    size_t from = 0;
    for (size_t at = quoted.find(kOpen); at != std::string::npos; at = quoted.find(kOpen, from)) {
        size_t begin = at + kOpen.size();
        size_t end = quoted.find('"', begin);
        text.append(quoted, from, begin - 1 - from).append(quoted, begin, end - begin);
        from = end + 1;
    }
    return text.append(quoted, from).append("\n");
}

void write_result(const Json &json, const std::string &path) {
    std::string text = result_text(json);
    if (path == "-") {
        fwrite(text.data(), 1, text.size(), stdout);
        if (fflush(stdout) != 0)
            cannot_write("standard output", errno);
        return;
    }
    replace_file(path, text);
}

void check_writable(const std::string &path) {
    if (path.empty() || path == "-")
        return;
    size_t slash = path.rfind('/');
    std::string directory = slash == std::string::npos ? "." : path.substr(0, slash + 1);
    if (access(directory.c_str(), W_OK | X_OK) != 0)
        cannot_write(path, errno);
}

void write_samples(const std::vector<const Recorder *> &threads,
                   const std::vector<std::string> &class_names, const std::string &path) {
    std::string text = "thread,from_ns,latency_ns,bytes,class\n";
    for (size_t t = 0; t < threads.size(); t++) {
        for (const Sample &s : threads[t]->dumped()) {
            fmt::format_to(std::back_inserter(text), "{},{},{},{},{}\n", t, s.from, s.latency,
                           s.tx_bytes, class_names[s.operation]);
        }
    }
    replace_file(path, text);
}

} // namespace etran::wl
