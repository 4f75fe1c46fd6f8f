#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "peak.cc"
#include "peak.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <numeric>
#include <vector>

#include "hwy/foreach_target.h"
//
#include "cpu/targets.h"
#include "hwy/highway.h"

#if HWY_ARCH_X86_64
#include <immintrin.h>
#endif

HWY_BEFORE_NAMESPACE();
namespace tca::bench {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

/// Multiply-adds of fp32 vectors; returns the floating-point operations done.
double fma_flops() {
  const hn::ScalableTag<float> df;
  constexpr std::int64_t kRounds = 4'000'000;
  const auto x = hn::Set(df, 0.5f), y = hn::Set(df, 1e-9f);
  // 10 chains cover latency x throughput; different, so that none is another.
  auto a = hn::Iota(df, 0), b = hn::Iota(df, 1), c = hn::Iota(df, 2), d = hn::Iota(df, 3), e = hn::Iota(df, 4);
  auto f = hn::Iota(df, 5), g = hn::Iota(df, 6), h = hn::Iota(df, 7), i = hn::Iota(df, 8), j = hn::Iota(df, 9);
  for (std::int64_t round = 0; round < kRounds; ++round) {
    a = hn::MulAdd(x, y, a), b = hn::MulAdd(x, y, b), c = hn::MulAdd(x, y, c), d = hn::MulAdd(x, y, d);
    e = hn::MulAdd(x, y, e), f = hn::MulAdd(x, y, f), g = hn::MulAdd(x, y, g), h = hn::MulAdd(x, y, h);
    i = hn::MulAdd(x, y, i), j = hn::MulAdd(x, y, j);
  }
  const auto sum =
      hn::Add(hn::Add(hn::Add(a, b), hn::Add(c, d)), hn::Add(hn::Add(hn::Add(e, f), hn::Add(g, h)), hn::Add(i, j)));
  return hn::GetLane(sum) > 0 ? 2.0 * 10 * kRounds * static_cast<double>(hn::Lanes(df)) : 0;
}

/// The sum of n words, n a multiple of four vectors.
std::uint64_t read_words(const std::uint64_t* data, std::size_t n) {
  const hn::ScalableTag<std::uint64_t> du;
  const std::size_t lanes = hn::Lanes(du);
  auto a = hn::Zero(du), b = a, c = a, d = a;
  for (std::size_t i = 0; i < n; i += 4 * lanes) {
    a = hn::Add(a, hn::LoadU(du, data + i));
    b = hn::Add(b, hn::LoadU(du, data + i + lanes));
    c = hn::Add(c, hn::LoadU(du, data + i + 2 * lanes));
    d = hn::Add(d, hn::LoadU(du, data + i + 3 * lanes));
  }
  return hn::GetLane(hn::SumOfLanes(du, hn::Add(hn::Add(a, b), hn::Add(c, d))));
}

}  // namespace HWY_NAMESPACE
}  // namespace tca::bench
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace tca::bench {

HWY_EXPORT(fma_flops);
HWY_EXPORT(read_words);

namespace {

#if HWY_ARCH_X86_64
/// Dot products of bf16 pairs in 512-bit vectors, 12 chains.
__attribute__((target("avx512f,avx512bf16"))) double dot_flops() {
  constexpr std::int64_t kRounds = 4'000'000;
  __m512 sums[12];
  for (__m512& sum : sums) sum = _mm512_setzero_ps();
  const auto x = reinterpret_cast<__m512bh>(_mm512_set1_epi32(0x3c003c00));
  for (std::int64_t round = 0; round < kRounds; ++round) {
#pragma GCC unroll 12
    for (__m512& sum : sums) sum = _mm512_dpbf16_ps(sum, x, x);
  }
  float total = 0;
  for (const __m512 sum : sums) total += _mm512_cvtss_f32(sum);
  return total > 0 ? 12.0 * 64 * kRounds : 0;
}

/// Products of AMX tiles that are in registers already, 4 chains.
double tile_flops() {
  struct Config {
    std::uint8_t palette = 1, start_row = 0, reserved[14] = {};
    std::uint16_t row_bytes[16] = {64, 64, 64, 64, 64, 64, 64, 64};
    std::uint8_t rows[16] = {16, 16, 16, 16, 16, 16, 16, 16};
  };
  alignas(64) static constexpr Config kConfig;
  constexpr std::int64_t kRounds = 400'000;
  asm volatile("ldtilecfg %0" ::"m"(kConfig));
  for (std::int64_t round = 0; round < kRounds; ++round) {
    asm volatile(
        "tdpbf16ps %tmm6, %tmm4, %tmm0\n\t"
        "tdpbf16ps %tmm7, %tmm4, %tmm1\n\t"
        "tdpbf16ps %tmm6, %tmm5, %tmm2\n\t"
        "tdpbf16ps %tmm7, %tmm5, %tmm3");
  }
  asm volatile("tilerelease");
  return 4.0 * 2 * 16 * 16 * 32 * kRounds;
}
#endif

/// Of all threads at once, which may share units: the best of some runs.
template <class Flops>
double measure_gflops(ThreadPool& pool, const Flops& flops) {
  double best = 0;
  for (int repeat = 0; repeat < 8; ++repeat) {
    std::vector<double> done(static_cast<std::size_t>(pool.num_threads()));
    const auto start = std::chrono::steady_clock::now();
    pool.parallel_for(pool.num_threads(), [&](std::int64_t i, int) { done[static_cast<std::size_t>(i)] = flops(); });
    const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
    best = std::max(best, std::accumulate(done.begin(), done.end(), 0.0) / seconds.count() * 1e-9);
  }
  return best;
}

}  // namespace

double measure_bf16_gflops(ThreadPool& pool) {
#if HWY_ARCH_X86_64
  if (cpu::has_amx_bf16()) return measure_gflops(pool, tile_flops);
  if (cpu::has_avx512_bf16()) return measure_gflops(pool, dot_flops);
#endif
  return measure_fp32_gflops(pool);
}

double measure_fp32_gflops(ThreadPool& pool) {
  return measure_gflops(pool, [] { return HWY_DYNAMIC_DISPATCH(fma_flops)(); });
}

double measure_read_gbytes(ThreadPool& pool) {
  constexpr std::size_t kPiece = std::size_t{1} << 17, kPieces = 256;  // 1 MiB each
  const std::vector<std::uint64_t> data(kPiece * kPieces, 1);
  double best = 0;
  for (int repeat = 0; repeat < 8; ++repeat) {
    std::atomic<std::uint64_t> sum{0};
    const auto start = std::chrono::steady_clock::now();
    pool.parallel_for(kPieces, [&](std::int64_t i, int) {
      sum += HWY_DYNAMIC_DISPATCH(read_words)(data.data() + static_cast<std::size_t>(i) * kPiece, kPiece);
    });
    const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
    const double gbytes = static_cast<double>(data.size() * sizeof(std::uint64_t)) / seconds.count() * 1e-9;
    if (sum != 0) best = std::max(best, gbytes);
  }
  return best;
}

}  // namespace tca::bench
#endif
