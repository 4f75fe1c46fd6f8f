// Expected Attention: Devoto et al., arXiv 2510.00636, as kvpress (ExpectedAttentionPress) has it, one budget for all
// heads.
#include <algorithm>
#include <cmath>
#include <limits>

#include "core/half.h"
#include "evaluation/methods/published.h"
#include "evaluation/methods/query_statistics.h"

namespace tca::evaluation {
namespace {

constexpr std::int64_t kFuture = 512, kSinks = 4;
constexpr double kEpsilon = 0.01;  // as kvpress evaluates it

std::vector<double> row_of(const TensorView& x, std::int64_t token, std::int64_t head) {
  std::vector<float> row(static_cast<std::size_t>(x.head_dim));
  convert_row(x.row(token, head), x.dtype, row.data(), x.head_dim);
  return {row.begin(), row.end()};
}

/// log E exp(q . k / sqrt(d)) of a normal q.
double log_expected(const QueryStatistics& q, const std::vector<double>& key) {
  const std::size_t d = key.size();
  const auto size = static_cast<double>(d);
  double score = 0;
  for (std::size_t i = 0; i < d; ++i) {
    double product = 0;
    for (std::size_t j = 0; j < d; ++j) product += q.covariance[i * d + j] * key[j];
    score += key[i] * (q.mean[i] / std::sqrt(size) + product / (2 * size));
  }
  return score;
}

/// Of one query head: softmax over the keys from `first` on.
std::vector<double> expected_attention(const MethodLayer& at, const FutureRotation& rotation, std::int64_t head,
                                       std::int64_t first) {
  const QueryStatistics statistics = query_statistics(at, rotation, head, first);
  const std::int64_t kv_head = head * at.num_kv_heads() / at.layer.q.num_heads;
  std::vector<double> result;
  for (std::int64_t t = first; t < at.num_tokens(); ++t) {
    result.push_back(log_expected(statistics, row_of(at.layer.k, t, kv_head)));
  }
  const double top = *std::max_element(result.begin(), result.end());
  double sum = 0;
  for (double& score : result) sum += score = std::exp(score - top);
  for (double& score : result) score /= sum;
  return result;
}

double norm(const std::vector<double>& x) {
  double sum = 0;
  for (const double value : x) sum += value * value;
  return std::sqrt(sum);
}

std::vector<float> scores_of(const MethodLayer& at) {
  const std::int64_t n = at.num_tokens(), first = at.begins_sequence() ? std::min(kSinks, n - 1) : 0;
  const std::int64_t group = at.layer.q.num_heads / at.num_kv_heads();
  const FutureRotation rotation = future_rotation(at, kFuture);
  std::vector<float> scores(static_cast<std::size_t>(at.num_kv_heads() * n), std::numeric_limits<float>::infinity());
  at.segment.pool.parallel_for(at.num_kv_heads(), [&](std::int64_t h, int) {
    std::vector<double> mean(static_cast<std::size_t>(n - first));
    for (std::int64_t g = 0; g < group; ++g) {
      const std::vector<double> head = expected_attention(at, rotation, h * group + g, first);
      for (std::size_t i = 0; i < mean.size(); ++i) mean[i] += head[i] / static_cast<double>(group);
    }
    for (std::int64_t t = first; t < n; ++t) {
      const double weight = norm(row_of(at.layer.v, t, h));
      scores[static_cast<std::size_t>(h * n + t)] =
          static_cast<float>((mean[static_cast<std::size_t>(t - first)] + kEpsilon) * weight);
    }
  });
  return scores;
}

}  // namespace

TokenScores expected_attention_scores() { return {.of = scores_of, .all_queries = true}; }

}  // namespace tca::evaluation
