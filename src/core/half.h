// bf16 and fp16 in software, exact and branch-free so that loops over rows vectorise on every target.
#pragma once

#include <bit>
#include <cstdint>
#include <cstring>

#include "tca/tensor.h"

namespace tca {

inline float bf16_to_float(std::uint16_t value) { return std::bit_cast<float>(std::uint32_t{value} << 16); }

/// Rounds to nearest even; a NaN stays a NaN (made quiet, so that its payload cannot round to infinity).
inline std::uint16_t float_to_bf16(float value) {
  const auto bits = std::bit_cast<std::uint32_t>(value);
  const std::uint32_t rounded = bits + 0x7fffu + ((bits >> 16) & 1u);
  const bool is_nan = (bits & 0x7fffffffu) > 0x7f800000u;
  return static_cast<std::uint16_t>((is_nan ? (bits | 0x00400000u) : rounded) >> 16);
}

inline float fp16_to_float(std::uint16_t value) {
  constexpr std::uint32_t kRebias = 112u << 23;  // exponent bias 127 - 15
  const std::uint32_t magnitude = (value & 0x7fffu) << 13;
  const std::uint32_t exponent = value & 0x7c00u;
  // A subnormal m * 2^-24 is (2^-14 + m * 2^-24) - 2^-14: no float subnormals, so it is exact with denormals-are-zero.
  const float subnormal = std::bit_cast<float>(magnitude + (113u << 23)) - 0x1p-14f;
  const std::uint32_t normal = magnitude + (exponent == 0x7c00u ? 2 * kRebias : kRebias);
  const std::uint32_t bits = exponent == 0 ? std::bit_cast<std::uint32_t>(subnormal) : normal;
  return std::bit_cast<float>(bits | ((value & 0x8000u) << 16));
}

/// Rounds to nearest even; 65520 and above become infinity; a NaN stays a (quiet) NaN.
inline std::uint16_t float_to_fp16(float value) {
  const auto bits = std::bit_cast<std::uint32_t>(value);
  const std::uint32_t magnitude = bits & 0x7fffffffu;
  // Below 2^-14 the result is a multiple of 2^-24, the ulp of 0.5: the addition rounds for us.
  const float shifted = std::bit_cast<float>(magnitude) + 0.5f;
  const std::uint32_t subnormal = std::bit_cast<std::uint32_t>(shifted) - std::bit_cast<std::uint32_t>(0.5f);
  const std::uint32_t normal = (magnitude + 0xfffu + ((magnitude >> 13) & 1u) - (112u << 23)) >> 13;
  std::uint32_t half = magnitude < 0x38800000u ? subnormal : normal;
  half = magnitude >= 0x477ff000u ? 0x7c00u : half;
  half = magnitude > 0x7f800000u ? 0x7e00u | ((magnitude >> 13) & 0x1ffu) : half;
  return static_cast<std::uint16_t>(half | ((bits >> 16) & 0x8000u));
}

inline float load_element(const void* row, DType dtype, std::int64_t i) {
  if (dtype == DType::kF32) return static_cast<const float*>(row)[i];
  const std::uint16_t half = static_cast<const std::uint16_t*>(row)[i];
  return dtype == DType::kBF16 ? bf16_to_float(half) : fp16_to_float(half);
}

inline void store_element(void* row, DType dtype, std::int64_t i, float value) {
  if (dtype == DType::kF32) {
    static_cast<float*>(row)[i] = value;
  } else {
    static_cast<std::uint16_t*>(row)[i] = dtype == DType::kBF16 ? float_to_bf16(value) : float_to_fp16(value);
  }
}

/// n elements of dtype to floats. The rows do not overlap.
inline void convert_row(const void* src, DType dtype, float* dst, std::int64_t n) {
  const auto* half = static_cast<const std::uint16_t*>(src);
  if (dtype == DType::kF32) {
    std::memcpy(dst, src, static_cast<std::size_t>(n) * sizeof(float));
  } else if (dtype == DType::kBF16) {
    for (std::int64_t i = 0; i < n; ++i) dst[i] = bf16_to_float(half[i]);
  } else {
    for (std::int64_t i = 0; i < n; ++i) dst[i] = fp16_to_float(half[i]);
  }
}

/// n floats to elements of dtype. The rows do not overlap.
inline void convert_row(const float* src, void* dst, DType dtype, std::int64_t n) {
  auto* half = static_cast<std::uint16_t*>(dst);
  if (dtype == DType::kF32) {
    std::memcpy(dst, src, static_cast<std::size_t>(n) * sizeof(float));
  } else if (dtype == DType::kBF16) {
    for (std::int64_t i = 0; i < n; ++i) half[i] = float_to_bf16(src[i]);
  } else {
    for (std::int64_t i = 0; i < n; ++i) half[i] = float_to_fp16(src[i]);
  }
}

}  // namespace tca
