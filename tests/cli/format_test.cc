#include "cli/format.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "tca/error.h"

namespace tca::cli {
namespace {

TEST(Format, CountsAreGrouped) {
  EXPECT_EQ(format_count(0), "0");
  EXPECT_EQ(format_count(999), "999");
  EXPECT_EQ(format_count(1000), "1,000");
  EXPECT_EQ(format_count(131072), "131,072");
  EXPECT_EQ(format_count(-1234567), "-1,234,567");
  EXPECT_EQ(format_count(-999), "-999");
}

TEST(Format, WhatIsCountedIsOneOrSeveral) {
  EXPECT_EQ(counted(0, "token"), "0 tokens");
  EXPECT_EQ(counted(1, "KV head"), "1 KV head");
  EXPECT_EQ(counted(2, "KV head"), "2 KV heads");
  EXPECT_EQ(counted(32'768, "token"), "32,768 tokens");
}

TEST(Format, BytesTakeTheLargestUnitBelow1024) {
  EXPECT_EQ(format_bytes(0), "0 B");
  EXPECT_EQ(format_bytes(1023), "1023 B");
  EXPECT_EQ(format_bytes(1024), "1.0 KiB");
  EXPECT_EQ(format_bytes(67108864), "64.0 MiB");
  // One byte less than a MiB would round to 1024.0 KiB.
  EXPECT_EQ(format_bytes((1u << 20) - 1), "1.0 MiB");
  EXPECT_EQ(format_bytes(std::uint64_t{3} << 29), "1.5 GiB");
}

TEST(Format, SecondsShowThreeFigures) {
  EXPECT_EQ(format_seconds(0.0421), "42 ms");
  EXPECT_EQ(format_seconds(0.9999), "1.00 s");
  EXPECT_EQ(format_seconds(9.996), "10.0 s");
  EXPECT_EQ(format_seconds(12.34), "12.3 s");
  EXPECT_EQ(format_seconds(99.96), "1 min 40 s");
  EXPECT_EQ(format_seconds(125), "2 min 05 s");
  EXPECT_EQ(format_seconds(-1), "0 ms");
  EXPECT_EQ(format_seconds(std::nan("")), "0 ms");
}

TEST(Format, PercentAndRate) {
  EXPECT_EQ(format_percent(0), "0 %");
  EXPECT_EQ(format_percent(0.004), "0.4 %");
  EXPECT_EQ(format_percent(0.0996), "10 %");
  EXPECT_EQ(format_percent(0.187), "19 %");
  EXPECT_EQ(format_percent(1), "100 %");
  EXPECT_EQ(format_rate(81.23), "81.2 tokens/s");
  EXPECT_EQ(format_rate(2706.6), "2,707 tokens/s");
}

TEST(ByteSize, NumbersWithUnits) {
  EXPECT_EQ(parse_byte_size("1"), 1u);
  EXPECT_EQ(parse_byte_size("1073741824"), 1u << 30);
  EXPECT_EQ(parse_byte_size("512M"), 512u << 20);
  EXPECT_EQ(parse_byte_size("512m"), 512u << 20);
  EXPECT_EQ(parse_byte_size("64KiB"), 64u << 10);
  EXPECT_EQ(parse_byte_size("64 KB"), 64u << 10);
  EXPECT_EQ(parse_byte_size("1.5G"), std::uint64_t{3} << 29);
  EXPECT_EQ(parse_byte_size("2T"), std::uint64_t{2} << 40);
  EXPECT_EQ(parse_byte_size("16B"), 16u);
}

TEST(ByteSize, WhatIsNoSizeIsRefusedByItsText) {
  const std::vector<std::string> refused = {"",    " ",        "K",     "-1",  "-1G",   "0",   "0G",
                                            "1X",  "1KX",      "1KiBB", "nan", "inf",   "1e9", "0x10",
                                            "1 2", "9999999T", "1G1",   "G1",  "1..5M", "1,5M"};
  for (const std::string& text : refused) {
    try {
      parse_byte_size(text);
      ADD_FAILURE() << "'" << text << "' was taken";
    } catch (const Error& error) {
      EXPECT_EQ(error.category(), ErrorCategory::kInvalidArgument);
      EXPECT_NE(std::string(error.what()).find("'" + text + "'"), std::string::npos) << error.what();
    }
  }
}

}  // namespace
}  // namespace tca::cli
