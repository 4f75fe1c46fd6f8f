#include "runtime/model/place_queries.h"

#include <algorithm>
#include <vector>

#include "core/check.h"
#include "runtime/model/ops.h"

namespace tca::runtime {

void place_queries(const TensorView& q, const RopeFrequencies& frequencies, std::int64_t position,
                   const MutableTensorView& out, ThreadPool& pool) {
  check_argument(q.dtype == DType::kF32 && (out.dtype == DType::kF32 || out.dtype == DType::kBF16), "queries of ",
                 q.dtype, " are to be placed as ", out.dtype, "; expected fp32, as fp32 or bf16");
  RopeTable table;
  table.fill(frequencies, position, 1, pool);
  const auto half = static_cast<std::int64_t>(frequencies.inverse.size());
  std::vector<float> cosine(static_cast<std::size_t>(q.num_tokens * half)), sine(cosine.size());
  for (std::int64_t row = 0; row < q.num_tokens; ++row) {
    std::copy_n(table.cos(0), half, cosine.data() + row * half);
    std::copy_n(table.sin(0), half, sine.data() + row * half);
  }
  norm_and_rotate({.x = q.data,
                   .out = out.data,
                   .cos = cosine.data(),
                   .sin = sine.data(),
                   .rows = q.num_tokens,
                   .heads = q.num_heads,
                   .head_dim = q.head_dim,
                   .dtype = DType::kF32,
                   .out_dtype = out.dtype},
                  pool);
}

}  // namespace tca::runtime
