#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "peak.cc"
#include "peak.h"

#include <algorithm>
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

double read_gbytes() {
  const hn::ScalableTag<std::uint64_t> du;
  const std::vector<std::uint64_t> data(std::size_t{1} << 25, 1);  // 256 MiB
  double best = 0;
  for (int repeat = 0; repeat < 5; ++repeat) {
    auto a = hn::Zero(du), b = a, c = a, d = a;
    const std::size_t lanes = hn::Lanes(du);
    const Clock::time_point start = Clock::now();
    for (std::size_t i = 0; i < data.size(); i += 4 * lanes) {
      a = hn::Add(a, hn::LoadU(du, data.data() + i));
      b = hn::Add(b, hn::LoadU(du, data.data() + i + lanes));
      c = hn::Add(c, hn::LoadU(du, data.data() + i + 2 * lanes));
      d = hn::Add(d, hn::LoadU(du, data.data() + i + 3 * lanes));
    }
    const double seconds = seconds_since(start);
    if (hn::GetLane(hn::Add(hn::Add(a, b), hn::Add(c, d))) != 0) {
      best = std::max(best, static_cast<double>(data.size() * sizeof(std::uint64_t)) / seconds * 1e-9);
    }
  }
  return best;
}

}  // namespace HWY_NAMESPACE
}  // namespace tca::bench
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace tca::bench {

HWY_EXPORT(fma_gflops);
HWY_EXPORT(read_gbytes);

double measure_fma_gflops() { return HWY_DYNAMIC_DISPATCH(fma_gflops)(); }
double measure_read_gbytes() { return HWY_DYNAMIC_DISPATCH(read_gbytes)(); }

}  // namespace tca::bench
#endif
