#include "core/half.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <vector>

namespace tca {
namespace {

// Value of a half float by its definition, in double.
double fp16_value(std::uint32_t half) {
  const double sign = (half & 0x8000u) != 0 ? -1 : 1;
  const int exponent = static_cast<int>((half >> 10) & 31u);
  const double fraction = (half & 0x3ffu) / 1024.0;
  return sign * (exponent == 0 ? std::ldexp(fraction, -14) : std::ldexp(1 + fraction, exponent - 15));
}

bool is_fp16_special(std::uint32_t half) { return (half & 0x7c00u) == 0x7c00u; }

TEST(Half, EveryFp16ConvertsExactlyAndBack) {
  for (std::uint32_t h = 0; h < 65536; ++h) {
    const float value = fp16_to_float(static_cast<std::uint16_t>(h));
    if (is_fp16_special(h) && (h & 0x3ffu) != 0) {
      EXPECT_TRUE(std::isnan(value));
      EXPECT_TRUE(std::isnan(fp16_to_float(float_to_fp16(value))));
      continue;
    }
    const double expected = !is_fp16_special(h)  ? fp16_value(h)
                            : (h & 0x8000u) != 0 ? -std::numeric_limits<double>::infinity()
                                                 : std::numeric_limits<double>::infinity();
    ASSERT_EQ(static_cast<double>(value), expected) << h;
    ASSERT_EQ(float_to_fp16(value), h);
  }
}

TEST(Half, EveryBf16ConvertsExactlyAndBack) {
  for (std::uint32_t h = 0; h < 65536; ++h) {
    const float value = bf16_to_float(static_cast<std::uint16_t>(h));
    if (std::isnan(value)) {
      EXPECT_TRUE(std::isnan(bf16_to_float(float_to_bf16(value))));
    } else {
      ASSERT_EQ(float_to_bf16(value), h);
    }
  }
}

// Between two neighbours: below the middle to the lower, above to the upper, the middle itself to the even one.
template <class ToFloat, class FromFloat>
void check_rounding(std::uint32_t last_finite, const ToFloat& to_float, const FromFloat& from_float) {
  for (std::uint32_t h = 0; h < last_finite; ++h) {
    const auto lower = static_cast<std::uint16_t>(h);
    const auto upper = static_cast<std::uint16_t>(h + 1);
    const float middle = to_float(lower) / 2 + to_float(upper) / 2;
    const std::uint16_t even = h % 2 == 0 ? lower : upper;
    ASSERT_EQ(from_float(middle), even) << h;
    ASSERT_EQ(from_float(std::nextafterf(middle, 0)), middle == 0 ? even : lower) << h;
    ASSERT_EQ(from_float(std::nextafterf(middle, std::numeric_limits<float>::infinity())), upper) << h;
    ASSERT_EQ(from_float(-middle), even | 0x8000u) << h;
  }
}

TEST(Half, Fp16RoundsToNearestEven) { check_rounding(0x7bff, fp16_to_float, float_to_fp16); }

// From the first bf16 whose neighbours' middle is a normal float on: below, halving would round by itself.
TEST(Half, Bf16RoundsToNearestEven) {
  check_rounding(
      0x7f7f - 0x100, [](std::uint16_t h) { return bf16_to_float(static_cast<std::uint16_t>(h + 0x100)); },
      [](float value) {
        const std::uint16_t bits = float_to_bf16(value);
        return static_cast<std::uint16_t>((bits & 0x7fffu) - 0x100) | (bits & 0x8000u);
      });
}

TEST(Half, OverflowBecomesInfinity) {
  EXPECT_EQ(float_to_fp16(65519.996f), 0x7bff);
  EXPECT_EQ(float_to_fp16(65520.0f), 0x7c00);
  EXPECT_EQ(float_to_fp16(-1e30f), 0xfc00);
  EXPECT_EQ(float_to_fp16(std::numeric_limits<float>::infinity()), 0x7c00);
  EXPECT_EQ(float_to_bf16(std::numeric_limits<float>::max()), 0x7f80);
}

TEST(Half, NanWithLowPayloadStaysNan) {
  const float nan = std::bit_cast<float>(0x7f800001u);
  EXPECT_TRUE(std::isnan(bf16_to_float(float_to_bf16(nan))));
  EXPECT_TRUE(std::isnan(fp16_to_float(float_to_fp16(nan))));
}

TEST(Half, RowsEqualTheirElements) {
  for (const DType dtype : {DType::kF32, DType::kBF16, DType::kF16}) {
    constexpr std::int64_t kCount = 67;  // no multiple of a vector
    std::vector<float> source(kCount), back(kCount), single(kCount);
    for (std::int64_t i = 0; i < kCount; ++i) source[static_cast<std::size_t>(i)] = 0.37f * static_cast<float>(i - 30);
    std::vector<float> row(kCount), elements(kCount);  // room for any dtype
    convert_row(source.data(), row.data(), dtype, kCount);
    for (std::int64_t i = 0; i < kCount; ++i) {
      store_element(elements.data(), dtype, i, source[static_cast<std::size_t>(i)]);
      single[static_cast<std::size_t>(i)] = load_element(row.data(), dtype, i);
    }
    convert_row(row.data(), dtype, back.data(), kCount);
    EXPECT_EQ(row, elements);
    EXPECT_EQ(back, single);
  }
}

}  // namespace
}  // namespace tca
