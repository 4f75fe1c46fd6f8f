#include "runtime/model/ops.h"

#include <algorithm>
#include <cmath>

#include "core/half.h"

namespace tca::runtime {
namespace {

/// p + n elements of dtype.
void* advance(void* p, DType dtype, std::int64_t n) { return static_cast<std::byte*>(p) + n * size_of(dtype); }
const void* advance(const void* p, DType dtype, std::int64_t n) {
  return static_cast<const std::byte*>(p) + n * size_of(dtype);
}

}  // namespace

void embed(const StoredTensor& embedding, std::span<const std::int32_t> ids, float scale, float* out,
           ThreadPool& pool) {
  const std::int64_t width = embedding.shape[1];
  for_row_blocks(static_cast<std::int64_t>(ids.size()), pool, [&](std::int64_t begin, std::int64_t rows) {
    for (std::int64_t row = begin; row < begin + rows; ++row) {
      const std::int64_t id = ids[static_cast<std::size_t>(row)];
      float* const to = out + row * width;
      read_rows(embedding, id, 1, to);
      for (std::int64_t i = 0; scale != 1 && i < width; ++i) to[i] *= scale;
    }
  });
}

void rms_norm(const kernels::RmsNorm& params, ThreadPool& pool) {
  for_row_blocks(params.rows, pool, [&](std::int64_t begin, std::int64_t rows) {
    kernels::RmsNorm block = params;
    block.x += begin * params.width;
    block.out = advance(params.out, params.dtype, begin * params.width);
    block.rows = rows;
    kernels::rms_norm(block);
  });
}

void norm_and_rotate(const kernels::NormAndRotate& params, ThreadPool& pool) {
  for_row_blocks(params.rows, pool, [&](std::int64_t begin, std::int64_t rows) {
    kernels::NormAndRotate block = params;
    block.x = advance(params.x, params.dtype, begin * params.heads * params.head_dim);
    block.out = advance(params.out, params.out_dtype, begin * params.heads * params.head_dim);
    block.cos += begin * (params.head_dim / 2);
    block.sin += begin * (params.head_dim / 2);
    block.rows = rows;
    kernels::norm_and_rotate(block);
  });
}

void add_branch(const kernels::AddBranch& params, ThreadPool& pool) {
  for_row_blocks(params.rows, pool, [&](std::int64_t begin, std::int64_t rows) {
    kernels::AddBranch block = params;
    block.x += begin * params.width;
    block.branch += begin * params.width;
    block.rows = rows;
    kernels::add_branch(block);
  });
}

void activate(Activation activation, void* gate, const void* up, DType dtype, std::int64_t rows, std::int64_t width,
              ThreadPool& pool) {
  for_row_blocks(rows, pool, [&](std::int64_t begin, std::int64_t count) {
    kernels::activate(activation, advance(gate, dtype, begin * width), advance(up, dtype, begin * width), dtype,
                      count * width);
  });
}

void convert(const float* x, void* out, DType dtype, std::int64_t rows, std::int64_t width, ThreadPool& pool) {
  for_row_blocks(rows, pool, [&](std::int64_t begin, std::int64_t count) {
    convert_row(x + begin * width, advance(out, dtype, begin * width), dtype, count * width);
  });
}

double log_probability(std::span<const float> logits, std::int32_t id) {
  const double most = *std::max_element(logits.begin(), logits.end());
  double sum = 0;
  for (const float logit : logits) sum += std::exp(logit - most);
  return logits[static_cast<std::size_t>(id)] - most - std::log(sum);
}

}  // namespace tca::runtime
