// How a session chooses what every head keeps of what it reads: a profile does (selection.h), and so do the methods
// that evaluation puts beside it.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "core/memory.h"
#include "runtime/io/model_config.h"
#include "tca/backend.h"
#include "tca/profile.h"

namespace tca::runtime {

using LayerShares = std::vector<std::vector<BlockShares>>;  // [num_layers][num_kv_heads]

/// What every head keeps of what is read next; all empty without a selector.
struct HeadShares {
  LayerShares keep;
  LayerShares attend;  // empty: prefill computes over everything
  /// [num_layers][num_kv_heads] as in SelectParams: kept sets hold their windows. Empty: the rule's is stored with
  /// them.
  std::vector<std::vector<std::int32_t>> windows;
  std::optional<double> predicted_loss = {};  // by curves: nats of an answer's logit margin
};

/// A segment whose tokens are chosen. References outlive what chooses.
struct SegmentStart {
  const Backend& backend;
  const ModelConfig& model;
  DType dtype;  // of queries, keys and values
  Memory& memory;
  ThreadPool& pool;
  std::int64_t first_position = 0;
  std::int64_t num_tokens = 0;  // L
  bool long_context = false;    // of the model's rotary embedding
};

/// One of its layers, in the memory that the forward pass computes in.
struct SegmentLayer {
  std::int32_t layer = 0;
  TensorView q;     // [r, Hq, d]: the segment's last r queries, Selector::queries() of them or more
  TensorView k, v;  // [L, Hk, d]
  Past past = {};
  std::span<const BlockShares> shares = {};    // [Hk]
  std::span<const std::int32_t> windows = {};  // [Hk], or empty
  bool for_attention = false;                  // what prefill computes over; else what is stored
};

class SegmentChooser {
 public:
  virtual ~SegmentChooser() = default;
  /// Core tokens of every KV head. Layers come in order, one again when --tolerance has raised its shares.
  virtual KeptSet choose(const SegmentLayer& layer) const = 0;
};

/// Immutable: sessions share it, on several threads.
class Selector {
 public:
  virtual ~Selector() = default;
  virtual std::string name() const = 0;  // in messages
  virtual const SelectionRule& rule() const = 0;
  /// What every head keeps of the next tokens of a sequence that has num_tokens with them, before a tolerance
  /// of dropped mass. Decoded tails are thinned by it.
  virtual HeadShares shares(std::int64_t num_tokens) const = 0;
  /// shares() depend on num_tokens: they are asked for anew at every segment.
  virtual bool shares_by_length() const { return false; }
  /// Prefill computes over everything.
  virtual bool attends_all() const { return true; }
  /// Mean share of the tokens that prefill computes over.
  virtual double attended_share() const { return 1; }
  /// How many of a segment's last queries choosers look at.
  virtual std::int64_t queries(std::int64_t /*num_tokens*/) const { return rule().probe_queries; }
  /// --tolerance bounds a loss that shares() know. Otherwise it bounds the attention mass that a head drops, measured.
  virtual bool predicts_loss() const { return false; }
  /// Of dropped mass: a head's next richer configuration, ending in full; `current` where there is none.
  virtual BlockShares richer(const BlockShares& current, std::int32_t /*layer*/, std::int32_t /*kv_head*/) const {
    return current;
  }
  virtual std::unique_ptr<SegmentChooser> begin(const SegmentStart& start) const = 0;
};

}  // namespace tca::runtime
