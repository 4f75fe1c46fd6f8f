// Seeded random rows in the element types of the forward pass.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "core/half.h"
#include "tca/tensor.h"

namespace tca::test {

/// Unit roundoff of fp32 and bf16: half an ulp of 1.
inline constexpr double kFloatRoundoff = 0x1p-24;
inline constexpr double kBf16Roundoff = 0x1p-8;

inline std::vector<float> random_floats(std::int64_t n, std::uint64_t seed, float scale = 1) {
  // SplitMix64: of std's generators the products' tests spent half of their time in.
  std::uint64_t state = seed;
  std::vector<float> values(static_cast<std::size_t>(n));
  for (float& value : values) {
    std::uint64_t z = state += 0x9e3779b97f4a7c15;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
    z = (z ^ z >> 27) * 0x94d049bb133111eb;
    value = scale * (static_cast<float>((z ^ z >> 31) >> 40) * 0x1p-23f - 1);
  }
  return values;
}

/// The same values as elements of dtype.
struct Elements {
  DType dtype = DType::kF32;
  std::vector<std::byte> bytes;

  Elements(const std::vector<float>& values, DType type) : dtype(type), bytes(values.size() * dtype_size(type)) {
    convert_row(values.data(), bytes.data(), type, static_cast<std::int64_t>(values.size()));
  }
  float operator[](std::int64_t i) const { return load_element(bytes.data(), dtype, i); }
  void* data() { return bytes.data(); }
  const void* data() const { return bytes.data(); }
};

inline double roundoff(DType dtype) { return dtype == DType::kF32 ? kFloatRoundoff : kBf16Roundoff; }

}  // namespace tca::test
