// Inverse frequencies and tables against numbers worked by hand from the definitions.
#include "runtime/model/rope.h"

#include <gtest/gtest.h>

#include <cmath>
#include <numbers>

namespace tca::runtime {
namespace {

TEST(Rope, DefaultFrequenciesAreAGeometricSeries) {
  const RopeFrequencies f = rope_frequencies({.theta = 10000}, 8);
  ASSERT_EQ(f.inverse.size(), 4u);
  EXPECT_DOUBLE_EQ(f.inverse[0], 1);
  EXPECT_DOUBLE_EQ(f.inverse[1], 0.1);
  EXPECT_DOUBLE_EQ(f.inverse[2], 0.01);
  EXPECT_DOUBLE_EQ(f.inverse[3], 0.001);
  EXPECT_EQ(f.attention_scaling, 1);
}

TEST(Rope, LinearDividesAll) {
  const RopeFrequencies f = rope_frequencies({.scaling = RopeScaling::kLinear, .theta = 10000, .factor = 4}, 8);
  EXPECT_DOUBLE_EQ(f.inverse[0], 0.25);
  EXPECT_DOUBLE_EQ(f.inverse[3], 0.00025);
}

TEST(Rope, Llama3KeepsShortDividesLongAndBlendsBetween) {
  // Wavelengths 2 pi 10^i. Context 1000: short below 1000 / 4, long above 1000 / 1.
  const RopeConfig config{.scaling = RopeScaling::kLlama3,
                          .theta = 10000,
                          .factor = 8,
                          .low_freq_factor = 1,
                          .high_freq_factor = 4,
                          .original_max_position = 1000};
  const RopeFrequencies f = rope_frequencies(config, 8);
  EXPECT_DOUBLE_EQ(f.inverse[0], 1);    // wavelength 6
  EXPECT_DOUBLE_EQ(f.inverse[1], 0.1);  // 63
  // 628: smooth = (1000 / 628.3 - 1) / 3 = 0.19718...
  const double smooth = (1000 / (200 * std::numbers::pi) - 1) / 3;
  EXPECT_NEAR(smooth, 0.19718, 1e-5);
  EXPECT_DOUBLE_EQ(f.inverse[2], (1 - smooth) * 0.01 / 8 + smooth * 0.01);
  EXPECT_DOUBLE_EQ(f.inverse[3], 0.001 / 8);  // 6283
  EXPECT_EQ(f.attention_scaling, 1);
}

RopeConfig yarn() {
  return {.scaling = RopeScaling::kYarn, .theta = 10000, .factor = 4, .original_max_position = 2048};
}

TEST(Rope, YarnRampsBetweenTheTwoRotationCounts) {
  // Dimensions that turn 32 times and once over 2048 positions: 64 ln(2048 / (32 * 2 pi)) / (2 ln 10000) = 8.06 and
  // 64 ln(2048 / (2 pi)) / (2 ln 10000) = 20.10, rounded outwards to 8 and 21.
  const RopeFrequencies f = rope_frequencies(yarn(), 64);
  const auto plain = [](int i) { return std::pow(10000.0, -2.0 * i / 64); };
  EXPECT_DOUBLE_EQ(f.inverse[8], plain(8));
  EXPECT_DOUBLE_EQ(f.inverse[21], plain(21) / 4);
  EXPECT_DOUBLE_EQ(f.inverse[31], plain(31) / 4);
  const double ramp = 5.0 / 13;  // of dimension 13
  EXPECT_NEAR(f.inverse[13], plain(13) * (1 - ramp) + plain(13) / 4 * ramp, 1e-15);
}

TEST(Rope, YarnScalesAttention) {
  RopeConfig config = yarn();
  EXPECT_DOUBLE_EQ(rope_frequencies(config, 64).attention_scaling, 0.1 * std::log(4.0) + 1);
  config.mscale = 2;
  config.mscale_all_dim = 1;
  EXPECT_DOUBLE_EQ(rope_frequencies(config, 64).attention_scaling,
                   (0.2 * std::log(4.0) + 1) / (0.1 * std::log(4.0) + 1));
  config.attention_factor = 1.5;
  EXPECT_DOUBLE_EQ(rope_frequencies(config, 64).attention_scaling, 1.5);
}

TEST(Rope, YarnWithoutTruncationRampsFromTheExactDimensions) {
  RopeConfig config = yarn();
  config.truncate = false;
  const auto dimension = [](double turns) {
    return 64 * std::log(2048 / (turns * 2 * std::numbers::pi)) / (2 * std::log(10000.0));
  };
  const double ramp = (13 - dimension(32)) / (dimension(1) - dimension(32));
  const double plain = std::pow(10000.0, -26.0 / 64);
  EXPECT_NEAR(rope_frequencies(config, 64).inverse[13], plain * (1 - ramp) + plain / 4 * ramp, 1e-15);
}

TEST(Rope, WhatDoesNotTurnStaysAsItIs) {
  ThreadPool pool(1);
  RopeConfig config = yarn();
  config.share = 0.5;
  const RopeFrequencies f = rope_frequencies(config, 64);
  EXPECT_EQ(f.turned, 16);
  ASSERT_EQ(f.inverse.size(), 32u);
  EXPECT_EQ(f.inverse[0], rope_frequencies(config, 32).inverse[0]);
  RopeTable table;
  table.fill(f, 777, 1, pool);
  EXPECT_NEAR(table.cos(0)[0], std::cos(777.0) * f.attention_scaling, 1e-6);
  for (std::size_t i = 16; i < 32; ++i) {
    EXPECT_EQ(table.cos(0)[i], 1.0f);
    EXPECT_EQ(table.sin(0)[i], 0.0f);
  }
  table.fill(rope_frequencies(RopeConfig::none(), 64), 777, 1, pool);
  EXPECT_EQ(table.cos(0)[0], 1.0f);
  EXPECT_EQ(table.sin(0)[0], 0.0f);
}

TEST(Rope, LongRopeDividesByTheFactorsOfTheContext) {
  RopeConfig config;
  config.scaling = RopeScaling::kLongRope;
  config.original_max_position = 1024;
  config.factor = 16;
  config.short_factors = {1, 1.5};
  config.long_factors = {2, 5};
  EXPECT_DOUBLE_EQ(rope_frequencies(config, 4, false).inverse[1], 0.01 / 1.5);
  EXPECT_DOUBLE_EQ(rope_frequencies(config, 4, true).inverse[1], 0.01 / 5);
  EXPECT_DOUBLE_EQ(rope_frequencies(config, 4, true).attention_scaling,
                   std::sqrt(1 + std::log(16.0) / std::log(1024.0)));
}

TEST(Rope, TablesStayExactFarOut) {
  ThreadPool pool(2);
  RopeTable table;
  const RopeFrequencies f = rope_frequencies({.theta = 4e6}, 64);
  const std::int64_t first = 131000, n = 1030;
  table.fill(f, first, n, pool);
  for (const std::int64_t row : {std::int64_t{0}, std::int64_t{511}, std::int64_t{512}, n - 1}) {
    for (std::size_t i = 0; i < 32; ++i) {
      // An angle of 131,000 radians in fp32 would be off by 0.004; here only the result is rounded.
      const double angle = static_cast<double>(first + row) * f.inverse[i];
      ASSERT_NEAR(table.cos(row)[i], std::cos(angle), 1e-7);
      ASSERT_NEAR(table.sin(row)[i], std::sin(angle), 1e-7);
    }
  }
}

}  // namespace
}  // namespace tca::runtime
