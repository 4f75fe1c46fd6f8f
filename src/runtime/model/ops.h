// The steps of the forward pass between matrix products, each over rows in parallel.
#pragma once

#include <algorithm>
#include <cstdint>
#include <span>

#include "runtime/io/tensor_source.h"
#include "runtime/model/kernels.h"
#include "tca/thread_pool.h"

namespace tca::runtime {

/// dtype_size() for sums of extents, which are signed.
inline std::int64_t size_of(DType dtype) { return static_cast<std::int64_t>(dtype_size(dtype)); }

/// A block of rows is 100 KiB and more of activations, some 10 us of work: what handing it to a thread costs is lost in
/// it, and a chunk of 8192 rows still feeds 128 threads.
inline constexpr std::int64_t kRowsOfABlock = 64;
/// task(first row, rows) of every block.
template <class Task>
void for_row_blocks(std::int64_t rows, ThreadPool& pool, const Task& task) {
  constexpr std::int64_t kRows = kRowsOfABlock;
  if (rows <= kRows) return task(std::int64_t{0}, rows);  // a decoded token wakes nobody up
  pool.parallel_for((rows + kRows - 1) / kRows,
                    [&](std::int64_t block, int) { task(block * kRows, std::min(kRows, rows - block * kRows)); });
}

/// Rows of the embedding [vocab, width] as floats, times scale: out [ids.size(), width].
void embed(const StoredTensor& embedding, std::span<const std::int32_t> ids, float scale, float* out, ThreadPool& pool);
void rms_norm(const kernels::RmsNorm& params, ThreadPool& pool);
void norm_and_rotate(const kernels::NormAndRotate& params, ThreadPool& pool);
void add_branch(const kernels::AddBranch& params, ThreadPool& pool);
/// gate = activation(gate) * up over [rows, width].
void activate(Activation activation, void* gate, const void* up, DType dtype, std::int64_t rows, std::int64_t width,
              ThreadPool& pool);
/// out [rows, width] of dtype = x.
void convert(const float* x, void* out, DType dtype, std::int64_t rows, std::int64_t width, ThreadPool& pool);

/// ln softmax(logits)[id], in double.
double log_probability(std::span<const float> logits, std::int32_t id);

}  // namespace tca::runtime
