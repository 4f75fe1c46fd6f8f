#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "core/half.h"
#include "reference/steps.h"
#include "tca/kv_cache.h"

namespace tca::reference {
namespace {

std::vector<double> row_to_double(const void* row, DType dtype, std::int32_t dim) {
  std::vector<double> values(static_cast<std::size_t>(dim));
  for (std::int32_t i = 0; i < dim; ++i) values[i] = load_element(row, dtype, i);
  return values;
}

}  // namespace

Tensor to_double(const TensorView& view) {
  Tensor tensor{view.num_tokens, view.num_heads, view.head_dim, {}};
  for (std::int64_t token = 0; token < view.num_tokens; ++token) {
    for (std::int32_t head = 0; head < view.num_heads; ++head) {
      const std::vector<double> row = row_to_double(view.row(token, head), view.dtype, view.head_dim);
      tensor.values.insert(tensor.values.end(), row.begin(), row.end());
    }
  }
  return tensor;
}

HeadTokens read_cache(const KvCache* cache, std::int32_t layer, std::int32_t kv_head) {
  HeadTokens tokens;
  if (cache == nullptr) return tokens;
  const KvShape& shape = cache->shape();
  const auto row_bytes = static_cast<std::size_t>(shape.head_dim) * dtype_size(shape.dtype);
  for (std::int32_t p = 0; p < cache->num_pages(layer, kv_head); ++p) {
    const KvPageView page = cache->page(layer, kv_head, p);
    for (std::int32_t slot = 0; slot < page.count; ++slot) {
      const auto* k = static_cast<const std::byte*>(page.k) + static_cast<std::size_t>(slot) * row_bytes;
      const auto* v = static_cast<const std::byte*>(page.v) + static_cast<std::size_t>(slot) * row_bytes;
      tokens.positions.push_back(page.positions[slot]);
      tokens.k.push_back(row_to_double(k, shape.dtype, shape.head_dim));
      tokens.v.push_back(row_to_double(v, shape.dtype, shape.head_dim));
    }
  }
  return tokens;
}

HeadTokens past_and_segment(const Past& past, const Tensor& k, const Tensor* v, std::int32_t kv_head) {
  HeadTokens tokens = read_cache(past.cache, past.layer, kv_head);
  const std::int64_t first = past.cache == nullptr ? 0 : past.cache->num_tokens(past.layer);
  for (std::int64_t j = 0; j < k.num_tokens; ++j) {
    const std::span<const double> key = k.row(j, kv_head);
    tokens.positions.push_back(static_cast<std::int32_t>(first + j));
    tokens.k.emplace_back(key.begin(), key.end());
    if (v == nullptr) continue;
    const std::span<const double> value = v->row(j, kv_head);
    tokens.v.emplace_back(value.begin(), value.end());
  }
  return tokens;
}

double resolve_scale(float scale, std::int32_t head_dim) {
  return scale != 0 ? static_cast<double>(scale) : 1 / std::sqrt(static_cast<double>(head_dim));
}

double dot(std::span<const double> a, std::span<const double> b) {
  double sum = 0;
  for (std::size_t i = 0; i < a.size(); ++i) sum += a[i] * b[i];
  return sum;
}

Softmax softmax(std::span<const double> scores) {
  Softmax result{.weights = {}, .lse = -std::numeric_limits<double>::infinity()};
  if (scores.empty()) return result;
  const double top = *std::max_element(scores.begin(), scores.end());
  double sum = 0;
  for (const double score : scores) {
    result.weights.push_back(std::exp(score - top));
    sum += result.weights.back();
  }
  for (double& weight : result.weights) weight /= sum;
  result.lse = top + std::log(sum);
  return result;
}

AttentionRow attend(std::span<const double> q, const HeadTokens& tokens, const std::vector<bool>& visible,
                    double scale) {
  std::vector<double> scores;
  for (std::size_t t = 0; t < tokens.size(); ++t) {
    if (visible[t]) scores.push_back(dot(q, tokens.k[t]) * scale);
  }
  const Softmax attention = softmax(scores);
  AttentionRow row{.out = std::vector<double>(q.size(), 0.0), .lse = attention.lse};
  std::size_t next = 0;
  for (std::size_t t = 0; t < tokens.size(); ++t) {
    if (!visible[t]) continue;
    const double weight = attention.weights[next++];
    for (std::size_t i = 0; i < row.out.size(); ++i) row.out[i] += weight * tokens.v[t][i];
  }
  return row;
}

std::vector<bool> visible_tokens(std::int64_t i, std::int64_t num_tokens, std::size_t num_past, const KeptSet* kept,
                                 std::int32_t kv_head, std::int32_t window, std::int32_t sinks) {
  std::vector<bool> visible(num_past + static_cast<std::size_t>(num_tokens), false);
  std::fill_n(visible.begin(), num_past, true);
  for (std::int64_t j = 0; j <= i; ++j) {
    const bool seen = kept == nullptr || j > i - window || j < sinks;
    visible[num_past + static_cast<std::size_t>(j)] = seen;
  }
  if (kept == nullptr) return visible;
  for (const std::int32_t j : kept->head(kv_head)) {
    if (j <= i) visible[num_past + static_cast<std::size_t>(j)] = true;
  }
  return visible;
}

std::vector<double> tail_scores(const Tensor& q, std::span<const float> lse, std::span<const std::vector<double>> keys,
                                std::int32_t kv_head, std::int32_t num_kv_heads, double scale) {
  const std::int32_t group = q.num_heads / num_kv_heads;
  std::vector<double> scores(keys.size(), 0.0);
  for (std::size_t t = 0; t < keys.size(); ++t) {
    for (std::int64_t p = 0; p < q.num_tokens; ++p) {
      for (std::int32_t head = kv_head * group; head < (kv_head + 1) * group; ++head) {
        const double log_denominator = lse[static_cast<std::size_t>(p * q.num_heads + head)];
        scores[t] += std::exp(dot(q.row(p, head), keys[t]) * scale - log_denominator);
      }
    }
    scores[t] /= static_cast<double>(q.num_tokens * group);
  }
  return scores;
}

double dropped_mass(std::span<const double> q, const HeadTokens& tokens, const std::vector<bool>& causal,
                    const std::vector<bool>& visible, double scale) {
  std::vector<double> scores;
  std::vector<bool> dropped;
  for (std::size_t t = 0; t < tokens.size(); ++t) {
    if (!causal[t]) continue;
    scores.push_back(dot(q, tokens.k[t]) * scale);
    dropped.push_back(!visible[t]);
  }
  const Softmax attention = softmax(scores);
  double mass = 0;
  for (std::size_t t = 0; t < scores.size(); ++t) mass += dropped[t] ? attention.weights[t] : 0.0;
  return mass;
}

HeadCertificate summarise(std::span<const double> deltas, std::span<const double> output_norms, double max_value_norm) {
  if (deltas.empty()) return {};
  std::vector<double> sorted(deltas.begin(), deltas.end());
  std::sort(sorted.begin(), sorted.end());
  const auto mean = [](std::span<const double> values) {
    return std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
  };
  const std::size_t rank = (95 * sorted.size() + 99) / 100;  // ceil(0.95 n), without rounding 0.95
  const double p95 = sorted[rank - 1];
  return {.mean_delta = mean(sorted),
          .p95_delta = p95,
          .max_delta = sorted.back(),
          .output_norm = mean(output_norms),
          .bound = 2 * p95 * max_value_norm};
}

}  // namespace tca::reference
