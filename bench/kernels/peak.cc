#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "peak.cc"
#include "peak.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <vector>

#include "hwy/foreach_target.h"
//
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace tca::bench {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

double fma_gflops() {
  const hn::ScalableTag<float> df;
  constexpr std::int64_t kRounds = 4'000'000;
  double best = 0;
  for (int repeat = 0; repeat < 8; ++repeat) {
    const auto x = hn::Set(df, 0.5f), y = hn::Set(df, 1e-9f);
    // 10 chains cover latency x throughput; different, so that none is another.
    auto a = hn::Iota(df, 0), b = hn::Iota(df, 1), c = hn::Iota(df, 2), d = hn::Iota(df, 3), e = hn::Iota(df, 4);
    auto f = hn::Iota(df, 5), g = hn::Iota(df, 6), h = hn::Iota(df, 7), i = hn::Iota(df, 8), j = hn::Iota(df, 9);
    const Clock::time_point start = Clock::now();
    for (std::int64_t round = 0; round < kRounds; ++round) {
      a = hn::MulAdd(x, y, a), b = hn::MulAdd(x, y, b), c = hn::MulAdd(x, y, c), d = hn::MulAdd(x, y, d);
      e = hn::MulAdd(x, y, e), f = hn::MulAdd(x, y, f), g = hn::MulAdd(x, y, g), h = hn::MulAdd(x, y, h);
      i = hn::MulAdd(x, y, i), j = hn::MulAdd(x, y, j);
    }
    const double seconds = seconds_since(start);
    const auto sum =
        hn::Add(hn::Add(hn::Add(a, b), hn::Add(c, d)), hn::Add(hn::Add(hn::Add(e, f), hn::Add(g, h)), hn::Add(i, j)));
    const double flops = 2.0 * 10 * kRounds * static_cast<double>(hn::Lanes(df));
    if (hn::GetLane(sum) > 0) best = std::max(best, flops / seconds * 1e-9);
  }
  return best;
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

HWY_EXPORT(fma_gflops);
HWY_EXPORT(read_words);

double measure_fma_gflops() { return HWY_DYNAMIC_DISPATCH(fma_gflops)(); }

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
