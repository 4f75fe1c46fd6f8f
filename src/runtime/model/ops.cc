#include "runtime/model/ops.h"

#include <algorithm>
#include <cmath>

#include "core/half.h"

namespace tca::runtime {
namespace {

// A block of rows is 100 KiB and more of activations, some 10 us of work: what handing it to a thread costs is lost in
// it, and a chunk of 8192 rows still feeds 128 threads.
constexpr std::int64_t kRows = 64;

template <class Task>
void for_row_blocks(std::int64_t rows, ThreadPool& pool, const Task& task) {
  if (rows <= kRows) return task(0, rows);  // a decoded token wakes nobody up
  pool.parallel_for((rows + kRows - 1) / kRows,
                    [&](std::int64_t block, int) { task(block * kRows, std::min(kRows, rows - block * kRows)); });
}

/// p + n elements of dtype.
void* advance(void* p, DType dtype, std::int64_t n) {
  return static_cast<std::byte*>(p) + n * static_cast<std::int64_t>(dtype_size(dtype));
}
const void* advance(const void* p, DType dtype, std::int64_t n) {
  return static_cast<const std::byte*>(p) + n * static_cast<std::int64_t>(dtype_size(dtype));
}

}  // namespace

void embed(const StoredTensor& embedding, std::span<const std::int32_t> ids, float* out, ThreadPool& pool) {
  const std::int64_t width = embedding.shape[1];
  for_row_blocks(static_cast<std::int64_t>(ids.size()), pool, [&](std::int64_t begin, std::int64_t rows) {
    for (std::int64_t row = begin; row < begin + rows; ++row) {
      const std::int64_t id = ids[static_cast<std::size_t>(row)];
      read_rows(embedding, id, 1, out + row * width);
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

void swiglu(void* gate, const void* up, DType dtype, std::int64_t rows, std::int64_t width, ThreadPool& pool) {
  for_row_blocks(rows, pool, [&](std::int64_t begin, std::int64_t count) {
    kernels::swiglu(advance(gate, dtype, begin * width), advance(up, dtype, begin * width), dtype, count * width);
  });
}

double log_probability(std::span<const float> logits, std::int32_t id) {
  const double most = *std::max_element(logits.begin(), logits.end());
  double sum = 0;
  for (const float logit : logits) sum += std::exp(logit - most);
  return logits[static_cast<std::size_t>(id)] - most - std::log(sum);
}

}  // namespace tca::runtime
