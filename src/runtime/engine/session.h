// One conversation with a model: reads tokens, keeps the compressed KV cache, gives logits.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "runtime/model/model.h"
#include "tca/backend.h"

namespace tca::runtime {

class Selector;

enum class AttentionMode {
  kAuto,  // tca from the backend's break-even length on, dense below it; full without a profile or a selector
  kFull,  // dense attention, everything kept
  kTca,   // sparse prefill and a thinned cache whatever the length; needs a profile or a selector
};

struct SessionOptions {
  AttentionMode attention = AttentionMode::kAuto;
  std::shared_ptr<const Profile> profile = {};  // validated against the model
  double keep = kUnmeasuredKeep;                // picks the profile's configuration
  /// With curves for it: share of the tokens that prefill computes over; nothing: everything.
  std::optional<double> attend = {};
  std::string objective = {};            // of the profile; empty: its usual one
  std::int64_t max_context = 0;          // tokens; 0: the model's
  std::size_t kv_budget_bytes = 0;       // 0: twice what max_context needs in full, so that a read beside its past fits
  std::shared_ptr<KvPool> kv_pool = {};  // shared between sessions; null: one of its own
  /// More than `keep` is kept where more would be lost than this: with curves, nats of an answer's logit margin, as
  /// they foresee it; else heads whose p95 dropped attention mass exceeds it get richer configurations.
  std::optional<double> tolerance = {};
  bool certify = false;  // measure dropped mass on sampled rows
  std::int32_t certify_rows = 64;
  std::int64_t chunk_tokens = 8192;  // activations of projections and MLP held at once
  /// Chooses in place of a profile, with a model in host memory. Such sessions cannot be saved.
  std::shared_ptr<const Selector> selector = {};
};

/// Called with (done, total) work units while a prompt is read: about every 50 ms on a helper thread, never twice at
/// once, and a last time with done = total on the reading thread. Returning false cancels within a second: the session
/// is as before, kCancelled is thrown.
using Progress = std::function<bool(std::int64_t done, std::int64_t total)>;

/// Sees every layer's queries and keys (after RoPE) and values of a prompt, contiguous and in the memory that the model
/// computes in, in the order of the backend's stream: what calibration reads.
class LayerObserver {
 public:
  virtual ~LayerObserver() = default;
  virtual void on_layer(std::int32_t layer, const TensorView& q, const TensorView& k, const TensorView& v) = 0;
};

struct ReadOptions {
  std::int64_t num_logits = 1;  // logits of the last this many tokens
  Progress progress = {};
  LayerObserver* observer = nullptr;
  /// Instead of num_logits: receives the logits of every token, chunk by chunk: rows [n, vocab] of tokens [first, first
  /// + n).
  std::function<void(std::int64_t first, std::int64_t n, std::span<const float> logits)> all_logits = {};
  /// Overrides what the options say for this read only (evaluation compares selections this way).
  std::optional<AttentionMode> attention = {};
};

/// Per layer and KV head, of the last read that certified.
struct SessionCertificate {
  std::vector<std::vector<HeadCertificate>> layers;  // [num_layers][num_kv_heads]
  std::vector<std::vector<double>> kept_share;       // what each head keeps of the segment, after --tolerance
  std::int32_t raised_heads = 0;                     // heads that tolerance made richer
};

struct ReadStats {
  std::int64_t tokens = 0;
  bool sparse = false;  // selection was used
  /// Of the whole batch after read_batch. A GPU works while the host goes on: there only `seconds` is what was
  /// computed, the others say where the host spent or waited for it; a single token is one step, all of it linear.
  double seconds = 0, select_seconds = 0, attention_seconds = 0, linear_seconds = 0;
  double density = 1;  // query-key pairs computed / causal pairs, mean over heads and layers
  /// Nats that an answer's logit margin is expected to lose by what was dropped, where curves said what is kept.
  std::optional<double> predicted_loss = {};
};

/// One thread at a time; sessions that share a model, a backend and a pool may run on several threads.
class Session {
 public:
  /// backend and pool must outlive the session. A model in a GPU's memory needs the backend of that GPU; everything is
  /// computed on the backend's stream, so sessions whose backends have streams of their own are read at once.
  Session(std::shared_ptr<const Model> model, const Backend& backend, ThreadPool& pool, SessionOptions options);
  ~Session();
  Session(Session&&) noexcept;
  Session& operator=(Session&&) noexcept;

  /// Reads ids (prompt, further turn, or one decoded token) after what was read before.
  /// Returns logits [num_logits, vocab] fp32, valid until the next call. Either succeeds or leaves the session as it
  /// was.
  std::span<const float> read(std::span<const std::int32_t> ids, const ReadOptions& options = {});
  /// One token in each of several different sessions of one model and backend: ids[i] is read by sessions[i], as read()
  /// would; a GPU reads the weights once for neighbours that share a KV pool (forks, options.kv_pool). Returns logits
  /// [n, vocab] fp32, valid until one of the sessions reads again or ends. Either succeeds or leaves all of them as
  /// they were; errors name the session.
  static std::span<const float> read_batch(std::span<Session* const> sessions, std::span<const std::int32_t> ids);

  /// Takes the newest tokens back: num_tokens() have been read then. As KvCache::truncate(), and with its limit: what
  /// the cache has dropped does not come back. Probes go with their tokens, so with a profile the next thinning chooses
  /// by those that are left and by what is read until then; a fork made in time is exact. Changes nothing when it
  /// fails.
  void truncate(std::int64_t num_tokens);
  std::int64_t truncation_limit() const;  // the cache's

  std::int64_t num_tokens() const;                  // read so far
  std::int64_t context_limit() const;               // most tokens it may read: options, model, sliding window
  const std::vector<std::int32_t>& tokens() const;  // all ids read so far
  Session fork() const;                             // shares the past
  const KvCache& cache() const;
  const ReadStats& last_read() const;
  const std::optional<SessionCertificate>& certificate() const;
  const SessionOptions& options() const;
  const Model& model() const;

  /// KV bytes held now; what full attention would hold; share of tokens kept, mean over layers and KV heads.
  std::size_t kv_bytes() const;
  std::size_t full_kv_bytes() const;
  double kept_share() const;

  /// Saves cache, token ids and what is needed to go on. load refuses a file of another model (its shape, and its
  /// weights' content), naming both.
  void save(const std::string& path, const std::string& user_text = "") const;
  static Session load(const std::string& path, std::shared_ptr<const Model> model, const Backend& backend,
                      ThreadPool& pool, SessionOptions options, std::string* user_text = nullptr);

 private:
  struct Impl;
  explicit Session(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace tca::runtime
