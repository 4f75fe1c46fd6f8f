// Products that several threads queue at once are those of one thread, bit for bit.
#include "runtime/cuda/products.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <thread>
#include <vector>

#include "cuda/device.h"
#include "runtime/cuda/kernels.h"

namespace tca::runtime::gpu {
namespace {

/// Few columns and long sums: what cuBLASLt cuts into pieces that meet in the workspace, which takes several kernels.
struct Problem {
  explicit Problem(std::int64_t num_rows, std::uint64_t seed) : rows(num_rows) {
    for (MemoryBlock* block : {&weight, &x, &out}) *block = MemoryBlock(cuda::Device::get()->memory());
    weight.reserve(kColumns * kIn * 2);
    x.reserve(static_cast<std::size_t>(rows * kIn) * 2);
    out.reserve(bytes());
    const cudaStream_t stream = cuda::Device::get()->stream();
    cuda::check(fill_random(weight.data(), kColumns * kIn, 1, 2 * seed, stream), "filling");
    cuda::check(fill_random(x.data(), rows * kIn, 1, 2 * seed + 1, stream), "filling");
  }
  std::size_t bytes() const { return static_cast<std::size_t>(rows * kColumns) * sizeof(float); }
  void queue(Products& products, Workspace& workspace) const {
    products.run({.weight = weight.data(),
                  .x = x.data(),
                  .out = out.data(),
                  .rows = rows,
                  .in = kIn,
                  .columns = kColumns,
                  .x_stride = kIn,
                  .out_stride = kColumns,
                  .output = Output::kF32},
                 workspace, cuda::Device::get()->stream());
  }
  std::vector<float> result() const {
    std::vector<float> values(bytes() / sizeof(float));
    cuda::Device::get()->memory().copy(values.data(), out.data(), bytes());
    return values;
  }

  static constexpr std::int64_t kIn = 32768, kColumns = 128;
  std::int64_t rows;
  MemoryBlock weight, x, out;
};

TEST(Products, OfFourThreadsAreThoseOfOne) {
  if (!cuda::Device::available()) GTEST_SKIP() << "there is no GPU";
  constexpr int kThreads = 4, kTimes = 200;
  Products products(*cuda::Device::get(), 0);
  const std::shared_ptr<Workspace> workspace = products.workspace(*cuda::Device::get());
  ASSERT_EQ(products.workspace(*cuda::Device::get()), workspace);
  std::vector<Problem> problems;
  std::vector<std::vector<float>> expected;
  for (int t = 0; t < kThreads; ++t) {
    problems.emplace_back(16 * (t + 1), static_cast<std::uint64_t>(t));
    problems.back().queue(products, *workspace);
    expected.push_back(problems.back().result());
  }
  for (int t = 1; t < kThreads; ++t) ASSERT_NE(expected[0][0], expected[static_cast<std::size_t>(t)][0]);
  std::vector<int> wrong(kThreads, 0);
  std::vector<std::thread> threads;
  for (std::size_t t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < kTimes; ++i) {
        problems[t].queue(products, *workspace);
        if (i % 10 == 9 && problems[t].result() != expected[t]) ++wrong[t];
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(wrong, std::vector<int>(kThreads, 0));
}

}  // namespace
}  // namespace tca::runtime::gpu
