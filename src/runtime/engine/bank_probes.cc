#include "runtime/engine/bank_probes.h"

#include <cstddef>
#include <vector>

#include "core/half.h"

namespace tca::runtime {

BankProbes::BankProbes(const QueryBank& bank, const ModelConfig& config, std::int64_t position, DType dtype,
                       Memory& memory, ThreadPool& pool)
    : num_queries_(bank.queries),
      num_heads_(config.num_heads),
      head_dim_(config.head_dim),
      dtype_(dtype),
      block_(memory) {
  RopeTable rope;
  rope.fill(rope_frequencies(config.rope, head_dim_), position, 1, pool);
  const std::int64_t row_elements = std::int64_t{num_heads_} * head_dim_;
  const std::int64_t rows = num_queries_ * config.num_layers;
  const std::size_t row_bytes = static_cast<std::size_t>(row_elements) * dtype_size(dtype);
  std::vector<std::byte> rotated(static_cast<std::size_t>(rows) * row_bytes);
  const std::int64_t half = head_dim_ / 2;
  pool.parallel_for(rows, [&](std::int64_t row, int) {
    const float* const in = bank.values.data() + row * row_elements;
    std::byte* const out = rotated.data() + static_cast<std::size_t>(row) * row_bytes;
    for (std::int64_t head = 0; head < row_elements; head += head_dim_) {
      for (std::int64_t i = 0; i < half; ++i) {
        const float a = in[head + i], b = in[head + half + i];
        const float cos = rope.cos(0)[i], sin = rope.sin(0)[i];
        store_element(out, dtype, head + i, a * cos - b * sin);
        store_element(out, dtype, head + half + i, b * cos + a * sin);
      }
    }
  });
  block_.reserve(rotated.size());
  memory.copy(block_.data(), rotated.data(), rotated.size());
}

TensorView BankProbes::queries(std::int32_t layer) const {
  const std::size_t layer_bytes = static_cast<std::size_t>(num_queries_ * num_heads_ * head_dim_) * dtype_size(dtype_);
  return contiguous(static_cast<const void*>(static_cast<const std::byte*>(block_.data()) +
                                             static_cast<std::size_t>(layer) * layer_bytes),
                    dtype_, num_queries_, num_heads_, head_dim_);
}

}  // namespace tca::runtime
