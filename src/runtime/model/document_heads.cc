#include "runtime/model/document_heads.h"

#include <algorithm>

#include "core/half.h"

namespace tca::runtime {

void gather_group(const float* x, const HeadShape& shape, std::int64_t kv_head, std::int64_t first, std::int64_t rows,
                  float factor, float* out) {
  const std::int64_t width = shape.group() * shape.dim;
  for (std::int64_t row = 0; row < rows; ++row) {
    const float* const from = x + ((first + row) * shape.kv_heads + kv_head) * width;
    for (std::int64_t i = 0; i < width; ++i) out[row * width + i] = factor * from[i];
  }
}

void DocumentHeads::fill(const DocumentLayer& layer, ThreadPool& pool) { fill(layer, {}, pool); }

void DocumentHeads::fill(const DocumentLayer& layer, std::span<const std::int32_t> order, ThreadPool& pool) {
  tokens_ = layer.k.num_tokens;
  dim_ = layer.k.head_dim;
  const std::int64_t heads = layer.k.num_heads, tiles = padded() / kTile;
  for (Buffer* buffer : {&k_, &v_}) buffer->floats(heads * tokens_ * dim_);
  for (Buffer* buffer : {&k_tiles_, &v_tiles_}) buffer->floats(heads * padded() * dim_);
  const auto fill_tile = [&](const TensorView& from, std::int64_t head, std::int64_t begin, float* rows, float* tile) {
    const std::int64_t count = std::min(kTile, tokens_ - begin);
    for (std::int64_t t = 0; t < count; ++t, rows += dim_) {
      const std::int64_t at = head * tokens_ + begin + t;
      const std::int64_t token = order.empty() ? begin + t : order[static_cast<std::size_t>(at)];
      convert_row(from.row(token, head), from.dtype, rows, dim_);
      for (std::int64_t e = 0; e < dim_; ++e) tile[e * kTile + t] = rows[e];
    }
  };
  pool.parallel_for(heads * tiles, [&](std::int64_t item, int) {
    const std::int64_t head = item / tiles, begin = item % tiles * kTile;
    const std::int64_t row = (head * tokens_ + begin) * dim_, tile = (head * padded() + begin) * dim_;
    fill_tile(layer.k, head, begin, k_.as<float>() + row, k_tiles_.as<float>() + tile);
    fill_tile(layer.v, head, begin, v_.as<float>() + row, v_tiles_.as<float>() + tile);
  });
}

}  // namespace tca::runtime
