// The steps of TCA attention, one small pure function each: scalar, double precision, in the order of
// docs/algorithm.md. What an optimised backend computes is judged against these, so they are written to be checked by
// eye.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "tca/attention.h"

namespace tca::reference {

/// A tensor in double, [num_tokens, num_heads, head_dim] row-major.
struct Tensor {
  std::int64_t num_tokens = 0;
  std::int32_t num_heads = 0;
  std::int32_t head_dim = 0;
  std::vector<double> values;

  std::span<const double> row(std::int64_t token, std::int32_t head) const {
    const auto dim = static_cast<std::size_t>(head_dim);
    return {values.data() + (static_cast<std::size_t>(token) * num_heads + head) * dim, dim};
  }
};
Tensor to_double(const TensorView& view);

/// What one KV head holds: a place, a key and a value per token.
struct HeadTokens {
  std::vector<std::int32_t> positions;  // in the sequence, ascending
  std::vector<std::vector<double>> k;   // [tokens][head_dim]
  std::vector<std::vector<double>> v;
  std::size_t size() const { return positions.size(); }
};
/// Reads a head's pages; nothing without a cache.
HeadTokens read_cache(const KvCache* cache, std::int32_t layer, std::int32_t kv_head);
/// The past's tokens, then the segment's. A null v leaves the values empty.
HeadTokens past_and_segment(const Past& past, const Tensor& k, const Tensor* v, std::int32_t kv_head);

// ---- Attention -----------------------------------------------------------------------------------------------------

double resolve_scale(float scale, std::int32_t head_dim);
double dot(std::span<const double> a, std::span<const double> b);

struct Softmax {
  std::vector<double> weights;  // sum 1; empty for no scores
  double lse = 0;               // log of sum exp(score); -infinity for no scores
};
Softmax softmax(std::span<const double> scores);

struct AttentionRow {
  std::vector<double> out;  // [head_dim]; 0 when nothing is visible
  double lse = 0;
};
/// Attention of one query over the tokens with visible[t] set.
AttentionRow attend(std::span<const double> q, const HeadTokens& tokens, const std::vector<bool>& visible,
                    double scale);

/// Which tokens of past and segment (as past_and_segment puts them) query i of the segment sees: step 5. With kept
/// null, all up to itself.
std::vector<bool> visible_tokens(std::int64_t i, std::int64_t num_tokens, std::size_t num_past, const KeptSet* kept,
                                 std::int32_t kv_head, std::int32_t window, std::int32_t sinks);

// ---- Selection, steps 1-4
// --------------------------------------------------------------------------------------------

/// Attention probability of every key of the segment, reduced over the probes and query heads of one KV head. Probes
/// that follow the segment see all of it; else they are its last queries.
std::vector<double> probe_mass(const Tensor& q, const HeadTokens& tokens, std::int32_t kv_head,
                               std::int32_t num_kv_heads, std::int64_t segment_tokens, double scale,
                               bool probes_follow = false, ProbeReduce reduce = ProbeReduce::kMean);
/// out[j] = the largest of values in [j - width / 2, j + width / 2], within the ends.
std::vector<double> max_pool(std::span<const double> values, std::int32_t width);
/// values / their sum; zeros when the sum is below kMinSegmentMass.
std::vector<double> normalise(std::span<const double> values);
inline constexpr double kMinSegmentMass = 1e-30;

struct BlockStatistics {
  double mass = 0;           // M = sum s
  double concentration = 1;  // C = sum s^2 / M^2; 1 when M is 0
};
/// Of every block of block_size scores; the last block may be shorter. NaN scores count as 0.
std::vector<BlockStatistics> block_statistics(std::span<const float> scores, std::int32_t block_size);
/// Block indices, richest first; ties to the lower index.
std::vector<std::int32_t> block_order(std::span<const BlockStatistics> statistics, BlockOrder order);
/// How many tokens the r-th richest block keeps, for r in [0, num_blocks).
std::vector<std::int32_t> allocate(const BlockShares& shares, std::int64_t num_blocks);
/// Positions of the min(count, scores.size()) highest scores, ascending; ties to the lower position. NaN counts as 0.
std::vector<std::int32_t> choose_in_block(std::span<const float> scores, std::int32_t count);

/// BlockOrder::kTokens of one head: the first `sinks` and the last `window` tokens, and of the n others the
/// floor(kept_share * n + 0.5) with the highest scores. Ascending; ties to the lower position. NaN counts as 0.
std::vector<std::int32_t> choose_tokens(std::span<const float> scores, double kept_share, std::int32_t sinks,
                                        std::int32_t window);

/// From scores to core tokens. scores: [Hk][L] as probe_scores gives them; shares: [Hk]; windows: [Hk] or empty.
/// rule.sinks tokens are added (set it to 0 for a segment with a past). This is the definition every backend must
/// reproduce exactly:
///   M and sum s^2 are summed in double in position order, s taken as the given float; C = sum s^2 / (M * M);
///   mass dispersion compares M / C, Simpson compares C, both in double.
/// No step depends on fused multiply-adds: s * s of a float is exact in double, and every other product is divided by.
KeptSet kept_from_scores(std::span<const float> scores, std::span<const BlockShares> shares, const SelectionRule& rule,
                         std::int64_t num_tokens, std::span<const std::int32_t> windows = {});

// ---- Thinning and certificate
// ------------------------------------------------------------------------------------------

/// Mean over queries and the query heads of one KV head of exp(q.k * scale - lse), for each of the given keys.
std::vector<double> tail_scores(const Tensor& q, std::span<const float> lse, std::span<const std::vector<double>> keys,
                                std::int32_t kv_head, std::int32_t num_kv_heads, double scale);
/// Dense attention mass of one query outside the visible tokens. causal: the tokens dense attention sees.
double dropped_mass(std::span<const double> q, const HeadTokens& tokens, const std::vector<bool>& causal,
                    const std::vector<bool>& visible, double scale);
/// output_norms: of the same rows. All zero for no rows.
HeadCertificate summarise(std::span<const double> deltas, std::span<const double> output_norms, double max_value_norm);

}  // namespace tca::reference
