// The vector 2^x over its whole range, on every Highway target this machine can run.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "cpu/exp_test.cc"  // tests/ is on the include path
#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>
#include <span>
#include <vector>

#include "hwy/foreach_target.h"
//
#include "cpu/bf16_pairs-inl.h"
#include "cpu/exp-inl.h"
#include "cpu/target_tables.h"
#include "cpu/targets.h"

HWY_BEFORE_NAMESPACE();
namespace tca::cpu {
namespace HWY_NAMESPACE {
namespace {

void exp2_all(const float* x, std::size_t count, float* out) {
  const hn::ScalableTag<float> df;
  const std::size_t lanes = hn::Lanes(df);
  for (std::size_t i = 0; i + lanes <= count; i += lanes) hn::StoreU(exp2(df, hn::LoadU(df, x + i)), df, out + i);
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace tca::cpu
HWY_AFTER_NAMESPACE();

#if HWY_TARGET == HWY_AVX3
HWY_PUSH_ATTRIBUTES(HWY_TARGET_STR ",avx512bf16")
namespace tca::cpu {
namespace HWY_NAMESPACE {
namespace {

void exp2_weights_all(const float* x, std::size_t count, float* out) {
  const unsigned before = flush_denormals();
  for (std::size_t i = 0; i + 16 <= count; i += 16) _mm512_storeu_ps(out + i, exp2_weights(_mm512_loadu_ps(x + i)));
  restore_modes(before);
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace tca::cpu
HWY_POP_ATTRIBUTES
#endif

HWY_BEFORE_NAMESPACE();
namespace tca::cpu {
namespace {
using ExpTable = void (*)(const float* x, std::size_t count, float* out);
constexpr ExpTable HWY_CONCAT(kExp, HWY_NAMESPACE) = HWY_NAMESPACE::exp2_all;
template <>
struct TargetTable<ExpTable, HWY_TARGET> {
  static constexpr const ExpTable* value = &HWY_CONCAT(kExp, HWY_NAMESPACE);
};
}  // namespace
}  // namespace tca::cpu
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
#include "hwy/targets.h"

namespace tca::cpu {
namespace {

constexpr std::size_t kMultiple = 64;  // of every vector

template <class Check>
void for_each_target(const Check& check) {
  int checked = 0;
  for (int bit = 0; bit < 63; ++bit) {
    const std::int64_t target = std::int64_t{1} << bit;
    const ExpTable* const table = find_target_table<ExpTable>(target);
    if (table == nullptr || ((hwy::SupportedTargets() | HWY_STATIC_TARGET) & target) == 0) continue;
    SCOPED_TRACE(hwy::TargetName(target));
    check(**table);
    ++checked;
  }
  EXPECT_GT(checked, 0);
}

/// Every 97th float of [low, high], both of one sign, and the ends.
std::vector<float> floats_between(float low, float high) {
  const std::uint32_t a = std::bit_cast<std::uint32_t>(low), b = std::bit_cast<std::uint32_t>(high);
  std::vector<float> values;
  for (std::uint32_t bits = std::min(a, b); bits < std::max(a, b); bits += 97) {
    values.push_back(std::bit_cast<float>(bits));
  }
  values.push_back(low);
  values.push_back(high);
  while (values.size() % kMultiple != 0) values.push_back(high);
  return values;
}

double ulp(double exact) {
  const auto rounded = static_cast<float>(exact);
  return std::nextafter(rounded, std::numeric_limits<float>::infinity()) - static_cast<double>(rounded);
}

TEST(Exp, IsWithinItsUlps) {
  // From the smallest exponent that makes a normal number to the largest that weights may have, and far into both ends.
  for (const auto& [low, high] : {std::pair(-1e-9f, -126.0f), std::pair(1e-9f, 127.4f)}) {
    const std::vector<float> x = floats_between(low, high);
    std::vector<float> y(x.size());
    for_each_target([&](ExpTable exp2_all) {
      exp2_all(x.data(), x.size(), y.data());
      double worst = 0;
      for (std::size_t i = 0; i < x.size(); ++i) {
        const double exact = std::exp2(static_cast<double>(x[i]));
        worst = std::max(worst, std::abs(y[i] - exact) / ulp(exact));
      }
      EXPECT_LE(worst, 2.2);
    });
  }
}

#if HWY_TARGETS & HWY_AVX3
TEST(Exp, OfWeightsIsWithinThreeMillionths) {
  if (!has_avx512_bf16()) GTEST_SKIP() << "no AVX-512 BF16 here";
  for (const auto& [low, high] : {std::pair(-1e-9f, -126.0f), std::pair(1e-9f, 127.4f)}) {
    const std::vector<float> x = floats_between(low, high);
    std::vector<float> y(x.size());
    N_AVX3::exp2_weights_all(x.data(), x.size(), y.data());
    double worst = 0;
    for (std::size_t i = 0; i < x.size(); ++i) {
      worst = std::max(worst, std::abs(y[i] / std::exp2(static_cast<double>(x[i])) - 1));
    }
    EXPECT_LE(worst, 3e-6);
  }
}
#endif

template <class Check>
void for_each_exp(const Check& check) {
  for_each_target(check);
#if HWY_TARGETS & HWY_AVX3
  if (has_avx512_bf16()) check(N_AVX3::exp2_weights_all);
#endif
}

TEST(Exp, FadesToExactlyZero) {
  const std::vector<float> fading = floats_between(-126.0f, -127.0f);
  const std::vector<float> gone = floats_between(-127.0f, -std::numeric_limits<float>::infinity());
  for_each_exp([&](ExpTable exp2_all) {
    std::vector<float> y(fading.size());
    exp2_all(fading.data(), fading.size(), y.data());
    for (std::size_t i = 0; i < y.size(); ++i) {
      ASSERT_NEAR(y[i], std::exp2(static_cast<double>(fading[i])), 0x1p-126) << fading[i];
      ASSERT_GE(y[i], 0) << fading[i];
    }
    y.assign(gone.size(), 1);
    exp2_all(gone.data(), gone.size(), y.data());
    for (std::size_t i = 0; i < y.size(); ++i) ASSERT_EQ(y[i], 0) << gone[i];
  });
}

TEST(Exp, PowersOfTwoAreExact) {
  std::vector<float> x, y(256);
  for (int n = -126; n <= 127; ++n) x.push_back(static_cast<float>(n));
  x.resize(256, 0.0f);
  for_each_exp([&](ExpTable exp2_all) {
    exp2_all(x.data(), x.size(), y.data());
    for (std::size_t i = 0; i < x.size(); ++i) EXPECT_EQ(y[i], std::exp2(x[i]));
  });
}

}  // namespace
}  // namespace tca::cpu
#endif
