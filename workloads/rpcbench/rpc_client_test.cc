// SPDX-License-Identifier: MIT
// Copyright (c) The eTran artifact authors
//
// The client against a transport that only remembers. Windows lie in the past or far in the future,
// so that nothing depends on how fast the test runs.
#include "rpcbench/rpc_client.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "common/clock.h"
#include "common/error.h"
#include "common/size_table.h"
#include "rpcbench/rpc_result.h"

namespace etran::wl {
namespace {

class FakeTransport : public Transport {
  public:
    void listen(const Address &, ServerHandler &) override {}
    void connect(std::span<const Address>, uint32_t, ClientHandler &, int64_t) override {}
    void issue(PeerId peer, const OutMessage &request) override {
        issued_.push_back({peer, request});
    }
    void reply(ReplyTo, const OutMessage &) override {}
    void poll(int64_t) override {}
    void close_peers() override {}
    size_t inbound() const override { return 0; }
    uint64_t protocol_errors() const override { return 0; }

    std::vector<std::pair<PeerId, OutMessage>> issued_;
};

class rpc_client : public testing::Test {
  protected:
    SizeDistribution sizes(const std::string &spec) {
        return SizeDistribution::parse(
            spec, parse_size_table(builtin_size_table_text(), "built in"), {24, 1'000'000});
    }

    // Answers the i-th request, in pieces; `flip` spoils one byte.
    void answer(RpcClient &client, size_t i, size_t pieces = 1, bool flip = false,
                uint32_t length = 0) {
        auto [peer, request] = transport_.issued_.at(i);
        MessageHeader header = MessageHeader::make(
            MessageType::kReply, length == 0 ? request.header.reply_length() : length, 0,
            request.header.id, request.header.send_ns);
        Body body = Pattern::get().body(body_start(header), header.body_length());
        std::vector<std::byte> bytes;
        for (const std::span<const std::byte> &part : body.parts)
            bytes.insert(bytes.end(), part.begin(), part.end());
        if (flip)
            bytes.at(bytes.size() / 2) ^= std::byte{1};
        size_t step = std::max<size_t>(bytes.size() / pieces, 1);
        size_t at = 0;
        do {
            size_t n = std::min(step, bytes.size() - at);
            client.on_reply(peer, {header,
                                   static_cast<uint32_t>(at),
                                   {bytes.data() + at, n},
                                   at + n == bytes.size()});
            at += n;
        } while (at < bytes.size());
    }

    // Begun a moment ago, ends in an hour.
    static Window open_window() {
        int64_t now = mono_ns();
        return {now - 1000, now - 1000, now + 3600 * kNsPerSec};
    }

    FakeTransport transport_;
    RpcLoad load_;
};

TEST_F(rpc_client, closed__keeps_the_number_outstanding) {
    SizeDistribution fixed = sizes("fixed:100");
    load_.outstanding = 3;
    RpcClient client(transport_, fixed, load_, 1);
    client.start(open_window());
    client.run();
    ASSERT_EQ(transport_.issued_.size(), 3U);
    answer(client, 1);
    EXPECT_EQ(transport_.issued_.size(), 4U);
    answer(client, 0, 4);
    EXPECT_EQ(transport_.issued_.size(), 5U);
    client.run();
    EXPECT_EQ(transport_.issued_.size(), 5U);
    EXPECT_EQ(client.recorder().ops(), 2U);
    EXPECT_EQ(client.recorder().tx_bytes(), 200U);
    EXPECT_EQ(client.verified(), 2U);
    EXPECT_EQ(client.errors(), 0U);
    EXPECT_FALSE(client.finished());
}

TEST_F(rpc_client, closed__nothing_before_the_start) {
    SizeDistribution fixed = sizes("fixed:100");
    RpcClient client(transport_, fixed, load_, 1);
    int64_t start = mono_ns() + 3600 * kNsPerSec;
    client.start({start, start, start + 1});
    client.run();
    EXPECT_TRUE(transport_.issued_.empty());
    EXPECT_EQ(client.next_deadline(), start);
}

TEST_F(rpc_client, closed__window_over_means_no_more_and_drain) {
    SizeDistribution fixed = sizes("fixed:100");
    load_.drain_ns = 3600 * kNsPerSec;
    RpcClient client(transport_, fixed, load_, 1);
    int64_t now = mono_ns();
    client.start({now - 3, now - 2, now - 1});
    client.run(); // sends the first, then sees that the window is over
    ASSERT_EQ(transport_.issued_.size(), 1U);
    EXPECT_FALSE(client.finished());
    EXPECT_TRUE(client.window_over());
    answer(client, 0);
    EXPECT_EQ(transport_.issued_.size(), 1U);
    client.run();
    EXPECT_TRUE(client.finished());
    EXPECT_EQ(client.recorder().ops(), 0U);
}

TEST_F(rpc_client, request__is_what_was_asked_for) {
    SizeDistribution fixed = sizes("fixed:100");
    load_.response_bytes = 24;
    RpcClient client(transport_, fixed, load_, 1);
    client.start(open_window());
    client.run();
    const OutMessage &request = transport_.issued_.at(0).second;
    EXPECT_EQ(request.header.length, 100U);
    EXPECT_EQ(request.header.reply_length(), 24U);
    EXPECT_EQ(request.body.size(), 76U);
    EXPECT_TRUE(valid_header(request.header));
    answer(client, 0);
    EXPECT_EQ(client.recorder().rx_bytes(), 24U);
}

TEST_F(rpc_client, reply__flipped_byte_is_an_error) {
    SizeDistribution fixed = sizes("fixed:100");
    RpcClient client(transport_, fixed, load_, 1);
    client.start(open_window());
    client.run();
    answer(client, 0, 3, true);
    EXPECT_EQ(client.errors(), 1U);
    EXPECT_EQ(client.verified(), 0U);
    EXPECT_THAT(client.problem(), testing::HasSubstr("byte 38 of the body of reply"));
}

TEST_F(rpc_client, reply__header_mode_does_not_look_at_bytes) {
    SizeDistribution fixed = sizes("fixed:100");
    load_.verify = false;
    RpcClient client(transport_, fixed, load_, 1);
    client.start(open_window());
    client.run();
    answer(client, 0, 1, true);
    EXPECT_EQ(client.errors(), 0U);
    EXPECT_EQ(client.verified(), 0U) << "nothing was verified";
    EXPECT_EQ(client.recorder().ops(), 1U);
}

TEST_F(rpc_client, reply__twice_unknown_wrong_length_or_peer) {
    SizeDistribution fixed = sizes("fixed:100");
    load_.outstanding = 2;
    RpcClient client(transport_, fixed, load_, 2);
    client.start(open_window());
    client.run();
    answer(client, 0);
    answer(client, 0);
    EXPECT_EQ(client.errors(), 1U) << "the same reply again";
    answer(client, 1, 1, false, 99);
    EXPECT_EQ(client.errors(), 2U) << "wrong length";
    transport_.issued_[1].second.header.id ^= 1ULL << 40;
    answer(client, 1);
    EXPECT_EQ(client.errors(), 3U) << "unknown id";
    transport_.issued_[1].second.header.id ^= 1ULL << 40;
    transport_.issued_[1].second.header.send_ns++;
    answer(client, 1);
    EXPECT_EQ(client.errors(), 4U) << "another send time";
    transport_.issued_[1].second.header.send_ns--;
    transport_.issued_[1].first ^= 1;
    answer(client, 1);
    EXPECT_EQ(client.errors(), 5U) << "from the wrong peer";
    EXPECT_EQ(client.recorder().ops(), 1U);
}

TEST_F(rpc_client, peer_lost__fails_and_ends) {
    SizeDistribution fixed = sizes("fixed:100");
    RpcClient client(transport_, fixed, load_, 1);
    client.start(open_window());
    client.run();
    client.on_peer_lost(0, "reset");
    EXPECT_TRUE(client.finished());
    EXPECT_THAT(client.problem(), testing::HasSubstr("lost peer 0 with 1 RPCs under way: reset"));
}

TEST_F(rpc_client, open__sends_all_arrivals_that_are_due_with_intended_times) {
    SizeDistribution w3 = sizes("w3");
    load_.gbps = 1;
    load_.max_outstanding = 100'000;
    load_.drain_ns = 3600 * kNsPerSec;
    RpcClient client(transport_, w3, load_, 4);
    int64_t now = mono_ns();
    Window window = {now - 200 * kNsPerMs, now - 150 * kNsPerMs, now - 50 * kNsPerMs};
    client.start(window);
    client.run();
    // 150 ms at 1 Gbit/s: 18.75 MB in expectation; the seed is fixed.
    uint64_t bytes = 0;
    uint64_t last = 0;
    std::array<int, 4> per_peer = {};
    for (auto &[peer, request] : transport_.issued_) {
        EXPECT_GE(request.header.send_ns, last);
        last = request.header.send_ns;
        bytes += request.header.length;
        per_peer[peer]++;
    }
    EXPECT_GE(static_cast<int64_t>(transport_.issued_.front().second.header.send_ns), window.start);
    EXPECT_LT(static_cast<int64_t>(last), window.end);
    EXPECT_NEAR(static_cast<double>(bytes), 18.75e6, 4e6);
    for (int count : per_peer)
        EXPECT_NEAR(count, static_cast<double>(transport_.issued_.size()) / 4, 250);

    // A late answer counts from the intended time: at least the 50 ms that have passed since.
    size_t inside = 0;
    for (size_t i = 0; i < transport_.issued_.size(); i++) {
        inside += window.contains(static_cast<int64_t>(transport_.issued_[i].second.header.send_ns))
                      ? 1
                      : 0;
        answer(client, i);
    }
    client.conclude();
    uint64_t samples = 0;
    for (const Recorder::Class &c : client.recorder().classes()) {
        samples += c.histogram.count();
        EXPECT_GE(c.histogram.count() == 0 ? 50 * kNsPerMs : c.histogram.min(), 50U * kNsPerMs);
    }
    EXPECT_EQ(samples, inside);
    EXPECT_EQ(client.recorder().missing(), 0U);
    EXPECT_EQ(client.recorder().lateness().count(), inside);
}

TEST_F(rpc_client, open__what_the_cap_held_back_is_unfinished) {
    SizeDistribution fixed = sizes("fixed:1000");
    load_.gbps = 1;
    Window window;
    window.start = window.begin = mono_ns() - 20 * kNsPerMs;
    window.end = window.begin + 10 * kNsPerMs;

    load_.max_outstanding = 100'000;
    RpcClient unlimited(transport_, fixed, load_, 1);
    unlimited.start(window);
    unlimited.run();
    size_t arrivals = transport_.issued_.size();
    EXPECT_NEAR(static_cast<double>(arrivals), 1250, 150);

    transport_.issued_.clear();
    load_.max_outstanding = 5;
    RpcClient capped(transport_, fixed, load_, 1);
    capped.start(window);
    capped.run();
    EXPECT_EQ(transport_.issued_.size(), 5U);
    answer(capped, 0);
    capped.run();
    ASSERT_EQ(transport_.issued_.size(), 5U) << "the drain time is over: nothing more is sent";
    capped.conclude();
    EXPECT_TRUE(capped.finished());
    EXPECT_EQ(capped.recorder().missing(), arrivals);
    EXPECT_EQ(capped.recorder().classes()[0].histogram.count(), 0U)
        << "a reply after the end of the run is no sample";
}

TEST_F(rpc_client, open__same_seed_same_requests_whatever_the_timing) {
    SizeDistribution w4 = sizes("w4");
    load_.gbps = 5;
    load_.max_outstanding = 100'000;
    std::vector<std::vector<std::pair<PeerId, uint32_t>>> runs;
    for (uint64_t seed : {1, 1, 2}) {
        transport_.issued_.clear();
        load_.seed = seed;
        RpcClient client(transport_, w4, load_, 9);
        int64_t now = mono_ns();
        client.start({now - 30 * kNsPerMs, now - 30 * kNsPerMs, now - 5 * kNsPerMs});
        client.run();
        runs.emplace_back();
        for (auto &[peer, request] : transport_.issued_)
            runs.back().emplace_back(peer, request.header.length);
    }
    EXPECT_EQ(runs[0], runs[1]);
    EXPECT_NE(runs[0], runs[2]);
}

TEST_F(rpc_client, result__deciles_and_sizes) {
    SizeDistribution w4 = sizes("w4");
    Recorder recorder(w4.classes().size(), SampleBy::kCompletion, false);
    recorder.set_window({0, 0, 1000});
    for (uint32_t i = 0; i < w4.classes().size(); i++)
        recorder.complete(i, 10, 500, w4.classes()[i].bytes, 24);
    Json json = Json::object();
    add_rpc_latency(json, w4, recorder);
    ASSERT_EQ(json["latency"].size(), 11U);
    EXPECT_EQ(json["latency"][0]["name"], "all");
    EXPECT_EQ(json["latency"][0]["count"], w4.classes().size());
    EXPECT_EQ(json["latency"][1]["name"], "decile0");
    EXPECT_EQ(json["latency"][1]["hi_bytes"], 315);
    EXPECT_EQ(json["latency"][10]["hi_bytes"], 1'000'000);
    double share = 0;
    uint64_t count = 0;
    uint32_t bytes = 0;
    for (const Json &entry : json["by_size"]) {
        EXPECT_GT(entry["bytes"].get<uint32_t>(), bytes);
        bytes = entry["bytes"];
        EXPECT_NEAR(entry["fraction_below"].get<double>(), share, 1e-9);
        share += entry["fraction"].get<double>();
        count += entry["count"].get<uint64_t>();
    }
    EXPECT_NEAR(share, 1, 1e-9);
    EXPECT_EQ(count, w4.classes().size());
    EXPECT_EQ(json["sample_hash"].get<std::string>().size(), 16U);

    SizeDistribution fixed = sizes("fixed:100");
    Json small = Json::object();
    Recorder one(1, SampleBy::kCompletion, false);
    add_rpc_latency(small, fixed, one);
    EXPECT_EQ(small["latency"].size(), 1U);
    EXPECT_EQ(small["by_size"].size(), 1U);
}

} // namespace
} // namespace etran::wl
