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
  constexpr std::int64_t kRows = 256;
  tokens_ = layer.k.num_tokens;
  dim_ = layer.k.head_dim;
  const std::int64_t heads = layer.k.num_heads;
  float* const k = k_.floats(heads * tokens_ * dim_);
  float* const v = v_.floats(heads * tokens_ * dim_);
  const std::int64_t blocks = (tokens_ + kRows - 1) / kRows;
  pool.parallel_for(heads * blocks, [&](std::int64_t item, int) {
    const std::int64_t head = item / blocks, begin = item % blocks * kRows;
    for (std::int64_t t = begin; t < std::min(tokens_, begin + kRows); ++t) {
      const std::int64_t at = head * tokens_ + t;
      const std::int64_t token = order.empty() ? t : order[static_cast<std::size_t>(at)];
      convert_row(layer.k.row(token, head), layer.k.dtype, k + at * dim_, dim_);
      convert_row(layer.v.row(token, head), layer.v.dtype, v + at * dim_, dim_);
    }
  });
}

}  // namespace tca::runtime
