// SPDX-License-Identifier: MIT
// Copyright (c) The eTran artifact authors
#include "common/options.h"

#include <atomic>
#include <stdexcept>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "common/clock.h"
#include "common/error.h"
#include "common/signals.h"

namespace etran::wl {
namespace {

class options : public testing::Test {
  protected:
    void SetUp() override {
        style_app(app_, "  example");
        client_ = app_.add_subcommand("client", "measure");
        add_common_options(*client_, common_);
        add_timing_options(*client_, common_);
        add_client_options(*client_, client_options_, true);
    }
    void parse(const std::string &line) { app_.parse(line, false); }

    CLI::App app_{"text", "prog"};
    CLI::App *client_ = nullptr;
    CommonOptions common_;
    ClientOptions client_options_;
};

TEST_F(options, parse__fills_in_everything) {
    parse("client --server 10.0.0.1:1,10.0.0.2:2 --seed 9 --poll busy --verify header "
          "--warmup-us 5 --duration-us 6 --start-at-ns 7 --threads 2");
    EXPECT_EQ(common_.seed, 9U);
    EXPECT_EQ(common_.poll_mode(), PollMode::kBusy);
    EXPECT_FALSE(common_.verify_payload);
    EXPECT_EQ(common_.start_at_ns, 7);
    EXPECT_EQ(client_options_.addresses().size(), 2U);
}

TEST_F(options, parse__refuses_nonsense) {
    for (const char *line :
         {"", "bogus", "client", "client --server 1.1.1.1:1 --threads 0",
          "client --server 1.1.1.1:1 --poll fast", "client --server 1.1.1.1:1 --duration-us 0",
          "client --server 1.1.1.1:1 --duration-us x", "client --server 1.1.1.1:1 --bogus",
          "client --server 1.1.1.1:1 --start-at-ns -5"}) {
        CLI::App app("text", "prog");
        style_app(app, "");
        CLI::App *client = app.add_subcommand("client", "measure");
        CommonOptions common;
        ClientOptions client_options;
        add_common_options(*client, common);
        add_timing_options(*client, common);
        add_client_options(*client, client_options, true);
        EXPECT_THROW(app.parse(std::string(line), false), CLI::ParseError) << line;
    }
}

TEST_F(options, params__have_types_and_defaults) {
    parse("client --server 10.0.0.1:1,10.0.0.2:2 --seed 9");
    Json params = params_json(*client_);
    EXPECT_EQ(params["seed"], 9);
    EXPECT_EQ(params["server"], "10.0.0.1:1,10.0.0.2:2");
    EXPECT_EQ(params["warmup-us"], 10'000);
    EXPECT_EQ(params["poll"], "sleep");
    EXPECT_EQ(params["json"], "");
    EXPECT_FALSE(params.contains("help"));
}

TEST_F(options, help__names_every_option_and_the_exit_codes) {
    std::string help = client_->help();
    for (const CLI::Option *option : client_->get_options())
        EXPECT_THAT(help, testing::HasSubstr(option->get_name(false, true)));
    EXPECT_THAT(help, testing::HasSubstr("EXIT STATUS"));
    EXPECT_THAT(help, testing::HasSubstr("(default 10000)"));
    EXPECT_THAT(help, testing::HasSubstr("--poll {sleep,busy}"));
    size_t begin = 0;
    for (size_t end = 0; (end = help.find('\n', begin)) != std::string::npos; begin = end + 1)
        EXPECT_LE(end - begin, 100U) << help.substr(begin, end - begin);
}

TEST_F(options, make_window__now_or_at_the_given_time) {
    common_.warmup_us = 1000;
    common_.duration_us = 2000;
    int64_t before = mono_ns();
    Window window = make_window(common_);
    EXPECT_GE(window.start, before);
    EXPECT_LE(window.start, mono_ns());
    EXPECT_EQ(window.begin - window.start, 1000 * kNsPerUs);
    EXPECT_EQ(window.length(), 2000 * kNsPerUs);

    common_.start_at_ns = real_ns() + 5 * kNsPerSec;
    window = make_window(common_);
    EXPECT_GT(window.start, mono_ns() + 4 * kNsPerSec);
    EXPECT_LE(window.start, mono_ns() + 5 * kNsPerSec);
}

TEST_F(options, make_window__too_late) {
    common_.start_at_ns = real_ns() - 5 * kNsPerSec;
    EXPECT_THROW(make_window(common_), UserError);
    common_.warmup_us = 3'600'000'000;
    EXPECT_NO_THROW(make_window(common_)) << "late, but still in the warm-up";
}

TEST_F(options, run_threads__runs_all_and_the_first_on_this_thread) {
    std::atomic<uint32_t> sum = 0;
    std::thread::id first;
    run_threads(4, [&](uint32_t i) {
        sum += i;
        if (i == 0)
            first = std::this_thread::get_id();
    });
    EXPECT_EQ(sum, 6U);
    EXPECT_TRUE(first == std::this_thread::get_id());
}

TEST_F(options, run_threads__a_failure_stops_the_others_and_comes_out) {
    reset_stop();
    EXPECT_THROW(run_threads(3,
                             [&](uint32_t i) {
                                 if (i == 1)
                                     throw UserError("broken", "");
                                 while (!stop_requested())
                                     std::this_thread::yield();
                             }),
                 UserError);
    reset_stop();
}

TEST_F(options, run_program__exit_codes_and_messages) {
    std::vector<std::string> words = {"prog", "client", "--server", "1.1.1.1:1"};
    std::vector<char *> argv;
    for (std::string &word : words)
        argv.push_back(word.data());
    auto run = [&](const std::function<int()> &body) {
        testing::internal::CaptureStderr();
        int code = run_program(app_, static_cast<int>(argv.size()), argv.data(), body);
        return std::pair(code, testing::internal::GetCapturedStderr());
    };
    EXPECT_EQ(run([] { return 0; }).first, 0);
    auto [code, text] = run([]() -> int { throw UserError("port in use", "choose another"); });
    EXPECT_EQ(code, kExitUsage);
    EXPECT_EQ(text, "prog: port in use\n  what to do: choose another\n");
    EXPECT_EQ(run([]() -> int { throw UserError("x", "", kExitInterrupted); }).first, 3);
    EXPECT_EQ(run([]() -> int { throw std::bad_alloc(); }).first, kExitUsage);
    argv.pop_back();
    EXPECT_EQ(run([] { return 0; }).first, kExitUsage) << "--server without a value";
}

} // namespace
} // namespace etran::wl
