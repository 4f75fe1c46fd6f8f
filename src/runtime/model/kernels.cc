#include "runtime/model/kernels.h"

#include <cmath>

#include "core/half.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "runtime/model/kernels.cc"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>
#include <hwy/targets.h>
// Needs the two above.
#include <hwy/contrib/math/math-inl.h>

HWY_BEFORE_NAMESPACE();
namespace tca::runtime::kernels {
namespace HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;
using F32 = hn::ScalableTag<float>;
using U32 = hn::RebindToUnsigned<F32>;
using U16 = hn::Rebind<std::uint16_t, F32>;  // as many lanes as F32
using VF = hn::Vec<F32>;

// ---- Elements: float and bf16 (as std::uint16_t) ----

HWY_INLINE VF load(F32 d, const float* p) { return hn::LoadU(d, p); }
HWY_INLINE VF load(F32 d, const std::uint16_t* p) {
  return hn::BitCast(d, hn::ShiftLeft<16>(hn::PromoteTo(U32(), hn::LoadU(U16(), p))));
}
HWY_INLINE float load_one(const float* p) { return *p; }
HWY_INLINE float load_one(const std::uint16_t* p) { return bf16_to_float(*p); }

HWY_INLINE void store(VF v, float* p) { hn::StoreU(v, F32(), p); }
/// Rounds to nearest even, as float_to_bf16 does; a NaN stays a NaN.
HWY_INLINE void store(VF v, std::uint16_t* p) {
  const U32 d;
  const auto bits = hn::BitCast(d, v);
  const auto odd = hn::And(hn::ShiftRight<16>(bits), hn::Set(d, 1));
  const auto rounded = hn::Add(bits, hn::Add(odd, hn::Set(d, 0x7fff)));
  const auto quiet = hn::Or(bits, hn::Set(d, 0x00400000));
  const auto chosen = hn::IfThenElse(hn::RebindMask(d, hn::IsNaN(v)), quiet, rounded);
  hn::StoreU(hn::TruncateTo(U16(), hn::ShiftRight<16>(chosen)), U16(), p);
}
HWY_INLINE void store_one(float v, float* p) { *p = v; }
HWY_INLINE void store_one(float v, std::uint16_t* p) { *p = float_to_bf16(v); }

HWY_INLINE float sum_lanes(VF v) { return hn::GetLane(hn::SumOfLanes(F32(), v)); }

// ---- Products of a few rows ----

// Weights of one step of the inner loop as two vectors of floats, and x to match. bf16 weights come as pairs in 32-bit
// lanes: the even elements are the lower halves, the odd ones the upper halves, which costs one shift and one mask for
// a whole register instead of two widening loads. x of floats lies in that order beforehand (read_order()).
struct Two {
  VF a, b;
};
HWY_INLINE Two load_two(const float* p) { return {hn::LoadU(F32(), p), hn::LoadU(F32(), p + hn::Lanes(F32()))}; }
HWY_INLINE Two load_two(const std::uint16_t* p) {
  const U32 d;
  const auto pairs = hn::LoadU(d, reinterpret_cast<const std::uint32_t*>(p));  // copies bytes, any alignment
  return {hn::BitCast(F32(), hn::ShiftLeft<16>(pairs)), hn::BitCast(F32(), hn::And(pairs, hn::Set(d, 0xffff0000)))};
}

/// kRows rows of x times kColumns rows of the weight. The order of additions into one sum does not depend on either.
template <int kRows, int kColumns, class X, class W>
HWY_INLINE void multiply_tile(const X* x, const W* weight, std::int64_t in, float* sums) {
  const auto step = static_cast<std::int64_t>(2 * hn::Lanes(F32()));
  VF acc[kRows * kColumns];
  for (VF& v : acc) v = hn::Zero(F32());
  std::int64_t i = 0;
  for (; i + step <= in; i += step) {
    Two wide[kRows];
    for (int r = 0; r < kRows; ++r) wide[r] = load_two(x + r * in + i);
    for (int c = 0; c < kColumns; ++c) {
      const Two w = load_two(weight + c * in + i);
      for (int r = 0; r < kRows; ++r) {
        VF& sum = acc[r * kColumns + c];
        sum = hn::MulAdd(wide[r].b, w.b, hn::MulAdd(wide[r].a, w.a, sum));
      }
    }
  }
  for (int r = 0; r < kRows; ++r) {
    for (int c = 0; c < kColumns; ++c) {
      float rest = 0;
      for (std::int64_t k = i; k < in; ++k) rest += load_one(x + r * in + k) * load_one(weight + c * in + k);
      sums[r * kColumns + c] = sum_lanes(acc[r * kColumns + c]) + rest;
    }
  }
}

template <int kRows, int kColumns, class X, class W, class Out>
HWY_INLINE void multiply_and_store(const MultiplyRows& p, std::int64_t row, std::int64_t column) {
  float sums[kRows * kColumns];
  multiply_tile<kRows, kColumns>(static_cast<const X*>(p.x) + row * p.in,
                                 static_cast<const W*>(p.weight) + column * p.in, p.in, sums);
  for (int r = 0; r < kRows; ++r) {
    Out* out = static_cast<Out*>(p.out) + (row + r) * p.out_stride + column;
    for (int c = 0; c < kColumns; ++c) {
      const float sum = sums[r * kColumns + c] + (p.bias == nullptr ? 0.0f : p.bias[column + c]);
      store_one(p.add ? load_one(out + c) + sum : sum, out + c);
    }
  }
}

// Eight sums at a time hide the latency of the multiply-add (4 cycles, 2 a cycle) and leave registers for the weights;
// the rows of a tile reuse each other's weights from the first cache level.
template <class X, class W, class Out>
void multiply_several_rows(const MultiplyRows& p) {
  std::int64_t column = 0;
  for (; column + 4 <= p.columns; column += 4) {
    std::int64_t row = 0;
    for (; row + 2 <= p.rows; row += 2) multiply_and_store<2, 4, X, W, Out>(p, row, column);
    if (row < p.rows) multiply_and_store<1, 4, X, W, Out>(p, row, column);
  }
  for (; column < p.columns; ++column) {
    for (std::int64_t row = 0; row < p.rows; ++row) multiply_and_store<1, 1, X, W, Out>(p, row, column);
  }
}

// Memory's speed is what counts for one row. Hardware prefetches a single stream best: the weights from front to back,
// while x stays in the first cache level (32 KiB and more). An x that the stream would push out of it is shared by
// eight columns.
template <class X, class W, class Out>
void multiply_one_row(const MultiplyRows& p) {
  constexpr std::int64_t kBytesThatStay = 8192;
  std::int64_t column = 0;
  if (p.in * static_cast<std::int64_t>(sizeof(X)) > kBytesThatStay) {
    for (; column + 8 <= p.columns; column += 8) multiply_and_store<1, 8, X, W, Out>(p, 0, column);
  }
  for (; column < p.columns; ++column) multiply_and_store<1, 1, X, W, Out>(p, 0, column);
}

template <class X, class W, class Out>
void multiply_rows_of(const MultiplyRows& p) {
  p.rows == 1 ? multiply_one_row<X, W, Out>(p) : multiply_several_rows<X, W, Out>(p);
}

template <class X, class W>
void multiply_rows_to(const MultiplyRows& p) {
  p.out_dtype == DType::kF32 ? multiply_rows_of<X, W, float>(p) : multiply_rows_of<X, W, std::uint16_t>(p);
}

const char* TargetNameTarget() { return hwy::TargetName(HWY_TARGET); }

void MultiplyRowsTarget(const MultiplyRows& p) {
  if (p.weight_dtype == DType::kF32) return multiply_rows_to<float, float>(p);
  if (p.dtype == DType::kF32) return multiply_rows_to<float, std::uint16_t>(p);
  multiply_rows_to<std::uint16_t, std::uint16_t>(p);
}

template <class X>
HWY_INLINE void read_order_of(const X* x, bool pairs, std::int64_t rows, std::int64_t in, float* out) {
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(F32()));
  for (std::int64_t row = 0; row < rows; ++row, x += in, out += in) {
    std::int64_t i = 0;
    for (; pairs && i + 2 * lanes <= in; i += 2 * lanes) {
      for (std::int64_t lane = 0; lane < lanes; ++lane) {
        out[i + lane] = load_one(x + i + 2 * lane);
        out[i + lanes + lane] = load_one(x + i + 2 * lane + 1);
      }
    }
    for (; i < in; ++i) out[i] = load_one(x + i);
  }
}
void ReadOrderTarget(const void* x, DType dtype, bool pairs, std::int64_t rows, std::int64_t in, float* out) {
  if (dtype == DType::kF32) return read_order_of(static_cast<const float*>(x), pairs, rows, in, out);
  read_order_of(static_cast<const std::uint16_t*>(x), pairs, rows, in, out);
}

// ---- Norms, rotation, activations ----

/// 1 / rms of one row.
template <class T>
HWY_INLINE float inverse_rms(const T* x, std::int64_t n, float eps) {
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(F32()));
  VF squares = hn::Zero(F32());
  std::int64_t i = 0;
  for (; i + lanes <= n; i += lanes) {
    const VF v = load(F32(), x + i);
    squares = hn::MulAdd(v, v, squares);
  }
  float sum = sum_lanes(squares);
  for (; i < n; ++i) sum += load_one(x + i) * load_one(x + i);
  return 1.0f / std::sqrt(sum / static_cast<float>(n) + eps);
}

template <class In, class Out>
HWY_INLINE void normalise_row(const In* x, const float* weight, float eps, std::int64_t n, Out* out) {
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(F32()));
  const float factor = inverse_rms(x, n, eps);
  const VF factors = hn::Set(F32(), factor);
  std::int64_t i = 0;
  for (; i + lanes <= n; i += lanes) {
    store(hn::Mul(hn::Mul(load(F32(), x + i), factors), hn::LoadU(F32(), weight + i)), out + i);
  }
  for (; i < n; ++i) store_one(load_one(x + i) * factor * weight[i], out + i);
}

template <class Out>
void rms_norm_of(const RmsNorm& p) {
  for (std::int64_t row = 0; row < p.rows; ++row) {
    normalise_row(p.x + row * p.width, p.weight, p.eps, p.width, static_cast<Out*>(p.out) + row * p.width);
  }
}
void RmsNormTarget(const RmsNorm& p) {
  if (p.dtype == DType::kF32) return rms_norm_of<float>(p);
  rms_norm_of<std::uint16_t>(p);
}

void AddBranchTarget(const AddBranch& p) {
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(F32()));
  for (std::int64_t row = 0; row < p.rows; ++row) {
    float* const x = p.x + row * p.width;
    const float* const branch = p.branch + row * p.width;
    const float factor = p.weight == nullptr ? p.factor : inverse_rms(branch, p.width, p.eps);
    const VF factors = hn::Set(F32(), factor);
    std::int64_t i = 0;
    for (; i + lanes <= p.width; i += lanes) {
      VF v = hn::Mul(load(F32(), branch + i), factors);
      if (p.weight != nullptr) v = hn::Mul(v, hn::LoadU(F32(), p.weight + i));
      store(hn::Add(load(F32(), x + i), v), x + i);
    }
    for (; i < p.width; ++i) x[i] += branch[i] * factor * (p.weight == nullptr ? 1.0f : p.weight[i]);
  }
}

/// One head: a = x[0, half), b = x[half, 2 half) become a cos - b sin, b cos + a sin, both scaled before by factor *
/// norm.
template <class In, class Out>
HWY_INLINE void rotate_head(const In* x, const float* norm, float factor, const float* cos, const float* sin,
                            std::int64_t half, Out* out) {
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(F32()));
  const VF factors = hn::Set(F32(), factor);
  std::int64_t i = 0;
  for (; i + lanes <= half; i += lanes) {
    VF a = hn::Mul(load(F32(), x + i), factors), b = hn::Mul(load(F32(), x + half + i), factors);
    if (norm != nullptr) {
      a = hn::Mul(a, hn::LoadU(F32(), norm + i));
      b = hn::Mul(b, hn::LoadU(F32(), norm + half + i));
    }
    const VF c = hn::LoadU(F32(), cos + i), s = hn::LoadU(F32(), sin + i);
    store(hn::Sub(hn::Mul(a, c), hn::Mul(b, s)), out + i);
    store(hn::Add(hn::Mul(b, c), hn::Mul(a, s)), out + half + i);
  }
  for (; i < half; ++i) {
    const float a = load_one(x + i) * (norm == nullptr ? factor : factor * norm[i]);
    const float b = load_one(x + half + i) * (norm == nullptr ? factor : factor * norm[half + i]);
    store_one(a * cos[i] - b * sin[i], out + i);
    store_one(b * cos[i] + a * sin[i], out + half + i);
  }
}

template <class In, class Out>
void norm_and_rotate_of(const NormAndRotate& p) {
  const std::int64_t half = p.head_dim / 2, width = std::int64_t{p.heads} * p.head_dim;
  for (std::int64_t row = 0; row < p.rows; ++row) {
    const In* x = static_cast<const In*>(p.x) + row * width;
    Out* out = static_cast<Out*>(p.out) + row * width;
    const float* norm = p.norm;
    const float together = norm != nullptr && p.as_one ? inverse_rms(x, width, p.eps) : 1.0f;
    for (std::int64_t head = 0; head < p.heads; ++head, x += p.head_dim, out += p.head_dim) {
      const float factor = norm != nullptr && !p.as_one ? inverse_rms(x, p.head_dim, p.eps) : together;
      rotate_head(x, norm, factor * p.factor, p.cos + row * half, p.sin + row * half, half, out);
      if (norm != nullptr && p.as_one) norm += p.head_dim;
    }
  }
}
void NormAndRotateTarget(const NormAndRotate& p) {
  if (p.dtype == DType::kBF16) return norm_and_rotate_of<std::uint16_t, std::uint16_t>(p);
  p.out_dtype == DType::kF32 ? norm_and_rotate_of<float, float>(p) : norm_and_rotate_of<float, std::uint16_t>(p);
}

// An activation divides its argument by 1 + exp(-exponent(argument)).
struct Silu {
  static HWY_INLINE VF exponent(VF g) { return g; }
  static HWY_INLINE float exponent(float g) { return g; }
};
/// g (1 + tanh(u)) / 2 = g / (1 + exp(-2 u)), u = sqrt(2 / pi) (g + 0.044715 g^3)
struct GeluTanh {
  static constexpr float kLinear = 1.5957691216f, kCubic = 0.0713548162726f;
  static HWY_INLINE VF exponent(VF g) {
    return hn::Mul(g, hn::MulAdd(hn::Mul(g, g), hn::Set(F32(), kCubic), hn::Set(F32(), kLinear)));
  }
  static HWY_INLINE float exponent(float g) { return g * (g * g * kCubic + kLinear); }
};

template <class Kind, class T>
void activate_of(T* gate, const T* up, std::int64_t n) {
  const F32 d;
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
  // Exp is valid up to 104; at 88 the quotient is 1e-36 of the gate already.
  const VF most = hn::Set(d, 88.0f), one = hn::Set(d, 1.0f);
  std::int64_t i = 0;
  for (; i + lanes <= n; i += lanes) {
    const VF g = load(d, gate + i);
    const VF below = hn::Add(one, hn::Exp(d, hn::Min(hn::Neg(Kind::exponent(g)), most)));
    store(hn::Mul(hn::Div(g, below), load(d, up + i)), gate + i);
  }
  for (; i < n; ++i) {
    const float g = load_one(gate + i);
    store_one(g / (1.0f + std::exp(-Kind::exponent(g))) * load_one(up + i), gate + i);
  }
}
template <class T>
void activate_elements(Activation activation, void* gate, const void* up, std::int64_t n) {
  switch (activation) {
    case Activation::kSilu:
      return activate_of<Silu>(static_cast<T*>(gate), static_cast<const T*>(up), n);
    case Activation::kGeluTanh:
      return activate_of<GeluTanh>(static_cast<T*>(gate), static_cast<const T*>(up), n);
  }
}
void ActivateTarget(Activation activation, void* gate, const void* up, DType dtype, std::int64_t n) {
  if (dtype == DType::kF32) return activate_elements<float>(activation, gate, up, n);
  activate_elements<std::uint16_t>(activation, gate, up, n);
}

}  // namespace HWY_NAMESPACE
}  // namespace tca::runtime::kernels
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace tca::runtime::kernels {

HWY_EXPORT(TargetNameTarget);
HWY_EXPORT(MultiplyRowsTarget);
HWY_EXPORT(ReadOrderTarget);
HWY_EXPORT(RmsNormTarget);
HWY_EXPORT(NormAndRotateTarget);
HWY_EXPORT(ActivateTarget);
HWY_EXPORT(AddBranchTarget);

const char* target_name() { return HWY_DYNAMIC_DISPATCH(TargetNameTarget)(); }
void multiply_rows(const MultiplyRows& params) { HWY_DYNAMIC_DISPATCH(MultiplyRowsTarget)(params); }
void read_order(const void* x, DType dtype, DType weight_dtype, std::int64_t rows, std::int64_t in, float* out) {
  HWY_DYNAMIC_DISPATCH(ReadOrderTarget)(x, dtype, weight_dtype == DType::kBF16, rows, in, out);
}
void rms_norm(const RmsNorm& params) { HWY_DYNAMIC_DISPATCH(RmsNormTarget)(params); }
void norm_and_rotate(const NormAndRotate& params) { HWY_DYNAMIC_DISPATCH(NormAndRotateTarget)(params); }
void add_branch(const AddBranch& params) { HWY_DYNAMIC_DISPATCH(AddBranchTarget)(params); }
void activate(Activation activation, void* gate, const void* up, DType dtype, std::int64_t n) {
  HWY_DYNAMIC_DISPATCH(ActivateTarget)(activation, gate, up, dtype, n);
}

}  // namespace tca::runtime::kernels
#endif
