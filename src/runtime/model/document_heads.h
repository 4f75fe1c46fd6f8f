// A document's keys and values, and query rows, as products of one KV head take them.
#pragma once

#include <cstdint>
#include <span>

#include "runtime/model/answer_gradient.h"
#include "runtime/model/buffer.h"
#include "tca/thread_pool.h"

namespace tca::runtime {

/// K and V of one layer's document in fp32, each head contiguous: [T, d] as sums over tokens take them, and tiles of
/// tokens [d, kTile] as scores do, which a product would otherwise turn around for every block of rows.
class DocumentHeads {
 public:
  static constexpr std::int64_t kTile = 256;

  void fill(const DocumentLayer& layer, ThreadPool& pool);
  /// The same with a head's tokens in another order: order [Hk][T].
  void fill(const DocumentLayer& layer, std::span<const std::int32_t> order, ThreadPool& pool);
  const float* k(std::int64_t head) const { return k_.as<float>() + head * tokens_ * dim_; }
  const float* v(std::int64_t head) const { return v_.as<float>() + head * tokens_ * dim_; }
  /// The tile of tokens [begin, begin + kTile) is begin * d behind.
  const float* k_tiles(std::int64_t head) const { return k_tiles_.as<float>() + head * padded() * dim_; }
  const float* v_tiles(std::int64_t head) const { return v_tiles_.as<float>() + head * padded() * dim_; }
  std::int64_t tokens() const { return tokens_; }

 private:
  std::int64_t padded() const { return (tokens_ + kTile - 1) / kTile * kTile; }
  std::int64_t tokens_ = 0, dim_ = 0;
  Buffer k_, v_, k_tiles_, v_tiles_;
};

struct HeadShape {
  std::int64_t heads = 0, kv_heads = 0, dim = 0;
  std::int64_t group() const { return heads / kv_heads; }
};

/// Query rows of one KV head as a product takes them: [rows * group, dim], times a factor.
void gather_group(const float* x, const HeadShape& shape, std::int64_t kv_head, std::int64_t first, std::int64_t rows,
                  float factor, float* out);

}  // namespace tca::runtime
