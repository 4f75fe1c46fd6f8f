// Random rows in any dtype at any alignment, and attention over them by the book, for tests of kernels.
#pragma once

#include <cmath>
#include <cstdint>
#include <cstring>
#include <random>
#include <vector>

#include "core/half.h"
#include "cpu/aligned_buffer.h"
#include "cpu/targets.h"
#include "tca/tensor.h"

namespace tca::cpu {

inline constexpr DType kDTypes[] = {DType::kF32, DType::kBF16, DType::kF16};
inline constexpr std::int32_t kHeadDims[] = {16, 48, 64, 80, 96, 128, 240, 256};

/// Rows of standard normal numbers, each row `gap` bytes after the end of the one before: gap 1 or 2 leaves no row
/// aligned to anything. To row r, r times the ramp is added.
class Rows {
 public:
  Rows(std::int32_t count, std::int32_t head_dim, DType dtype, std::uint32_t seed, std::size_t gap = 2, float ramp = 0)
      : stride_(head_dim * dtype_size(dtype) + gap), bytes_(count * stride_ + gap) {
    std::mt19937 random(seed);
    std::normal_distribution<float> normal;
    std::vector<float> row(static_cast<std::size_t>(head_dim));
    std::vector<std::byte> converted(head_dim * dtype_size(dtype));
    for (std::int32_t r = 0; r < count; ++r) {
      for (float& x : row) x = normal(random) + ramp * static_cast<float>(r);
      convert_row(row.data(), converted.data(), dtype, head_dim);
      pointers_.push_back(bytes_.data() + gap + static_cast<std::size_t>(r) * stride_);
      std::memcpy(bytes_.data() + gap + static_cast<std::size_t>(r) * stride_, converted.data(), converted.size());
      std::vector<double>& values = values_.emplace_back();
      for (std::int32_t i = 0; i < head_dim; ++i) values.push_back(load_element(converted.data(), dtype, i));
    }
  }
  Rows(const Rows&) = delete;
  Rows& operator=(const Rows&) = delete;

  const void* const* pointers() const { return pointers_.data(); }
  double at(std::int32_t row, std::int32_t i) const { return this->row(row)[static_cast<std::size_t>(i)]; }
  const std::vector<double>& row(std::int32_t r) const { return values_[static_cast<std::size_t>(r)]; }

 private:
  std::size_t stride_;
  std::vector<std::byte> bytes_;
  std::vector<const void*> pointers_;
  std::vector<std::vector<double>> values_;
};

inline double dot(const std::vector<double>& a, const std::vector<double>& b) {
  double sum = 0;
  for (std::size_t i = 0; i < a.size(); ++i) sum += a[i] * b[i];
  return sum;
}

/// d terms, each product rounded to 2^-24 and added in any order: |error| <= d 2^-24 sum |a_i b_i|.
inline double dot_bound(const std::vector<double>& a, const std::vector<double>& b) {
  double sum = 0;
  for (std::size_t i = 0; i < a.size(); ++i) sum += std::abs(a[i] * b[i]);
  return static_cast<double>(a.size()) * 0x1p-24 * sum;
}

}  // namespace tca::cpu
