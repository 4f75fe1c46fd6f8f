#include "calibration/dropped_mass.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <numeric>

#include "core/half.h"
#include "core/validate_params.h"

namespace tca::calibration {
namespace {

constexpr std::int64_t kTile = 64;  // keys scored together

// Keys of one head in fp32, tile by tile, element-major inside a tile: scores of a tile then vectorise over its keys
// without changing the order of any sum. The last tile is filled up with zeros.
class PackedKeys {
 public:
  PackedKeys(const TensorView& k, std::int32_t kv_head, ThreadPool& pool) : dim_(k.head_dim) {
    const std::int64_t num_tiles = (k.num_tokens + kTile - 1) / kTile;
    data_.assign(static_cast<std::size_t>(num_tiles * kTile * dim_), 0.0f);
    pool.parallel_for(num_tiles, [&](std::int64_t tile, int) {
      std::vector<float> row(static_cast<std::size_t>(dim_));
      float* out = data_.data() + tile * kTile * dim_;
      for (std::int64_t t = 0; t < std::min(kTile, k.num_tokens - tile * kTile); ++t) {
        convert_row(k.row(tile * kTile + t, kv_head), k.dtype, row.data(), dim_);
        for (std::int64_t e = 0; e < dim_; ++e) out[e * kTile + t] = row[static_cast<std::size_t>(e)];
      }
    });
  }

  /// q.k of all keys of the tiles that hold [0, count); out has room for whole tiles.
  void score(std::span<const float> q, std::int64_t count, float* out) const {
    for (std::int64_t begin = 0; begin < count; begin += kTile) {
      const float* tile = data_.data() + begin * dim_;
      float sum[kTile] = {};
      for (std::int64_t e = 0; e < dim_; ++e) {
        const float value = q[static_cast<std::size_t>(e)];
        for (std::int64_t t = 0; t < kTile; ++t) sum[t] += value * tile[e * kTile + t];
      }
      std::copy(sum, sum + kTile, out + begin);
    }
  }

 private:
  std::int64_t dim_;
  std::vector<float> data_;
};

// What the host computes on: the sampled queries [R, Hq, d] and all keys [L, Hk, d].
class HostInputs {
 public:
  explicit HostInputs(const DroppedMassParams& params) : q(params.q), k(params.k) {
    Memory& memory = *params.memory;
    const auto row_bytes = [](const TensorView& view) {
      return static_cast<std::size_t>(std::int64_t{view.num_heads} * view.head_dim) * dtype_size(view.dtype);
    };
    const std::size_t q_bytes = row_bytes(q);
    queries_.resize(params.rows.size() * q_bytes);
    for (std::size_t i = 0; i < params.rows.size(); ++i) {
      memory.copy(queries_.data() + i * q_bytes, params.q.row(params.rows[i], 0), q_bytes);
    }
    q = contiguous(static_cast<const void*>(queries_.data()), q.dtype, std::ssize(params.rows), q.num_heads,
                   q.head_dim);
    if (&memory == &host_memory()) return;
    keys_.resize(static_cast<std::size_t>(k.num_tokens) * row_bytes(k));
    memory.copy(keys_.data(), k.data, keys_.size());
    k.data = keys_.data();
  }
  HostInputs(const HostInputs&) = delete;
  HostInputs& operator=(const HostInputs&) = delete;

  TensorView q, k;

 private:
  std::vector<std::byte> queries_, keys_;
};

// What one KV head's rows share.
struct HeadChoice {
  TokenRanks ranks;
  std::vector<std::vector<std::uint8_t>> shares;  // [candidates][blocks]
};

HeadChoice choose_head(std::span<const float> scores, const DroppedMassParams& params) {
  HeadChoice choice{.ranks = rank_tokens(scores, params.rule), .shares = {}};
  for (const BlockShares& candidate : params.candidates) {
    choice.shares.push_back(allocate_shares(candidate, choice.ranks.order));
  }
  return choice;
}

// First token that a query sees whatever is kept.
std::int64_t window_begin(std::int64_t row, const DroppedMassParams& params) {
  return std::max<std::int64_t>(0, std::min(row + 1, params.document_tokens) - params.rule.window);
}

// From a row's scores of [0, row]: what every block would drop at every share index, [blocks][share indices], as
// shares of the row's mass.
void mass_by_share(std::span<float> scores, std::int64_t row, const DroppedMassParams& params, const TokenRanks& ranks,
                   std::span<double> out) {
  const auto seen = scores.first(static_cast<std::size_t>(row) + 1);
  const float top = *std::max_element(seen.begin(), seen.end());
  double total = 0;
  for (float& score : seen) total += score = std::exp(score - top);

  const auto block_size = static_cast<std::size_t>(params.rule.block_size);
  const std::size_t stride = params.candidates[0].share.size();
  std::fill(out.begin(), out.end(), 0.0);
  const auto end = static_cast<std::size_t>(window_begin(row, params));
  for (auto j = static_cast<std::size_t>(params.rule.sinks); j < end; ++j) {
    out[j / block_size * stride + ranks.level[j]] += seen[j];
  }
  // So far by level; a block with share index x drops the levels from x on, and none at the last index.
  for (std::size_t block = 0; block < out.size(); block += stride) {
    double dropped = 0;
    for (std::size_t x = stride; x-- > 0;) out[block + x] = dropped += out[block + x] / total;
  }
}

double dropped_by(std::span<const std::uint8_t> shares, std::span<const double> mass) {
  const std::size_t stride = mass.size() / shares.size();
  double sum = 0;
  for (std::size_t block = 0; block < shares.size(); ++block) sum += mass[block * stride + shares[block]];
  return sum;
}

}  // namespace

TokenRanks rank_tokens(std::span<const float> scores, const SelectionRule& rule) {
  const auto block_size = static_cast<std::size_t>(rule.block_size);
  const auto value = [scores](std::size_t j) { return std::isnan(scores[j]) ? 0.0f : scores[j]; };
  TokenRanks ranks;
  ranks.level.resize(scores.size());
  ranks.order.resize((scores.size() + block_size - 1) / block_size);
  std::iota(ranks.order.begin(), ranks.order.end(), 0);
  std::vector<double> richness(ranks.order.size());
  std::vector<std::size_t> tokens;
  for (std::size_t block = 0; block < richness.size(); ++block) {
    tokens.resize(std::min(block_size, scores.size() - block * block_size));
    std::iota(tokens.begin(), tokens.end(), block * block_size);
    double mass = 0;
    double squares = 0;
    for (const std::size_t j : tokens) {
      const double s = value(j);
      mass += s;
      squares += s * s;
    }
    const double concentration = mass == 0 ? 1 : squares / (mass * mass);
    richness[block] = rule.order == BlockOrder::kSimpson ? -concentration : mass / concentration;
    std::stable_sort(tokens.begin(), tokens.end(), [&](std::size_t a, std::size_t b) { return value(a) > value(b); });
    for (std::size_t rank = 0; rank < tokens.size(); ++rank) {
      ranks.level[tokens[rank]] = static_cast<std::uint8_t>(std::bit_width(rank));
    }
  }
  std::stable_sort(ranks.order.begin(), ranks.order.end(), [&](std::int32_t a, std::int32_t b) {
    return richness[static_cast<std::size_t>(a)] > richness[static_cast<std::size_t>(b)];
  });
  return ranks;
}

std::vector<std::uint8_t> allocate_shares(const BlockShares& shares, std::span<const std::int32_t> order) {
  std::vector<std::uint8_t> by_block(order.size());
  const auto blocks = static_cast<double>(order.size());
  double cumulative = 0;
  std::size_t rank = 0;
  for (std::size_t x = shares.share.size(); x-- > 0;) {
    cumulative += shares.share[x];
    const auto end = x == 0 ? order.size() : static_cast<std::size_t>(std::floor(cumulative * blocks + 0.5));
    for (; rank < std::min(end, order.size()); ++rank) {
      by_block[static_cast<std::size_t>(order[rank])] = static_cast<std::uint8_t>(x);
    }
  }
  return by_block;
}

std::vector<float> dropped_masses(const Backend& backend, ThreadPool& pool, const DroppedMassParams& params) {
  const auto num_kv_heads = static_cast<std::size_t>(params.k.num_heads);
  const auto group = static_cast<std::size_t>(params.q.num_heads) / num_kv_heads;
  const auto document = static_cast<std::size_t>(params.document_tokens);
  const std::int64_t probes = std::min<std::int64_t>(params.rule.probe_queries, params.document_tokens);
  std::vector<float> scores(num_kv_heads * document);
  backend.probe_scores({.q = params.q.tokens(params.document_tokens - probes, probes),
                        .k = params.k.tokens(0, params.document_tokens),
                        .pool_width = params.rule.pool_width},
                       scores);

  const HostInputs inputs(params);
  const std::size_t num_rows = params.rows.size();
  const std::size_t num_candidates = params.candidates.size();
  std::vector<float> masses(num_kv_heads * num_candidates * num_rows * group);
  const float scale = resolve_scale(0, params.q.head_dim);
  const std::size_t padded = (static_cast<std::size_t>(params.k.num_tokens) + kTile - 1) / kTile * kTile;
  std::vector<std::vector<float>> row_scores(static_cast<std::size_t>(pool.num_threads()), std::vector<float>(padded));
  std::vector<std::vector<double>> row_mass(row_scores.size());

  for (std::size_t head = 0; head < num_kv_heads; ++head) {
    const HeadChoice choice = choose_head(std::span(scores).subspan(head * document, document), params);
    const PackedKeys keys(inputs.k, static_cast<std::int32_t>(head), pool);
    const std::size_t stride = params.candidates[0].share.size();
    pool.parallel_for(static_cast<std::int64_t>(num_rows * group), [&](std::int64_t item, int worker) {
      const auto i = static_cast<std::size_t>(item);
      const std::int64_t row = params.rows[i / group];
      std::vector<float>& buffer = row_scores[static_cast<std::size_t>(worker)];
      std::vector<double>& mass = row_mass[static_cast<std::size_t>(worker)];
      mass.resize(choice.ranks.order.size() * stride);
      std::vector<float> q(static_cast<std::size_t>(params.q.head_dim));
      convert_row(
          inputs.q.row(static_cast<std::int64_t>(i / group), static_cast<std::int64_t>(head * group + i % group)),
          inputs.q.dtype, q.data(), inputs.q.head_dim);
      for (float& element : q) element *= scale;
      keys.score(q, row + 1, buffer.data());
      mass_by_share(buffer, row, params, choice.ranks, mass);
      for (std::size_t c = 0; c < num_candidates; ++c) {
        masses[(head * num_candidates + c) * num_rows * group + i] =
            static_cast<float>(dropped_by(choice.shares[c], mass));
      }
    });
  }
  return masses;
}

MassStatistics mass_statistics(std::span<const float> masses, double tail) {
  std::vector<float> sorted(masses.begin(), masses.end());
  std::sort(sorted.begin(), sorted.end(), std::greater<>());
  const auto count = static_cast<double>(sorted.size());
  const auto sum = [&sorted](std::size_t n) { return std::accumulate(&sorted[0], &sorted[0] + n, 0.0); };
  const auto in_tail = static_cast<std::size_t>(std::max(1.0, std::ceil(tail * count - 1e-9)));
  const auto p95_rank = static_cast<std::size_t>(std::ceil(0.95 * count - 1e-9));  // from the smallest, 1-based
  return {.tail = sum(in_tail) / static_cast<double>(in_tail),
          .p95 = sorted[sorted.size() - p95_rank],
          .mean = sum(sorted.size()) / count};
}

}  // namespace tca::calibration
