#include "runtime/engine/bank_probes.h"

#include <cstddef>
#include <vector>

#include "runtime/model/place_queries.h"

namespace tca::runtime {

BankProbes::BankProbes(const QueryBank& bank, const ModelConfig& config, std::int64_t position, bool long_context,
                       DType dtype, Memory& memory, ThreadPool& pool)
    : num_queries_(bank.queries),
      num_heads_(config.num_heads),
      head_dim_(config.head_dim),
      dtype_(dtype),
      reduce_(bank.reduce),
      block_(memory) {
  const std::vector<RopeFrequencies> frequencies = model_frequencies(config, long_context);
  const std::int64_t elements = num_queries_ * num_heads_ * head_dim_;  // of a layer
  const std::size_t bytes = static_cast<std::size_t>(elements) * dtype_size(dtype);
  std::vector<std::byte> placed(static_cast<std::size_t>(config.num_layers) * bytes);
  const auto rope_of = [&](std::size_t layer) { return static_cast<std::size_t>(config.layers[layer].rope); };
  const auto count = static_cast<std::size_t>(config.num_layers);
  // Layers in a row that rotate alike are placed as one list of queries.
  for (std::size_t begin = 0, end = 0; begin < count; begin = end) {
    while (end < count && rope_of(end) == rope_of(begin)) ++end;
    const std::int64_t rows = num_queries_ * static_cast<std::int64_t>(end - begin);
    place_queries(contiguous(static_cast<const void*>(bank.values.data() + static_cast<std::int64_t>(begin) * elements),
                             DType::kF32, rows, num_heads_, head_dim_),
                  frequencies[rope_of(begin)], position,
                  contiguous(static_cast<void*>(placed.data() + begin * bytes), dtype, rows, num_heads_, head_dim_),
                  pool);
  }
  block_.reserve(placed.size());
  memory.copy(block_.data(), placed.data(), placed.size());
}

TensorView BankProbes::queries(std::int32_t layer) const {
  const std::size_t bytes = static_cast<std::size_t>(num_queries_ * num_heads_ * head_dim_) * dtype_size(dtype_);
  const auto* const first = static_cast<const std::byte*>(block_.data()) + static_cast<std::size_t>(layer) * bytes;
  return contiguous(static_cast<const void*>(first), dtype_, num_queries_, num_heads_, head_dim_);
}

}  // namespace tca::runtime
