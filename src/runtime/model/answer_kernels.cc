#include "runtime/model/answer_kernels.h"

#include <algorithm>
#include <cmath>
#include <limits>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "runtime/model/answer_kernels.cc"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>
// Needs the one above.
#include <hwy/contrib/math/math-inl.h>

HWY_BEFORE_NAMESPACE();
namespace tca::runtime::kernels {
namespace HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;
using F32 = hn::ScalableTag<float>;
using VF = hn::Vec<F32>;

// Ends of rows go by way of a whole vector of their own.
HWY_INLINE VF load(const float* p, std::int64_t n) {
  const F32 d;
  if (n >= static_cast<std::int64_t>(hn::Lanes(d))) return hn::LoadU(d, p);
  HWY_ALIGN float whole[hn::MaxLanes(d)] = {};
  std::copy_n(p, n, whole);
  return hn::Load(d, whole);
}
HWY_INLINE void store(VF v, float* p, std::int64_t n) {
  const F32 d;
  if (n >= static_cast<std::int64_t>(hn::Lanes(d))) return hn::StoreU(v, d, p);
  HWY_ALIGN float whole[hn::MaxLanes(d)];
  hn::Store(v, d, whole);
  std::copy_n(whole, n, p);
}
HWY_INLINE float sum_lanes(VF v) { return hn::GetLane(hn::SumOfLanes(F32(), v)); }

float LargestTarget(const float* x, std::int64_t n) {
  const F32 d;
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
  VF most = hn::Set(d, -std::numeric_limits<float>::infinity());
  std::int64_t i = 0;
  for (; i + lanes <= n; i += lanes) most = hn::Max(most, hn::LoadU(d, x + i));
  float result = hn::GetLane(hn::MaxOfLanes(d, most));
  for (; i < n; ++i) result = std::max(result, x[i]);
  return result;
}

double ExponentialsTarget(float* x, std::int64_t n, float shift) {
  const F32 d;
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
  // Sums of fp32 stay short; vocabularies do not.
  constexpr std::int64_t kRun = 4096;
  const VF shifts = hn::Set(d, shift);
  double total = 0;
  for (std::int64_t begin = 0; begin < n; begin += kRun) {
    const std::int64_t end = std::min(n, begin + kRun);
    VF sum = hn::Zero(d);
    std::int64_t i = begin;
    for (; i + lanes <= end; i += lanes) {
      const VF v = hn::Exp(d, hn::Sub(hn::LoadU(d, x + i), shifts));
      hn::StoreU(v, d, x + i);
      sum = hn::Add(sum, v);
    }
    total += sum_lanes(sum);
    for (; i < end; ++i) total += x[i] = std::exp(x[i] - shift);
  }
  return total;
}

double MagnitudeSumTarget(const float* x, std::int64_t n) {
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(F32()));
  VF sum = hn::Zero(F32());
  for (std::int64_t i = 0; i < n; i += lanes) sum = hn::Add(sum, hn::Abs(load(x + i, n - i)));
  return sum_lanes(sum);
}

void ScaleRowTarget(float* x, std::int64_t n, float factor) {
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(F32()));
  for (std::int64_t i = 0; i < n; i += lanes) {
    store(hn::Mul(load(x + i, n - i), hn::Set(F32(), factor)), x + i, n - i);
  }
}

void SoftmaxBackTarget(float* scores, float* gradients, std::int64_t n, float lse, float mean) {
  const F32 d;
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
  const VF shift = hn::Set(d, lse), means = hn::Set(d, mean);
  for (std::int64_t i = 0; i < n; i += lanes) {
    const VF p = hn::Exp(d, hn::Sub(load(scores + i, n - i), shift));
    store(p, scores + i, n - i);
    store(hn::Mul(p, hn::Sub(load(gradients + i, n - i), means)), gradients + i, n - i);
  }
}

void ProbabilitySumsTarget(const float* scores, const float* values, std::span<const std::int32_t> ends, float lse,
                           float* sums, float* value_sums) {
  const F32 d;
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
  const VF shift = hn::Set(d, lse);
  std::int64_t i = 0;
  for (std::size_t run = 0; run < ends.size(); ++run) {
    const std::int64_t end = ends[run];
    VF sum = hn::Zero(d), value_sum = hn::Zero(d);
    for (; i + lanes <= end; i += lanes) {
      const VF p = hn::Exp(d, hn::Sub(hn::LoadU(d, scores + i), shift));
      sum = hn::Add(sum, p);
      value_sum = hn::MulAdd(p, hn::LoadU(d, values + i), value_sum);
    }
    if (i < end) {
      const auto rest = hn::FirstN(d, static_cast<std::size_t>(end - i));
      const VF p = hn::IfThenElseZero(rest, hn::Exp(d, hn::Sub(hn::LoadU(d, scores + i), shift)));
      sum = hn::Add(sum, p);
      value_sum = hn::MulAdd(p, hn::IfThenElseZero(rest, hn::LoadU(d, values + i)), value_sum);
      i = end;
    }
    sums[run] = sum_lanes(sum);
    value_sums[run] = sum_lanes(value_sum);
  }
}

// An activation is g / (1 + exp(-exponent(g))); slope is the exponent's.
struct SiluBack {
  static HWY_INLINE VF exponent(VF g) { return g; }
  static HWY_INLINE VF slope(VF) { return hn::Set(F32(), 1.0f); }
};
/// The constants are those of GeluTanh in kernels.cc.
struct GeluTanhBack {
  static constexpr float kLinear = 1.5957691216f, kCubic = 0.0713548162726f;
  static HWY_INLINE VF exponent(VF g) {
    return hn::Mul(g, hn::MulAdd(hn::Mul(g, g), hn::Set(F32(), kCubic), hn::Set(F32(), kLinear)));
  }
  static HWY_INLINE VF slope(VF g) {
    return hn::MulAdd(hn::Mul(g, g), hn::Set(F32(), 3 * kCubic), hn::Set(F32(), kLinear));
  }
};

template <class Kind>
void activate_back_of(float* gate, float* up, const float* out, std::int64_t n) {
  const F32 d;
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
  // Exp is valid up to 104; at 88 the sigmoid is 1e-38 already.
  const VF most = hn::Set(d, 88.0f), one = hn::Set(d, 1.0f);
  for (std::int64_t i = 0; i < n; i += lanes) {
    const VF g = load(gate + i, n - i), u = load(up + i, n - i), back = load(out + i, n - i);
    const VF sigmoid = hn::Div(one, hn::Add(one, hn::Exp(d, hn::Min(hn::Neg(Kind::exponent(g)), most))));
    const VF slope = hn::Mul(sigmoid, hn::MulAdd(hn::Mul(g, Kind::slope(g)), hn::Sub(one, sigmoid), one));
    store(hn::Mul(back, hn::Mul(u, slope)), gate + i, n - i);
    store(hn::Mul(back, hn::Mul(g, sigmoid)), up + i, n - i);
  }
}
void ActivateBackTarget(Activation activation, float* gate, float* up, const float* out, std::int64_t n) {
  switch (activation) {
    case Activation::kSilu:
      return activate_back_of<SiluBack>(gate, up, out, n);
    case Activation::kGeluTanh:
      return activate_back_of<GeluTanhBack>(gate, up, out, n);
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace tca::runtime::kernels
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace tca::runtime::kernels {

HWY_EXPORT(LargestTarget);
HWY_EXPORT(ExponentialsTarget);
HWY_EXPORT(MagnitudeSumTarget);
HWY_EXPORT(ScaleRowTarget);
HWY_EXPORT(SoftmaxBackTarget);
HWY_EXPORT(ProbabilitySumsTarget);
HWY_EXPORT(ActivateBackTarget);

float largest(const float* x, std::int64_t n) { return HWY_DYNAMIC_DISPATCH(LargestTarget)(x, n); }
double exponentials(float* x, std::int64_t n, float shift) {
  return HWY_DYNAMIC_DISPATCH(ExponentialsTarget)(x, n, shift);
}
double magnitude_sum(const float* x, std::int64_t n) { return HWY_DYNAMIC_DISPATCH(MagnitudeSumTarget)(x, n); }
void scale_row(float* x, std::int64_t n, float factor) { HWY_DYNAMIC_DISPATCH(ScaleRowTarget)(x, n, factor); }
void softmax_back(float* scores, float* gradients, std::int64_t n, float lse, float mean) {
  HWY_DYNAMIC_DISPATCH(SoftmaxBackTarget)(scores, gradients, n, lse, mean);
}
void probability_sums(const float* scores, const float* values, std::span<const std::int32_t> ends, float lse,
                      float* sums, float* value_sums) {
  HWY_DYNAMIC_DISPATCH(ProbabilitySumsTarget)(scores, values, ends, lse, sums, value_sums);
}
void activate_back(Activation activation, float* gate, float* up, const float* out, std::int64_t n) {
  HWY_DYNAMIC_DISPATCH(ActivateBackTarget)(activation, gate, up, out, n);
}

}  // namespace tca::runtime::kernels
#endif
