// Attention of many rows, whatever they attend to: prefill, decode of many queries at once, and denominators alone for
// probes and certificates.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "cpu/key_plan.h"
#include "cpu/tile_attention.h"
#include "tca/thread_pool.h"

namespace tca::cpu {

/// All rows of one KV head of one sequence.
struct RowsJob {
  QueryRows rows;  // its `count` is ignored: num_rows are cut into tiles
  std::int64_t num_rows = 0;
  std::int32_t num_heads = 1;  // KV heads of the sequence: how many such jobs it has
  /// The keys that rows at positions [first, last] may see.
  std::function<KeyPlan(std::int32_t first, std::int32_t last)> keys;
  float scale = 0;
  MutableTensorView out;  // without data: only lse is asked for, and the keys need no values
  std::span<float> lse;   // of the sequence, [n, Hq]; may be empty
  const std::atomic<bool>* cancel = nullptr;
};

/// One parallel loop over the query tiles of all jobs of one head_dim and dtype, longest first.
void attend_rows(const KernelSet& kernels, ThreadPool& pool, std::span<const RowsJob> jobs);

}  // namespace tca::cpu
