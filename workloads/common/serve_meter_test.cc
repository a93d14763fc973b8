// SPDX-License-Identifier: MIT
// Copyright (c) The eTran artifact authors
#include "common/serve_meter.h"

#include <gtest/gtest.h>

namespace etran::wl {
namespace {

TEST(serve_meter, told__counts_only_inside) {
    ServeMeter meter(Window{100, 200, 300});
    EXPECT_EQ(meter.next_deadline(50), 200);
    meter.note(150, {5, 50, 500});
    EXPECT_EQ(meter.next_deadline(150), 200);
    meter.note(200, {6, 60, 600});
    EXPECT_EQ(meter.next_deadline(200), 300);
    meter.note(299, {9, 90, 900});
    meter.note(300, {20, 200, 2000});
    EXPECT_EQ(meter.next_deadline(300), kNever);
    EXPECT_EQ(meter.inside().ops, 4U);
    EXPECT_EQ(meter.inside().rx_bytes, 40U);
    EXPECT_EQ(meter.inside().tx_bytes, 400U);
    EXPECT_EQ(meter.length(), 100);
}

TEST(serve_meter, untold__first_to_last) {
    ServeMeter meter;
    EXPECT_EQ(meter.next_deadline(1), kNever);
    meter.note(100, {0, 0, 0});
    EXPECT_EQ(meter.length(), 0);
    meter.note(200, {1, 10, 10});
    meter.note(500, {8, 80, 80});
    meter.note(900, {8, 80, 80});
    EXPECT_EQ(meter.length(), 300);
    EXPECT_EQ(meter.inside().ops, 8U);
}

} // namespace
} // namespace etran::wl
