#include "runtime/engine/bank_probes.h"

#include <cstddef>
#include <vector>

#include "runtime/model/place_queries.h"

namespace tca::runtime {

BankProbes::BankProbes(const QueryBank& bank, const ModelConfig& config, std::int64_t position, DType dtype,
                       Memory& memory, ThreadPool& pool)
    : num_queries_(bank.queries),
      num_heads_(config.num_heads),
      head_dim_(config.head_dim),
      dtype_(dtype),
      reduce_(bank.reduce),
      block_(memory) {
  // All layers are placed as one list of queries.
  const std::int64_t rows = num_queries_ * config.num_layers;
  std::vector<std::byte> placed(static_cast<std::size_t>(rows * num_heads_ * head_dim_) * dtype_size(dtype));
  place_queries(contiguous(static_cast<const void*>(bank.values.data()), DType::kF32, rows, num_heads_, head_dim_),
                rope_frequencies(config.ropes[0], head_dim_), position,
                contiguous(static_cast<void*>(placed.data()), dtype, rows, num_heads_, head_dim_), pool);
  block_.reserve(placed.size());
  memory.copy(block_.data(), placed.data(), placed.size());
}

TensorView BankProbes::queries(std::int32_t layer) const {
  const std::size_t bytes = static_cast<std::size_t>(num_queries_ * num_heads_ * head_dim_) * dtype_size(dtype_);
  const auto* const first = static_cast<const std::byte*>(block_.data()) + static_cast<std::size_t>(layer) * bytes;
  return contiguous(static_cast<const void*>(first), dtype_, num_queries_, num_heads_, head_dim_);
}

}  // namespace tca::runtime
