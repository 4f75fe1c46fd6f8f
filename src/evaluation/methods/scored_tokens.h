// Methods that evaluation puts beside a profile's: each scores every key of a segment and grants every head a number of
// tokens, and a head keeps its best. Prefill computes over everything; what is decoded later stays, as in their papers.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "runtime/engine/selector.h"

namespace tca::evaluation {

/// The last tokens by whose queries SnapKV and what follows it choose, and which they keep.
inline constexpr std::int32_t kObservedTokens = 32;

struct MethodLayer {
  const runtime::SegmentStart& segment;
  const runtime::SegmentLayer& layer;

  std::int64_t num_tokens() const { return layer.k.num_tokens; }  // L
  std::int32_t num_kv_heads() const { return layer.k.num_heads; }
  bool begins_sequence() const { return segment.first_position == 0; }
};

struct TokenScores {
  /// [Hk * L], a head's tokens side by side; the higher, the better, infinity for what stays in any case, NaN as 0.
  std::function<std::vector<float>(const MethodLayer&)> of;
  bool all_queries = false;  // looks at those of the whole segment; else at the last kObservedTokens
};

/// Tokens that every head keeps [Hk], in [0, L], scores being those of the layer.
using TokenBudgets = std::function<std::vector<std::int64_t>(const MethodLayer&, std::span<const float> scores)>;

class ScoredTokens : public runtime::Selector {
 public:
  ScoredTokens(std::string name, const ModelFingerprint& model, TokenScores scores, TokenBudgets budgets);

  std::string name() const override { return name_; }
  const SelectionRule& rule() const override { return rule_; }
  runtime::HeadShares shares(std::int64_t num_tokens) const override;
  std::int64_t queries(std::int64_t num_tokens) const override;
  /// What it gives must not outlive this.
  std::unique_ptr<runtime::SegmentChooser> begin(const runtime::SegmentStart& start) const override;

 private:
  std::string name_;
  std::size_t num_layers_, num_kv_heads_;
  SelectionRule rule_;
  TokenScores scores_;
  TokenBudgets budgets_;
};

/// The positions of each head's budgets[h] highest scores, ties to the lower position.
KeptSet best_tokens(std::span<const float> scores, std::span<const std::int64_t> budgets, std::int64_t num_tokens);

}  // namespace tca::evaluation
