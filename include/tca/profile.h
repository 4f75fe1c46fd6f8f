// What calibration found for one model: how much each KV head keeps. File format tca-profile/2 (docs/profile.md).
#pragma once

#include <cmath>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "tca/version.h"

namespace tca {

/// Order in which blocks are served, richest first (docs/algorithm.md).
enum class BlockOrder : std::uint8_t {
  kMassDispersion = 0,  // M_t / C_t descending: probe mass times effective number of tokens
  kSimpson = 1,         // C_t ascending, as in arXiv 2512.09238
  kTokens = 2,          // no blocks: a head's kept share goes to the highest scores of the whole segment
};

/// What a key is worth to several probes.
enum class ProbeReduce : std::uint8_t {
  kMean = 0,  // the attention that all of them give to it, on average
  kMax = 1,   // the most that one of them gives to it
};

/// How core tokens are chosen, the same for all heads under one budget.
struct SelectionRule {
  std::int32_t block_size = 64;     // b: a power of two in [8, 256]
  std::int32_t window = 256;        // w >= 1: the last w tokens are always visible and kept
  std::int32_t sinks = 4;           // >= 0: the first tokens, always visible and kept
  std::int32_t probe_queries = 32;  // >= 1: how many of the last queries score the keys
  std::int32_t pool_width = 7;      // odd, >= 1: max-pool of the scores along positions
  BlockOrder order = BlockOrder::kMassDispersion;
  bool operator==(const SelectionRule&) const = default;
};

/// Distribution over how many tokens a block keeps: share[0] of the blocks keep none, share[1 + i] keep 2^i, up to
/// block_size. Size log2(block_size) + 2; entries in [0, 1]; sums to 1 within 1e-6.
struct TCA_API BlockShares {
  std::vector<double> share;

  static BlockShares full(std::int32_t block_size);    // every block keeps all of its tokens
  static BlockShares window(std::int32_t block_size);  // no block keeps anything: sinks and window only
  /// Expected share of a block's tokens kept, in [0, 1].
  double kept_share() const;
  bool is_full() const { return !share.empty() && share.back() == 1.0; }
  bool is_window() const { return !share.empty() && share.front() == 1.0; }
  bool operator==(const BlockShares&) const = default;
};

struct HeadProfile {
  BlockShares keep;                        // what stays in memory
  std::optional<BlockShares> attend = {};  // what prefill computes over; without it, keep
  double risk = 0;                         // p95 of the dropped attention mass while calibrating
  double mean_dropped = 0;                 // mean of the same
  const BlockShares& attended() const { return attend ? *attend : keep; }
};

/// One configuration of all heads under one budget.
struct ProfileBudget {
  std::string objective;                         // "tail-risk" | "paper"
  double budget = 0;                             // asked: mean share held while calibrating, window included
  double kept_share = 0;                         // found: mean kept share over heads, without the window
  std::optional<SelectionRule> rule = {};        // where it is not the profile's; same block_size
  std::vector<std::vector<HeadProfile>> layers;  // [num_layers][num_kv_heads]
};

/// What a head's configurations cost in answers, as calibration estimates it: the expected loss of an answer's logit
/// margin, in nats, for every window and kept share (docs/algorithm.md). Not rising along either.
struct RiskCurves {
  std::vector<std::int32_t> windows;  // ascending, >= 1: the segment's last tokens that the head keeps anyway
  std::vector<double> shares;         // ascending from 0 to 1: of the tokens that are neither sinks nor in the window
  std::vector<std::vector<std::vector<double>>> heads;  // [num_layers][num_kv_heads][windows x shares], windows outer
};

/// Queries of calibration's questions before RoPE: probes for what may be asked about a segment.
struct QueryBank {
  std::int32_t queries = 0;   // K of every query head
  std::int32_t distance = 0;  // placed so many tokens behind the segment's last one, >= 1
  ProbeReduce reduce = ProbeReduce::kMean;
  std::vector<float> values;  // [num_layers][K][num_heads][head_dim]; bf16 in the file
};

/// What was right after tokens were dropped, of what was right with all of them.
struct MeasuredAnswers {
  double keep = 0;             // share of the KV cache held, everything counted
  double answers_kept = 0;     // share of the answers
  std::int64_t questions = 0;  // that full attention got right
};

/// Objective "answer-risk": curves instead of budgets, so that any share of any length can be asked for.
struct AnswerRisk {
  SelectionRule rule;                // order kTokens; its window is prefill's and that of decoded tokens
  RiskCurves keep;                   // what stays in memory, chosen by the bank
  std::optional<RiskCurves> attend;  // what prefill computes over, chosen by the last queries; without it, everything
  QueryBank bank;
  std::vector<MeasuredAnswers> measured;  // ascending by keep
};

/// What every head keeps of a segment.
struct SegmentAllocation {
  std::vector<std::vector<BlockShares>> shares;    // [num_layers][num_kv_heads]: window or full, or between them
  std::vector<std::vector<std::int32_t>> windows;  // [num_layers][num_kv_heads]
  double held_share = 0;                           // mean over heads, sinks and windows included
  double risk = 0;                                 // sum over heads of the curves
};
/// The least risk for a mean of at most `keep` of num_tokens tokens a head; more than `keep` where that leaves more
/// risk than max_risk, until it no longer does. When sinks and the smallest windows alone are more than that, they are
/// what is kept. Throws kInvalidArgument for a keep outside [0, 1] and a max_risk below 0.
TCA_API SegmentAllocation allocate(const RiskCurves& curves, const SelectionRule& rule, double keep,
                                   std::int64_t num_tokens, double max_risk = INFINITY);

/// A share to keep that was tried on the model: what it keeps where nobody asks for another.
struct MeasuredKeep {
  std::string objective;
  double keep = 0;
  std::string measured_on;  // what it was tried on and what came of it; one line for people
};

/// The share to keep where nobody asks and nothing was measured. Fluent text loses answers with less.
inline constexpr double kUnmeasuredKeep = 0.39;
/// Share of answers that the usual share to keep must have kept.
inline constexpr double kUsualAnswers = 0.97;
/// Objective whose configurations are AnswerRisk's curves.
inline constexpr const char* kAnswerRisk = "answer-risk";

/// What a profile belongs to; compared field by field when a profile meets a model.
struct TCA_API ModelFingerprint {
  std::string architecture;  // config.json architectures[0]
  std::int32_t num_layers = 0;
  std::int32_t num_heads = 0;
  std::int32_t num_kv_heads = 0;
  std::int32_t head_dim = 0;
  std::string rope;  // "default theta=4000000", "llama3 factor=8 ..."
  std::int32_t vocab_size = 0;
  std::string weights_sha256;  // of the weight index file, or of the single file's safetensors header
  bool operator==(const ModelFingerprint&) const = default;
  std::string describe() const;  // one line for messages
};

struct TCA_API Profile {
  ModelFingerprint model;
  SelectionRule rule;
  std::vector<ProfileBudget> budgets;  // ascending by objective, then budget; may be none beside answer_risk
  std::optional<AnswerRisk> answer_risk;
  std::optional<MeasuredKeep> default_keep;  // calibration leaves it out: it measures risks, not answers
  // Provenance
  std::string text_sha256;
  std::int64_t calibration_tokens = 0;
  std::uint64_t seed = 0;
  std::string version;  // of the library that wrote it
  std::string date;     // YYYY-MM-DD

  /// Throws kBadFile naming file, field and value; kIo when the file cannot be read.
  static Profile load(const std::string& path);
  static Profile parse(const std::string& json, const std::string& name_for_errors);
  /// Writes to a temporary file in the same folder and renames it.
  void save(const std::string& path) const;
  std::string to_json() const;

  /// Throws kInvalidArgument with both fingerprints when they differ.
  void validate(const ModelFingerprint& actual) const;
  /// The configuration of an objective whose kept share is nearest to keep (largest not above, else the smallest).
  /// Throws kInvalidArgument listing what there is when the objective is unknown.
  const ProfileBudget& pick(double keep, const std::string& objective = "tail-risk") const;
  /// What to keep of an objective where nobody asks: what was measured, else kUnmeasuredKeep. Of answer-risk: the
  /// smallest share that kept kUsualAnswers of the answers, as all larger ones did.
  double usual_keep(const std::string& objective = "tail-risk") const;
  /// The objective where nobody asks: answer-risk if the profile has it, else tail-risk.
  std::string usual_objective() const;
  /// The rule the budget was calibrated for, and with which it must be used.
  const SelectionRule& rule_of(const ProfileBudget& budget) const { return budget.rule ? *budget.rule : rule; }
  /// A head's next richer configuration of the same objective after `current`, in the order of kept share, ending in
  /// full.
  BlockShares richer(const BlockShares& current, std::int32_t layer, std::int32_t kv_head,
                     const std::string& objective = "tail-risk") const;
};

}  // namespace tca
