// SPDX-License-Identifier: MIT
// Copyright (c) The eTran artifact authors
#include "common/recorder.h"

#include <gtest/gtest.h>

namespace etran::wl {
namespace {

constexpr Window kWindow = {100, 1000, 2000};

Recorder make(SampleBy by, bool dump = false) {
    Recorder recorder(2, by, dump);
    recorder.set_window(kWindow);
    return recorder;
}

TEST(recorder, complete__closed_loop_samples_by_end) {
    Recorder recorder = make(SampleBy::kCompletion);
    recorder.complete(0, 900, 999, 1, 2);   // before the window
    recorder.complete(0, 900, 1000, 1, 2);  // its first instant
    recorder.complete(1, 1900, 1999, 1, 2); // its last
    recorder.complete(1, 1900, 2000, 1, 2); // after
    EXPECT_EQ(recorder.ops(), 2U);
    EXPECT_EQ(recorder.tx_bytes(), 2U);
    EXPECT_EQ(recorder.rx_bytes(), 4U);
    EXPECT_EQ(recorder.classes()[0].histogram.count(), 1U);
    EXPECT_EQ(recorder.classes()[0].histogram.max(), 100U);
    EXPECT_EQ(recorder.classes()[1].histogram.max(), 99U);
}

TEST(recorder, complete__open_loop_samples_by_intended_time) {
    Recorder recorder = make(SampleBy::kIntended);
    recorder.complete(0, 999, 1500, 1, 1);  // ends inside, was meant before: counts as an operation
    recorder.complete(0, 1000, 5000, 1, 1); // meant inside, ends far outside: a sample
    EXPECT_EQ(recorder.ops(), 1U);
    EXPECT_EQ(recorder.classes()[0].histogram.count(), 1U);
    EXPECT_EQ(recorder.classes()[0].histogram.max(), 4000U);
}

TEST(recorder, unfinished__only_of_the_window) {
    Recorder recorder = make(SampleBy::kIntended);
    recorder.unfinished(1, 999);
    recorder.unfinished(1, 1000);
    recorder.unfinished(1, 1999);
    recorder.unfinished(1, 2000);
    EXPECT_EQ(recorder.missing(), 2U);
    EXPECT_EQ(recorder.classes()[1].missing, 2U);
}

TEST(recorder, hash__depends_on_values_and_order) {
    Recorder a = make(SampleBy::kCompletion);
    Recorder b = make(SampleBy::kCompletion);
    Recorder c = make(SampleBy::kCompletion);
    for (auto [recorder, first, second] :
         {std::tuple{&a, 10, 20}, std::tuple{&b, 10, 20}, std::tuple{&c, 20, 10}}) {
        recorder->complete(0, 1500 - first, 1500, 0, 0);
        recorder->complete(0, 1500 - second, 1500, 0, 0);
    }
    EXPECT_EQ(a.hash(), b.hash());
    EXPECT_NE(a.hash(), c.hash());
    EXPECT_EQ(a.hash().size(), 16U);
    EXPECT_EQ(Recorder(1, SampleBy::kCompletion, false).hash(), "cbf29ce484222325");
}

TEST(recorder, merged__adds_everything) {
    Recorder a = make(SampleBy::kIntended);
    Recorder b = make(SampleBy::kIntended);
    a.complete(0, 1000, 1010, 5, 7);
    b.complete(0, 1000, 1030, 5, 7);
    b.unfinished(1, 1500);
    b.late(1200, 1203);
    Recorder total = Recorder::merged({&a, &b});
    EXPECT_EQ(total.ops(), 2U);
    EXPECT_EQ(total.tx_bytes(), 10U);
    EXPECT_EQ(total.missing(), 1U);
    EXPECT_EQ(total.classes()[0].histogram.count(), 2U);
    EXPECT_EQ(total.lateness().max(), 3U);
    EXPECT_EQ(total.window().begin, kWindow.begin);
    EXPECT_EQ(Recorder::merged({&a}).hash(), a.hash()) << "one thread keeps its hash";
    EXPECT_NE(total.hash(), a.hash());
    EXPECT_NE(total.hash(), Recorder::merged({&b, &a}).hash()) << "the order of threads counts";
}

TEST(recorder, dump__keeps_samples_relative_to_the_start) {
    Recorder recorder = make(SampleBy::kIntended, true);
    recorder.complete(1, 1100, 1150, 5, 7);
    recorder.complete(1, 100, 1150, 5, 7); // not a sample
    ASSERT_EQ(recorder.dumped().size(), 1U);
    EXPECT_EQ(recorder.dumped()[0].from, 1000);
    EXPECT_EQ(recorder.dumped()[0].latency, 50);
    EXPECT_EQ(recorder.dumped()[0].operation, 1U);
    EXPECT_EQ(recorder.dropped_from_dump(), 0U);
}

} // namespace
} // namespace etran::wl
