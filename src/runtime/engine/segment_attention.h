// Attention of one read, layer by layer: choose, attend, store, thin. Tensors are where the forward pass computes; on a
// GPU nothing here waits for it but the store of chosen tokens, certificates, the scores of thinning, and progress.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "core/memory.h"
#include "runtime/engine/read_monitor.h"
#include "runtime/engine/selector.h"
#include "runtime/engine/session.h"
#include "runtime/engine/session_state.h"
#include "runtime/model/forward.h"

namespace tca::runtime {

/// What one read does, decided before it begins.
struct ReadPlan {
  bool sparse = false;  // core tokens are chosen: attention is sparse and only they are stored
  bool thin = false;    // the tail of the cache is thinned
};

/// Lives as long as the read. References outlive it.
struct ReadContext {
  const Backend& backend;
  const ModelConfig& model;
  const SessionOptions& options;
  const Selector* selector;  // null: everything is kept
  ReadPlan plan;
  std::optional<double> mass_tolerance = {};  // heads whose p95 dropped mass exceeds it get richer configurations
  SessionState& state;                        // its rings have room for the read's queries
  Memory& memory;                             // where the forward pass computes
  ReadMonitor& monitor;
  LayerObserver* observer = nullptr;
  const SegmentChooser* chooser = nullptr;  // where the plan is sparse
  std::int64_t attention_units = 0;         // of progress, a layer
};

class SegmentAttention : public LayerAttention {
 public:
  explicit SegmentAttention(const ReadContext& context)
      : read_(context),
        rule_(context.selector == nullptr ? SelectionRule{} : context.selector->rule()),
        lse_block_(context.memory) {}

  void attend(std::int32_t layer, const MutableTensorView& q, const TensorView& k, const TensorView& v) override;
  void advanced(std::int64_t rows) override;

  /// Selection and attention times; density of more than one token. The rest is the session's.
  const ReadStats& stats() const { return stats_; }
  /// Of a sparse read that certified.
  std::optional<SessionCertificate>& certificate() { return certificate_; }

 private:
  struct Choice {
    std::optional<KeptSet> keep;    // what is stored; nothing: everything
    std::optional<KeptSet> attend;  // what is computed over; nothing: the same, or everything
    bool attends_all = false;
    const KeptSet* attended() const {
      if (attends_all) return nullptr;
      return attend ? &*attend : keep ? &*keep : nullptr;
    }
  };

  void wait_for(const TensorView& q) const;
  Choice choose(std::int32_t layer, const TensorView& q, const TensorView& k, const TensorView& v);
  /// What one selection is made from, and whether the certificate is about it.
  struct Request {
    std::vector<BlockShares>& shares;
    std::span<const std::int32_t> windows;
    bool for_attention = false;
    bool record = false;
  };
  KeptSet select(std::int32_t layer, const TensorView& q, const TensorView& k, const TensorView& v,
                 const Request& request);
  /// How many of a segment's last tokens store() adds to those that were chosen.
  std::int32_t stored_window() const;
  std::vector<HeadCertificate> certify(std::int32_t layer, const TensorView& q, const TensorView& k,
                                       const TensorView& v, const KeptSet& kept) const;
  bool raise(std::int32_t layer, const std::vector<HeadCertificate>& heads, std::vector<BlockShares>& shares);
  void record_certificate(std::int32_t layer, std::vector<HeadCertificate> heads, const KeptSet& kept);
  void attend_prompt(std::int32_t layer, const MutableTensorView& q, const TensorView& k, const TensorView& v,
                     const KeptSet* kept);
  void attend_token(std::int32_t layer, const MutableTensorView& q, const TensorView& k, const TensorView& v);
  /// A layer whose queries see so many tokens.
  void attend_window(std::int32_t layer, std::int64_t window, const MutableTensorView& q, const TensorView& k,
                     const TensorView& v);
  void store(std::int32_t layer, const TensorView& k, const TensorView& v, const Choice& choice);
  void thin(std::int32_t layer, bool whole_tail);
  void put_probes(std::int32_t layer, const TensorView& q);
  void put_probe_lse(std::int32_t layer, std::int64_t rows);
  void add_density(std::int32_t layer, std::int64_t n, const KeptSet* kept);
  void count_density(double share);
  Past past(std::int32_t layer) const;

  ReadContext read_;
  SelectionRule rule_;
  ReadStats stats_;
  std::optional<SessionCertificate> certificate_;
  std::vector<std::vector<bool>> raised_;  // [num_layers][num_kv_heads]
  double density_sum_ = 0;
  std::int64_t density_count_ = 0;
  MemoryBlock lse_block_;  // [n, Hq] of the layer at hand
  std::span<float> lse_;   // in it; empty without probes
};

}  // namespace tca::runtime
