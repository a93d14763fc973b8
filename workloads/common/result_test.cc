// SPDX-License-Identifier: MIT
// Copyright (c) The eTran artifact authors
#include "common/result.h"

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>

#include <gtest/gtest.h>
#include <unistd.h>

#include "common/error.h"

namespace etran::wl {
namespace {

class result : public testing::Test {
  protected:
    void SetUp() override {
        std::string pattern = testing::TempDir() + "resultXXXXXX";
        directory_ = mkdtemp(pattern.data());
    }
    void TearDown() override { std::filesystem::remove_all(directory_); }

    std::string path(const std::string &name) const { return directory_ + "/" + name; }
    static std::string read(const std::string &path) {
        std::ifstream file(path);
        return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
    }

    std::string directory_;
};

ResultHead head() {
    ResultHead h;
    h.bench = "rpcbench";
    h.role = "client";
    h.params = {{"seed", 1}};
    h.window_ns = 100'000'000;
    h.ops = 1000;
    h.tx_bytes = 1'000'000;
    h.rx_bytes = 250'000;
    h.verified = 1000;
    return h;
}

TEST_F(result, head__has_the_agreed_fields) {
    Json json = head_json(head());
    EXPECT_EQ(json["version"], 1);
    EXPECT_EQ(json["bench"], "rpcbench");
    EXPECT_EQ(json["role"], "client");
    EXPECT_EQ(json["state"], "ok");
    EXPECT_FALSE(json.contains("problem"));
    EXPECT_EQ(json["params"]["seed"], 1);
    EXPECT_EQ(json["window_ns"], 100'000'000);
    EXPECT_EQ(json["bytes"], 1'250'000);
    EXPECT_DOUBLE_EQ(json["throughput"], 10'000);
    EXPECT_DOUBLE_EQ(json["goodput"], 0.08) << "Gbit/s of the larger direction";
    EXPECT_EQ(json["errors"], 0);
    EXPECT_EQ(json["verified"], 1000);
}

TEST_F(result, head__no_window_is_no_rate) {
    ResultHead h = head();
    h.window_ns = 0;
    EXPECT_EQ(head_json(h)["throughput"], 0.0);
}

TEST_F(result, latency__percentiles_or_null_and_buckets) {
    Histogram histogram;
    for (int i = 1; i <= 200; i++)
        histogram.record(i);
    Json json = latency_json("all", histogram, 0);
    EXPECT_EQ(json["name"], "all");
    EXPECT_EQ(json["count"], 200);
    EXPECT_EQ(json["p50_ns"], 100);
    EXPECT_EQ(json["p90_ns"], 180);
    EXPECT_TRUE(json["p99_ns"].is_null()) << "needs 1000 samples";
    EXPECT_TRUE(json["p999_ns"].is_null());
    EXPECT_EQ(json["min_ns"], 1);
    EXPECT_EQ(json["max_ns"], 200);
    EXPECT_DOUBLE_EQ(json["mean_ns"], 100.5);
    Json file = Json::parse(result_text(json));
    ASSERT_EQ(file["hdr"].size(), 200U);
    EXPECT_EQ(file["hdr"][0], (Json{1, 1}));
}

TEST_F(result, result_text__turns_every_hdr_into_an_array_and_nothing_else) {
    Histogram one;
    one.record(70'000);
    Json json = head_json(head());
    json["params"]["name"] = "a \"hdr\":\"x\" in a string";
    json["latency"] = {latency_json("a", one, 3), latency_json("b", Histogram(), 0)};
    json["last"] = "text";
    std::string text = result_text(json);
    EXPECT_EQ(text.back(), '\n');
    Json file = Json::parse(text);
    EXPECT_EQ(file["latency"][0]["hdr"].size(), 1U);
    EXPECT_EQ(file["latency"][0]["unfinished"], 3);
    EXPECT_EQ(file["latency"][1]["hdr"], Json::array());
    EXPECT_EQ(file["last"], "text");
    EXPECT_EQ(file["params"], json["params"]);
}

TEST_F(result, judge__states) {
    ResultHead h = head();
    judge(h, true, "nothing");
    EXPECT_EQ(h.state, State::kOk);
    h.ops = 0;
    judge(h, true, "no message came");
    EXPECT_EQ(h.state, State::kFailed);
    EXPECT_EQ(h.problem, "nothing was measured: no message came");
    judge(h, false, "");
    EXPECT_EQ(h.state, State::kInterrupted);
    h.errors = 1;
    judge(h, false, "");
    EXPECT_EQ(h.state, State::kFailed) << "an error is worse than an interruption";
}

TEST_F(result, finish__exit_codes) {
    ResultHead h = head();
    EXPECT_EQ(finish_result(head_json(h), h, ""), kExitOk);
    h.state = State::kFailed;
    EXPECT_EQ(finish_result(head_json(h), h, path("x.json")), kExitFailed);
    EXPECT_EQ(Json::parse(read(path("x.json")))["state"], "failed");
    h.state = State::kInterrupted;
    EXPECT_EQ(finish_result(head_json(h), h, ""), kExitInterrupted);
}

TEST_F(result, write__replaces_and_leaves_nothing_else) {
    write_result(Json{{"a", 1}}, path("r.json"));
    write_result(Json{{"a", 2}}, path("r.json"));
    EXPECT_EQ(read(path("r.json")), "{\"a\":2}\n");
    EXPECT_EQ(std::distance(std::filesystem::directory_iterator(directory_), {}), 1);
}

TEST_F(result, write__fails_with_a_message) {
    EXPECT_THROW(write_result(Json{{"a", 1}}, path("none/r.json")), UserError);
    EXPECT_THROW(check_writable(path("none/r.json")), UserError);
    EXPECT_NO_THROW(check_writable(path("r.json")));
    EXPECT_NO_THROW(check_writable("-"));
    EXPECT_NO_THROW(check_writable(""));
    std::filesystem::create_directory(path("dir"));
    EXPECT_THROW(write_result(Json{{"a", 1}}, path("dir")), UserError) << "rename fails";
    EXPECT_EQ(std::distance(std::filesystem::directory_iterator(directory_), {}), 1);
}

TEST_F(result, write__full_disk) {
    // The temporary file of "/dev/full" would be in /dev; so test the stream that is always full.
    if (access("/dev/full", W_OK) != 0)
        GTEST_SKIP() << "no /dev/full here";
    std::filesystem::create_symlink("/dev/full",
                                    path("r.json." + std::to_string(getpid()) + ".tmp"));
    EXPECT_THROW(write_result(Json{{"a", std::string(100'000, 'x')}}, path("r.json")), UserError);
    EXPECT_FALSE(std::filesystem::exists(path("r.json")));
}

TEST_F(result, samples__csv) {
    Recorder recorder(1, SampleBy::kCompletion, true);
    recorder.set_window({0, 100, 200});
    recorder.complete(0, 90, 150, 64, 64);
    write_samples({&recorder}, {"echo"}, path("s.csv"));
    EXPECT_EQ(read(path("s.csv")), "thread,from_ns,latency_ns,bytes,class\n0,90,60,64,echo\n");
}

} // namespace
} // namespace etran::wl
