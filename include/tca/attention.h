// The operations of TCA attention on plain views: parameters as POD structs, shapes in comments.
// Notation: L tokens of this segment, Hq query heads, Hk KV heads, g = Hq / Hk, d = head_dim. Queries and keys come
// after RoPE.
// In every operation: q, k, v and the cache have one dtype, out may have any; the last token of the segment and all of
// the past lie below position 2^31; a segment of no tokens is valid and does nothing. A query that sees no token at all
// gets out = 0 and lse = -infinity. A past whose layer has seen no token is no past. Keys and values should be finite:
// what is not may also spread to rows that do not see it.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "tca/profile.h"
#include "tca/tensor.h"

namespace tca {

class KvCache;

/// Core tokens of a segment, ragged per KV head: positions in [0, num_tokens), ascending within a head. Sinks are
/// included, the local window is not unless chosen. Immutable, so copies share what they hold. Thread-safe.
///
/// A set that a GPU chose stays there. Functions that say so wait when positions are first asked for: until they are
/// chosen and have arrived, not for work that was queued behind that.
class TCA_API KeptSet {
 public:
  KeptSet();  // of no tokens and no head
  /// offsets [Hk + 1] into positions. Checked by the operations that take it.
  KeptSet(std::int64_t num_tokens, std::vector<std::int64_t> offsets, std::vector<std::int32_t> positions);

  std::int64_t num_tokens() const noexcept;
  std::int32_t num_kv_heads() const noexcept;
  const std::vector<std::int64_t>& offsets() const;                // [Hk + 1]; waits
  const std::vector<std::int32_t>& positions() const;              // [offsets.back()]; waits
  std::span<const std::int32_t> head(std::int32_t kv_head) const;  // waits
  bool operator==(const KeptSet& other) const;                     // waits

 private:
  friend struct KeptSetAccess;
  struct State;
  explicit KeptSet(std::shared_ptr<const State> state);
  std::shared_ptr<const State> state_;
};

/// Earlier tokens of the sequence: every query sees everything the cache holds for this layer.
struct Past {
  const KvCache* cache = nullptr;  // null: the segment is the sequence's beginning
  std::int32_t layer = 0;
};

/// Importance s_h[j] of every key of a segment for the probe queries: attention probability (causal softmax over past
/// and segment), its mean or maximum over the g query heads and the probes, max-pooled over [j - pool_width / 2, j +
/// pool_width / 2] within the segment, normalised to sum 1 over the segment. All 0 when the pooled sum is below 1e-30:
/// the probes look at the past alone.
struct ProbeParams {
  TensorView q;  // [P, Hq, d]: the segment's last P queries, P <= L; any P when probes_follow
  TensorView k;  // [L, Hk, d]
  Past past = {};
  std::int32_t pool_width = 7;
  float scale = 0;  // of the scores; 0 means 1 / sqrt(d)
  /// The probes are queries of what may come after the segment: each sees all of past and segment.
  bool probes_follow = false;
  ProbeReduce reduce = ProbeReduce::kMean;
};

/// Chooses the core tokens (docs/algorithm.md, steps 1-4). From the fp32 scores of probe_scores on, the choice is
/// exact, the same on every backend. Per block, in double, summed in position order, NaN scores counting as 0: M = sum
/// s, C = (sum s * s) / (M * M), or 1 when M is 0. Blocks by M / C descending (mass dispersion) or C ascending
/// (Simpson), ties to the lower block. The first floor(share[b] * blocks + 0.5) of them keep b tokens; up to
/// floor((share[b] + share[b / 2]) * blocks + 0.5) they keep b / 2; and so on. Inside a block the highest scores, ties
/// to the lower position. The first `sinks` tokens are added when there is no past.
///
/// With BlockOrder::kTokens there are no blocks: of the n tokens that are neither sinks (none with a past) nor among
/// the head's last windows[h], the floor(kept_share * n + 0.5) with the highest scores are kept, ties to the lower
/// position, and sinks and window with them.
struct SelectParams {
  TensorView q;  // [P, Hq, d]: the segment's last P = min(L, rule.probe_queries) queries; any P >= 1 when probes_follow
  TensorView k;  // [L, Hk, d]
  Past past = {};
  std::span<const BlockShares> shares;  // [Hk]
  SelectionRule rule = {};
  float scale = 0;
  bool probes_follow = false;               // as in ProbeParams
  ProbeReduce reduce = ProbeReduce::kMean;  // as in ProbeParams
  /// With kTokens: [Hk], 0 or more: so many of the segment's last tokens are kept whatever their score. Empty: none.
  std::span<const std::int32_t> windows = {};
};

/// Step 5. Query i of the segment sees all of the past, and j <= i with (j kept) or (j > i - window) or (j < sinks);
/// sinks only count when there is no past. Softmax over those alone. q may hold the segment's last n queries only: the
/// last layer of a prompt needs no others.
struct PrefillParams {
  TensorView q;           // [n, Hq, d]: the segment's last n queries, 1 <= n <= L
  TensorView k;           // [L, Hk, d]
  TensorView v;           // [L, Hk, d]
  MutableTensorView out;  // [n, Hq, d]; may be the memory of q
  Past past = {};
  const KeptSet* kept = nullptr;  // null: dense causal attention
  std::int32_t window = 256;
  std::int32_t sinks = 4;
  float scale = 0;
  std::span<float> lse = {};  // optional [n * Hq], natural log of the softmax denominator, token-major
  /// Optional: when it turns true, the call throws kCancelled within milliseconds; out is then undefined. Backends look
  /// at it between work items, since a long prompt's attention takes minutes.
  const std::atomic<bool>* cancel = nullptr;
};

/// Queries of the last n tokens of a cache, whose K and V are stored already: query i sees every held token with a
/// position <= its own.
struct DecodeParams {
  TensorView q;           // [n, Hq, d], n >= 1
  MutableTensorView out;  // [n, Hq, d]; may be the memory of q
  const KvCache* cache = nullptr;
  std::int32_t layer = 0;
  float scale = 0;
  std::span<float> lse = {};  // optional [n * Hq]
};

/// Scores of `count` tokens of a head's tail for thinning: mean over recent queries and the g query heads of
/// exp(q.k * scale - lse), i.e. the attention probability those queries gave to them.
struct TailScoreParams {
  TensorView q;                // [P, Hq, d] recent queries
  std::span<const float> lse;  // [P * Hq] as returned by decode or prefill
  const KvCache* cache = nullptr;
  std::int32_t layer = 0;
  std::int32_t kv_head = 0;
  std::int64_t count = 0;  // tokens from tail_begin on
  float scale = 0;
  std::span<float> out;  // [count]
};

/// Attention mass that sampled rows lose: for row r and query head, delta = the mass on tokens of the segment that the
/// row does not see, under dense softmax over past and segment. All of the past is visible; what earlier segments
/// dropped of it is not counted.
struct CertifyParams {
  TensorView q;                        // [R, Hq, d]: the sampled queries
  std::span<const std::int32_t> rows;  // [R] their positions in the segment
  TensorView k;                        // [L, Hk, d]
  TensorView v;                        // [L, Hk, d]
  Past past = {};
  const KeptSet* kept = nullptr;
  std::int32_t window = 256;
  std::int32_t sinks = 4;
  float scale = 0;
};

/// For one KV head, over R x g sampled rows. The output of a row differs from that of dense attention over past and
/// segment by at most 2 delta max_j ||v_j||_2, the maximum over the values of the segment and those that the cache
/// holds of the past.
struct HeadCertificate {
  double mean_delta = 0;
  double p95_delta = 0;  // nearest rank: the ceil(0.95 n)-th smallest
  double max_delta = 0;
  /// Mean ||o||_2 of the sampled rows' dense outputs: what the bound is measured by. 0 where kept is null.
  double output_norm = 0;
  double bound = 0;  // 2 p95_delta max_j ||v_j||_2: of the error of every sampled row with delta <= p95_delta
};

}  // namespace tca
