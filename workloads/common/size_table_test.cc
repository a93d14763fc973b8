// SPDX-License-Identifier: MIT
// Copyright (c) The eTran artifact authors
#include "common/size_table.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "common/error.h"

namespace etran::wl {
namespace {

using testing::HasSubstr;

std::string problem_with(std::string_view text) {
    try {
        parse_size_table(text, "t.csv");
    } catch (const UserError &error) {
        return error.what();
    }
    return "";
}

TEST(size_table, parse__reads_columns_and_skips_comments) {
    SizeTable table = parse_size_table("# note\npercentile,a,b\r\n50,10,20\n\n100,30,40\n", "t");
    EXPECT_EQ(table.percentiles, (std::vector<double>{50, 100}));
    ASSERT_NE(table.find("b"), nullptr);
    EXPECT_EQ(table.find("b")->sizes, (std::vector<uint64_t>{20, 40}));
    EXPECT_EQ(table.find("c"), nullptr);
}

TEST(size_table, parse__names_the_line_of_each_defect) {
    EXPECT_THAT(problem_with("50,10\n"), HasSubstr("t.csv:1: the first row"));
    EXPECT_THAT(problem_with("percentile,a,a\n"), HasSubstr("twice"));
    EXPECT_THAT(problem_with("percentile,a\n100\n"), HasSubstr("t.csv:2: 1 fields"));
    EXPECT_THAT(problem_with("percentile,a\n0,5\n"), HasSubstr("'0' is not a percentile"));
    EXPECT_THAT(problem_with("percentile,a\nx,5\n"), HasSubstr("'x' is not a percentile"));
    EXPECT_THAT(problem_with("percentile,a\n101,5\n"), HasSubstr("not a percentile"));
    EXPECT_THAT(problem_with("percentile,a\n50,5\n50,6\n"), HasSubstr("t.csv:3: percentiles"));
    EXPECT_THAT(problem_with("percentile,a\n50,5\n100,4\n"), HasSubstr("sizes of 'a' decrease"));
    EXPECT_THAT(problem_with("percentile,a\n100,0\n"), HasSubstr("'0' is not a message size"));
    EXPECT_THAT(problem_with("percentile,a\n100,-5\n"), HasSubstr("'-5' is not a message size"));
    EXPECT_THAT(problem_with("percentile,a\n99,5\n"), HasSubstr("percentile 100"));
    EXPECT_THAT(problem_with(""), HasSubstr("percentile 100"));
}

TEST(size_table, builtin__has_the_five_workloads) {
    SizeTable table = parse_size_table(builtin_size_table_text(), "built in");
    for (const char *name : {"w1", "w2", "w3", "w4", "w5"})
        EXPECT_NE(table.find(name), nullptr) << name;
    EXPECT_EQ(table.percentiles.size(), 59U);
    EXPECT_EQ(table.find("w4")->sizes.front(), 56U);
    EXPECT_EQ(table.find("w4")->sizes.back(), 10'000'000U);
}

TEST(size_table, load__missing_file) {
    EXPECT_THROW(load_size_table("/nonexistent/sizes.csv"), UserError);
    EXPECT_THROW(load_size_table("/"), UserError); // opens, but cannot be read
}

} // namespace
} // namespace etran::wl
