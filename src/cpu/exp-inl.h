// Vector 2^x for softmax weights.
#if defined(TCA_CPU_EXP_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef TCA_CPU_EXP_INL_H_
#undef TCA_CPU_EXP_INL_H_
#else
#define TCA_CPU_EXP_INL_H_
#endif

#include <cstdint>

#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace tca::cpu {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

/// 2^x for x < 127.5, within 2.2 ulp where the result is a normal number (2.1 with fused multiply-adds). Below
/// x = -126 the error is under 2^-126, and from x = -127 down (-infinity too) the result is exactly 0. The polynomial
/// is minimax for the relative error on [-0.5, 0.5] with a constant term of exactly 1. Half of the operations are
/// additions: they run beside the multiply-adds on cores with separate adders, which is why the exponent is split off
/// by a magic addition rather than by a rounding instruction.
template <class D, class V = hn::Vec<D>>
HWY_INLINE V exp2(D d, V x) {
  const hn::RebindToSigned<D> di;
  // Adding 1.5 * 2^23 rounds to an integer and leaves it in the low mantissa bits.
  const V magic = hn::Set(d, 12582912.0f);
  x = hn::Max(x, hn::Set(d, -127.0f));
  const V shifted = hn::Add(x, magic);
  const V r = hn::Sub(x, hn::Sub(shifted, magic));
  V p = hn::MulAdd(hn::Set(d, 0.0013264727f), r, hn::Set(d, 0.009671513f));
  p = hn::MulAdd(p, r, hn::Set(d, 0.055507336f));
  p = hn::MulAdd(p, r, hn::Set(d, 0.24022242f));
  p = hn::MulAdd(p, r, hn::Set(d, 0.693147f));
  p = hn::MulAdd(p, r, hn::Set(d, 1.0f));
  const auto exponent = hn::ShiftLeft<23>(hn::BitCast(di, shifted));
  return hn::BitCast(d, hn::Add(hn::BitCast(di, p), exponent));
}

}  // namespace HWY_NAMESPACE
}  // namespace tca::cpu
HWY_AFTER_NAMESPACE();

#endif
