// SPDX-License-Identifier: MIT
// Copyright (c) The eTran artifact authors
#include "common/options.h"

#include <algorithm>
#include <cstdio>
#include <exception>
#include <mutex>
#include <new>
#include <thread>

#include <fmt/format.h>
#include <sys/resource.h>

#include "common/clock.h"
#include "common/error.h"
#include "common/signals.h"

namespace etran::wl {
namespace {

// Numbers and booleans as such, everything else as a string.
Json typed(const std::string &text) {
    Json value = Json::parse(text, nullptr, false);
    if (value.is_number() || value.is_boolean())
        return value;
    return text;
}

} // namespace

void add_common_options(CLI::App &app, CommonOptions &options) {
    app.option_defaults()->always_capture_default();
    app.add_option("--threads", options.threads,
                   "Threads, each with its own event loop and connections")
        ->check(CLI::Range(1, 256));
    app.add_option_function<std::string>(
           "--poll", [&options](const std::string &mode) { options.busy = mode == "busy"; },
           "sleep: block while nothing happens; busy: never block (needs a core of its own)")
        ->check(CLI::IsMember({"sleep", "busy"}))
        ->default_str("sleep");
    app.add_option_function<std::string>(
           "--verify",
           [&options](const std::string &what) { options.verify_payload = what == "full"; },
           "full: compare every received byte with the pattern; header: only lengths and identity")
        ->check(CLI::IsMember({"full", "header"}))
        ->default_str("full");
    app.add_option("--seed", options.seed, "Seed of all random choices");
    app.add_option("--json", options.json, "Write the result to this file; - is standard output")
        ->type_name("FILE");
}

void add_timing_options(CLI::App &app, CommonOptions &options) {
    app.add_option("--start-at-ns", options.start_at_ns,
                   "Start the load at this Unix time in ns (CLOCK_REALTIME); 0: when connected")
        ->check(CLI::NonNegativeNumber);
    app.add_option("--warmup-us", options.warmup_us, "Load before the measured window, in us")
        ->check(CLI::Range(INT64_C(0), INT64_C(3'600'000'000)));
    app.add_option("--duration-us", options.duration_us, "Length of the measured window, in us")
        ->check(CLI::Range(INT64_C(1), INT64_C(3'600'000'000)));
}

void add_client_options(CLI::App &app, ClientOptions &options, bool several_servers) {
    app.add_option("--server", options.servers,
                   several_servers ? "Servers: ip:port[,ip:port...]; requests go to a random one"
                                   : "Server: ip:port")
        ->required()
        ->type_name("ADDRESS");
    app.add_option("--server-ports", options.server_ports,
                   "Consecutive ports of each server; connections take them in turn")
        ->check(CLI::Range(1, 1024));
    app.add_option("--connect-timeout-ms", options.connect_timeout_ms,
                   "Give up if a server does not accept within this time")
        ->check(CLI::Range(INT64_C(1), INT64_C(3'600'000)));
    app.add_option("--drain-us", options.drain_us,
                   "After the window, wait at most this long for what is still under way")
        ->check(CLI::Range(INT64_C(0), INT64_C(3'600'000'000)));
    app.add_option("--dump-samples", options.dump_samples,
                   "Also write every sample to this CSV file (at most 1,000,000 per thread)")
        ->type_name("FILE");
}

void add_server_options(CLI::App &app, ServerOptions &options) {
    app.add_option("--listen", options.listen,
                   "Address and first port; thread i listens on the port plus i")
        ->type_name("ADDRESS");
    app.add_option("--fault-flip-byte", options.fault_flip_byte,
                   "Test aid: flip one bit in the last byte of the N-th reply (0: never)");
}

Json params_json(const CLI::App &app) {
    Json json = Json::object();
    for (const CLI::Option *option : app.get_options()) {
        std::string name = option->get_single_name();
        if (name == "help")
            continue;
        if (option->get_expected_max() == 0)
            json[name] = option->count() > 0;
        else if (option->count() > 0)
            json[name] = typed(CLI::detail::join(option->results(), ","));
        else
            json[name] = typed(option->get_default_str());
    }
    return json;
}

Window make_window(const CommonOptions &options) {
    int64_t now = mono_ns();
    int64_t start = options.start_at_ns == 0 ? now : mono_from_real(options.start_at_ns);
    Window window;
    window.start = start;
    window.begin = start + options.warmup_us * kNsPerUs;
    window.end = window.begin + options.duration_us * kNsPerUs;
    if (options.start_at_ns != 0 && now > window.begin) {
        throw UserError(fmt::format("--start-at-ns passed {} us ago, longer than the warm-up",
                                    (now - start) / kNsPerUs),
                        "start the program earlier or choose a later start");
    }
    return window;
}

void raise_file_limit() {
    rlimit limit = {};
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < limit.rlim_max) {
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
}

void run_threads(uint32_t threads, const std::function<void(uint32_t)> &body) {
    std::mutex mutex;
    std::exception_ptr failure;
    auto guarded = [&](uint32_t index) {
        try {
            body(index);
        } catch (...) {
            std::lock_guard<std::mutex> lock(mutex);
            if (!failure)
                failure = std::current_exception();
            request_stop();
        }
    };
    std::vector<std::thread> others;
    others.reserve(threads - 1);
    for (uint32_t i = 1; i < threads; i++)
        others.emplace_back(guarded, i);
    guarded(0);
    for (std::thread &thread : others)
        thread.join();
    if (failure)
        std::rethrow_exception(failure);
}

int run_program(CLI::App &app, int argc, char **argv, const std::function<int()> &body) {
    try {
        app.parse(argc, argv);
    } catch (const CLI::ParseError &error) {
        return app.exit(error) == 0 ? kExitOk : kExitUsage;
    }
    try {
        install_signal_handlers();
        raise_file_limit();
        return body();
    } catch (const UserError &error) {
        fmt::print(stderr, "{}: {}\n", app.get_name(), error.what());
        if (!error.hint().empty())
            fmt::print(stderr, "  what to do: {}\n", error.hint());
        return error.code();
    } catch (const std::bad_alloc &) {
        fmt::print(stderr, "{}: out of memory\n  what to do: fewer threads or connections\n",
                   app.get_name());
        return kExitUsage;
    }
}

} // namespace etran::wl
