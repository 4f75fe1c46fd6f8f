// The queries of calibration's questions, reduced to a few a head: what a session later asks about a segment before
// anybody has asked.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "tca/profile.h"
#include "tca/tensor.h"
#include "tca/thread_pool.h"

namespace tca::calibration {

struct Clusters {
  std::int32_t count = 0;    // K >= 1
  std::int32_t rounds = 20;  // of Lloyd's algorithm
  std::uint64_t seed = 0;
};
/// K centroids [K, dim] of samples [n, dim], n >= 1, that weigh weights [n], finite and >= 0 (all 0: all the same):
/// k-means from k-means++, the same for every number of threads and on every processor that multiplies and adds in one
/// step. Fewer samples than K: they, again and again.
std::vector<float> cluster_queries(std::span<const float> samples, std::span<const float> weights, std::int32_t dim,
                                   const Clusters& clusters);

/// Collects queries before RoPE (runtime::QueryObserver) layer by layer, and how much what they read matters
/// (runtime::Readings): queries that look nothing up would blur those that do.
class QueryBankBuilder {
 public:
  QueryBankBuilder(std::int32_t num_layers, std::int32_t num_heads, std::int32_t head_dim);

  /// q [R, Hq, d] fp32.
  void add(std::int32_t layer, const TensorView& q);
  /// Of the queries added, in the same order: [R, Hq].
  void weigh(std::int32_t layer, std::span<const float> weights);
  /// Throws kInvalidArgument when a layer has no query, or not one weight for each.
  QueryBank build(const Clusters& clusters, std::int32_t distance, ThreadPool& pool) const;

 private:
  std::int32_t num_heads_, head_dim_;
  std::vector<std::vector<float>> layers_;   // [rows, Hq, d] each
  std::vector<std::vector<float>> weights_;  // [rows, Hq] each
};

}  // namespace tca::calibration
