// Inputs of the kernel benchmarks: random tensors in bf16, kept sets as ragged as those calibration finds, caches.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "tca/attention.h"
#include "tca/backend.h"
#include "tca/kv_cache.h"

namespace tca::bench {

struct Shape {
  std::int64_t tokens = 0;
  std::int32_t num_heads = 8;
  std::int32_t num_kv_heads = 4;
  std::int32_t head_dim = 64;
  DType dtype = DType::kBF16;
};

/// q, k, v of a prompt and room for the result.
class Problem {
 public:
  explicit Problem(const Shape& shape);

  const Shape& shape() const { return shape_; }
  TensorView q() const { return view(q_, shape_.num_heads); }
  TensorView k() const { return view(k_, shape_.num_kv_heads); }
  TensorView v() const { return view(v_, shape_.num_kv_heads); }
  MutableTensorView out() {
    return contiguous(out_.data(), shape_.dtype, shape_.tokens, shape_.num_heads, shape_.head_dim);
  }

 private:
  TensorView view(const std::vector<std::byte>& data, std::int32_t heads) const {
    return contiguous(static_cast<const void*>(data.data()), shape_.dtype, shape_.tokens, heads, shape_.head_dim);
  }
  Shape shape_;
  std::vector<std::byte> q_, k_, v_, out_;
};

/// Shares kept by KV head as calibration finds them at this mean: some heads full, many with the window alone, the rest
/// between; tokens of a head in random places.
KeptSet ragged_kept(std::int64_t tokens, std::int32_t num_kv_heads, double mean_share);

/// The shares that would keep as much by head.
std::vector<BlockShares> ragged_shares(std::int32_t num_kv_heads, double mean_share, std::int32_t block_size);

/// A cache of one layer that holds of each head what ragged_kept says and the last `window` tokens (share 1: all).
KvCache make_cache(const Problem& problem, double mean_share, std::int32_t window);

}  // namespace tca::bench
