// What --compute stands for, by what the processor has.
#include "runtime/model/precision.h"

#include <gtest/gtest.h>
#include <hwy/highway.h>
#include <hwy/targets.h>

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <vector>

#include "core/check.h"

namespace tca::runtime {
namespace {

struct Row {
  ComputeType asked;
  bool bf16_products;
  DType activations, kv;
};

TEST(Precision, Table) {
  constexpr DType kF32 = DType::kF32, kBF16 = DType::kBF16;
  for (const Row& row : {Row{ComputeType::kAuto, true, kBF16, kBF16}, Row{ComputeType::kAuto, false, kF32, kBF16},
                         Row{ComputeType::kBF16, true, kBF16, kBF16}, Row{ComputeType::kBF16, false, kBF16, kBF16},
                         Row{ComputeType::kF32, true, kF32, kF32}, Row{ComputeType::kF32, false, kF32, kF32}}) {
    const Precision precision = choose_precision(row.asked, row.bf16_products);
    EXPECT_EQ(precision.activations, row.activations) << static_cast<int>(row.asked) << row.bf16_products;
    EXPECT_EQ(precision.kv, row.kv) << static_cast<int>(row.asked) << row.bf16_products;
  }
}

TEST(Precision, NoBf16ProductsWithoutInstructionsForThem) {
#if HWY_ARCH_X86
  if (!__builtin_cpu_supports("avx512bf16")) {
    EXPECT_FALSE(has_bf16_products()) << "emulated ones are slower than fp32";
  }
#endif
  // Not the best of them: which targets the kernels are built for depends on the compiler and its options.
  std::vector<std::string> names;
  for (std::int64_t all = hwy::SupportedTargets(); all != 0; all &= all - 1) {
    names.push_back(text(hwy::TargetName(all & -all), " fp32"));
  }
  const std::string rows = row_products_name();
  EXPECT_EQ(std::count(names.begin(), names.end(), rows), 1) << rows;
  EXPECT_EQ(block_products_name(DType::kF32), rows);
  EXPECT_EQ(block_products_name(DType::kBF16), has_bf16_products() ? "oneDNN bf16" : rows);
}

TEST(Precision, APathThatIsAskedForByNameHoldsForProducts) {
  const bool before = has_bf16_products();
  ASSERT_EQ(setenv("TCA_CPU_TARGET", "AVX3", 1), 0);
  EXPECT_FALSE(has_bf16_products());
  ASSERT_EQ(setenv("TCA_CPU_TARGET", "AVX512_BF16", 1), 0);
  EXPECT_EQ(has_bf16_products(), before);
  ASSERT_EQ(unsetenv("TCA_CPU_TARGET"), 0);
  EXPECT_EQ(has_bf16_products(), before);
}

}  // namespace
}  // namespace tca::runtime
