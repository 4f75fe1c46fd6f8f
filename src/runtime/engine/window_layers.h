// Layers whose queries see a sliding window, in host memory: the cache holds what the next query may see, and nothing
// is selected.
#pragma once

#include <atomic>
#include <cstdint>
#include <span>

#include "core/memory.h"
#include "runtime/spec/model_spec.h"
#include "tca/backend.h"
#include "tca/kv_cache.h"

namespace tca::runtime {

/// One such layer of one read.
struct WindowRead {
  const Backend& backend;
  KvCache& cache;
  std::int32_t layer = 0;
  std::int64_t window = 0;  // tokens that a query sees, itself included
  MutableTensorView q;      // [n, Hq, d], the segment's last queries; replaced by the output
  TensorView k, v;          // [L, Hk, d]
  std::span<float> lse = {};
  const std::atomic<bool>* cancel = nullptr;
};

/// Attends and stores. Past tokens beyond the window are dropped first.
void attend_window(const WindowRead& read);

/// Of every window layer the cache keeps what the next token's query sees beside it. Throws kOutOfBudget where pages
/// that a fork shares cannot be copied; what was dropped until then nobody would have seen.
void trim_windows(KvCache& cache, const ModelSpec& model);

/// Pairs (query, key) of n tokens behind `past` ones.
double window_pairs(std::int64_t past, std::int64_t n, std::int64_t window);

}  // namespace tca::runtime
