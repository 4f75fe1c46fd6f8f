// Inputs made from a Case: tensors, a past, a kept set, and the parameter structs over them.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "backend/backend_cases.h"
#include "backend/tensor_buffer.h"
#include "tca/attention.h"
#include "tca/kv_cache.h"

namespace tca::backend_test {

/// Deterministic random numbers, the same on every platform.
class Random {
 public:
  explicit Random(std::uint64_t seed) : state_(seed * 0x9e3779b97f4a7c15u + 1) {}
  std::uint64_t next();
  double uniform();  // in [0, 1)
  double normal();
  std::int64_t below(std::int64_t n) { return static_cast<std::int64_t>(next() % static_cast<std::uint64_t>(n)); }

 private:
  std::uint64_t state_;
};

/// Room for one call's results; every element is NaN before, unless it is the memory of q.
struct Output {
  TensorBuffer out;
  std::vector<float> lse;  // [n, Hq]
  bool in_place = false;
};

class Problem {
 public:
  explicit Problem(const Case& c);
  /// The segment's K and V go into the cache after the past (decode).
  void store_segment();

  /// Of one head's tail keeps the given offsets only.
  void thin_head(std::int32_t kv_head, std::initializer_list<std::int32_t> keep);
  /// Makes the past one key that every query scores 24.5 sqrt(head_dim) higher than any of the segment.
  void let_the_past_win();
  /// Keys from a token on score 1024 / sqrt(head_dim) below what they did: no query gives them anything.
  void hide_keys_from(std::int64_t token);
  void spoil_key(std::int64_t token);                     // makes it NaN
  void overwrite_from(std::int64_t token, double value);  // queries, keys and values from a token on

  const Case& spec() const { return case_; }
  const KvCache* cache() const { return cache_ ? &*cache_ : nullptr; }
  static constexpr std::int32_t kLayer = 1;  // of two: the other one holds something else
  Past past() const { return {.cache = cache(), .layer = kLayer}; }
  TensorView q() const { return q_.view(); }
  TensorView k() const { return k_.view(); }
  TensorView v() const { return v_.view(); }
  const KeptSet* kept() const { return kept_ ? &*kept_ : nullptr; }

  PrefillParams prefill(Output& output) const;
  DecodeParams decode(Output& output) const;
  CertifyParams certify(std::span<const std::int32_t> rows, const TensorView& row_queries) const;
  ProbeParams probe(std::int32_t pool_width) const;
  SelectParams select(std::span<const BlockShares> shares, const SelectionRule& rule) const;
  /// As the case says: dtype, layout, in place or not.
  Output output() const;
  /// For the oracle: fp32, dense, separate.
  Output oracle_output() const;

 private:
  enum class Role { kKey, kValue };
  void fill(TensorBuffer& tensor, Role role);
  void fill_queries();
  void make_past();
  void store_random(KvCache& cache, std::int32_t layer, std::int64_t num_tokens, const KeptSet* kept = nullptr,
                    std::int32_t window = 0);
  void thin_tails();

  Case case_;
  Random random_;
  TensorBuffer q_, k_, v_;
  std::optional<KvCache> cache_, sibling_;  // sibling_: shares pages with cache_
  std::optional<KeptSet> kept_;
};

/// One set of shares for every KV head.
std::vector<BlockShares> make_shares(Shares kind, std::int32_t block_size, std::int32_t num_kv_heads);
/// A random ragged set, `density` of the tokens of each head.
std::vector<std::int32_t> random_positions(Random& random, std::int64_t num_tokens, double density);
/// Writes NaN to every page slot that holds no token, which no operation may read.
void poison_unused_slots(const KvCache& cache);

}  // namespace tca::backend_test
