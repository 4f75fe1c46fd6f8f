#include "runtime/engine/segment_attention.h"

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <numeric>
#include <span>
#include <utility>

#include "runtime/engine/thinning.h"
#include "runtime/engine/window_layers.h"
#include "tca/error.h"

namespace tca::runtime {
namespace {

class Stopwatch {
 public:
  explicit Stopwatch(double& seconds) : seconds_(seconds), begin_(std::chrono::steady_clock::now()) {}
  ~Stopwatch() { seconds_ += std::chrono::duration<double>(std::chrono::steady_clock::now() - begin_).count(); }
  Stopwatch(const Stopwatch&) = delete;
  Stopwatch& operator=(const Stopwatch&) = delete;

 private:
  double& seconds_;
  std::chrono::steady_clock::time_point begin_;
};

/// Pairs (query, key) of a segment of n tokens that one KV head sees: a kept key by all later queries, another one by
/// the queries of its window. Kept keys, ascending, include the sinks.
double visible_pairs(std::int64_t n, std::span<const std::int32_t> kept, std::int64_t window) {
  const std::int64_t w = std::min(window, n);
  const auto in_window = static_cast<double>(w) * static_cast<double>(n - w) + 0.5 * static_cast<double>(w * (w + 1));
  const auto end = std::lower_bound(kept.begin(), kept.end(), n - w);
  const std::int64_t positions = std::accumulate(kept.begin(), end, std::int64_t{0});
  return in_window + static_cast<double>((end - kept.begin()) * (n - w) - positions);
}

}  // namespace

void SegmentAttention::attend(std::int32_t layer, const MutableTensorView& q, const TensorView& k,
                              const TensorView& v) {
  wait_for(q);
  if (read_.observer != nullptr) read_.observer->on_layer(layer, q, k, v);
  put_probes(layer, q);
  const auto window = read_.model.layers[static_cast<std::size_t>(layer)].window;
  // A GPU's contexts end where a window would begin to slide.
  if (window && &read_.memory == &host_memory()) return attend_window(layer, *window, q, k, v);
  if (k.num_tokens == 1) {
    attend_token(layer, q, k, v);
    put_probe_lse(layer, 1);
    return;
  }
  const Choice choice = choose(layer, q, k, v);
  attend_prompt(layer, q, k, v, choice.attended());
  put_probe_lse(layer, q.num_tokens);
  // On a GPU this is counted while attention runs.
  add_density(layer, k.num_tokens, choice.attended());
  store(layer, k, v, choice);
  read_.monitor.add(read_.attention_units);
  read_.monitor.check();
}

void SegmentAttention::attend_window(std::int32_t layer, std::int64_t window, const MutableTensorView& q,
                                     const TensorView& k, const TensorView& v) {
  const std::int64_t n = k.num_tokens, before = read_.state.cache.num_tokens(layer);
  const Stopwatch watch(stats_.attention_seconds);
  try {
    runtime::attend_window({.backend = read_.backend,
                            .cache = read_.state.cache,
                            .layer = layer,
                            .window = window,
                            .q = q,
                            .k = k,
                            .v = v,
                            .lse = lse_,
                            .cancel = read_.monitor.cancel()});
  } catch (const Error&) {
    read_.monitor.check();  // what made it stop, in the caller's words
    throw;
  }
  put_probe_lse(layer, q.num_tokens);
  if (n == 1) return;
  const auto rows = static_cast<double>(n);
  count_density(window_pairs(before, n, window) / (0.5 * rows * (rows + 1) + rows * static_cast<double>(before)));
  read_.monitor.add(read_.attention_units);
  read_.monitor.check();
}

/// A GPU may be many layers behind the host. Progress then means nothing, and a wish to stop comes too late: who has
/// asked for it pays one launch's latency a layer.
void SegmentAttention::wait_for(const TensorView& q) const {
  if (!read_.monitor.watched() || &read_.memory == &host_memory()) return;
  std::byte arrived;
  read_.memory.copy(&arrived, q.data, 1);
  read_.monitor.check();
}

void SegmentAttention::advanced(std::int64_t rows) {
  read_.monitor.add(rows);
  read_.monitor.check();
}

// ---- Choosing ----

SegmentAttention::Choice SegmentAttention::choose(std::int32_t layer, const TensorView& q, const TensorView& k,
                                                  const TensorView& v) {
  if (!read_.plan.sparse) return {};
  const Stopwatch watch(stats_.select_seconds);
  const auto at = static_cast<std::size_t>(layer);
  HeadShares& shares = read_.state.shares;
  Choice choice{.keep = {}, .attend = {}, .attends_all = read_.selector->attends_all()};
  const bool same = !choice.attends_all && shares.windows.empty() && shares.keep[at] == shares.attend[at];
  const std::span<const std::int32_t> windows =
      shares.windows.empty() ? std::span<const std::int32_t>() : std::span<const std::int32_t>(shares.windows[at]);
  choice.keep = select(
      layer, q, k, v,
      {.shares = shares.keep[at], .windows = windows, .for_attention = false, .record = same || choice.attends_all});
  if (same) {
    shares.attend[at] = shares.keep[at];
  } else if (!choice.attends_all) {
    choice.attend =
        select(layer, q, k, v, {.shares = shares.attend[at], .windows = {}, .for_attention = true, .record = true});
  }
  return choice;
}

KeptSet SegmentAttention::select(std::int32_t layer, const TensorView& q, const TensorView& k, const TensorView& v,
                                 const Request& request) {
  for (;;) {
    KeptSet kept = read_.chooser->choose({.layer = layer,
                                          .q = q,
                                          .k = k,
                                          .v = v,
                                          .past = past(layer),
                                          .shares = request.shares,
                                          .windows = request.windows,
                                          .for_attention = request.for_attention});
    read_.monitor.check();
    if (!read_.mass_tolerance && !(read_.options.certify && request.record)) return kept;
    std::vector<HeadCertificate> heads = certify(layer, q, k, v, kept);
    if (read_.mass_tolerance && raise(layer, heads, request.shares)) continue;
    if (request.record) record_certificate(layer, std::move(heads), kept);
    return kept;
  }
}

std::vector<HeadCertificate> SegmentAttention::certify(std::int32_t layer, const TensorView& q, const TensorView& k,
                                                       const TensorView& v, const KeptSet& kept) const {
  // Evenly spread rows, as a view that steps over the others.
  const std::int64_t rows = std::min<std::int64_t>(read_.options.certify_rows, q.num_tokens);
  const std::int64_t step = q.num_tokens / rows;
  TensorView sampled = q.tokens(step - 1, rows);
  sampled.token_stride *= step;
  std::vector<std::int32_t> positions;
  for (std::int64_t r = 0; r < rows; ++r) positions.push_back(static_cast<std::int32_t>((r + 1) * step - 1));
  return read_.backend.certify({.q = sampled,
                                .rows = positions,
                                .k = k,
                                .v = v,
                                .past = past(layer),
                                .kept = &kept,
                                .window = rule_.window,
                                .sinks = rule_.sinks});
}

/// Gives heads that lose too much their next richer configuration. False when there is none left to give.
bool SegmentAttention::raise(std::int32_t layer, const std::vector<HeadCertificate>& heads,
                             std::vector<BlockShares>& shares) {
  raised_.resize(read_.state.shares.keep.size(), std::vector<bool>(heads.size()));
  bool changed = false;
  for (std::size_t h = 0; h < heads.size(); ++h) {
    if (heads[h].p95_delta <= *read_.mass_tolerance) continue;
    BlockShares richer = read_.selector->richer(shares[h], layer, static_cast<std::int32_t>(h));
    if (richer == shares[h]) continue;
    shares[h] = std::move(richer);
    raised_[static_cast<std::size_t>(layer)][h] = true;
    changed = true;
  }
  return changed;
}

void SegmentAttention::record_certificate(std::int32_t layer, std::vector<HeadCertificate> heads, const KeptSet& kept) {
  if (!certificate_) certificate_.emplace();
  const std::int64_t window = std::min<std::int64_t>(rule_.window, kept.num_tokens());
  std::vector<double> shares;
  for (std::int32_t h = 0; h < kept.num_kv_heads(); ++h) {
    const auto head = kept.head(h);
    const auto core = std::lower_bound(head.begin(), head.end(), kept.num_tokens() - window) - head.begin();
    shares.push_back(static_cast<double>(core + window) / static_cast<double>(kept.num_tokens()));
  }
  certificate_->layers.push_back(std::move(heads));
  certificate_->kept_share.push_back(std::move(shares));
  if (raised_.empty()) return;
  const std::vector<bool>& raised = raised_[static_cast<std::size_t>(layer)];
  certificate_->raised_heads += static_cast<std::int32_t>(std::count(raised.begin(), raised.end(), true));
}

// ---- Attending ----

void SegmentAttention::attend_prompt(std::int32_t layer, const MutableTensorView& q, const TensorView& k,
                                     const TensorView& v, const KeptSet* kept) {
  const Stopwatch watch(stats_.attention_seconds);
  const PrefillParams params{.q = q,
                             .k = k,
                             .v = v,
                             .out = q,
                             .past = past(layer),
                             .kept = kept,
                             .window = rule_.window,
                             .sinks = rule_.sinks,
                             .lse = lse_,
                             .cancel = read_.monitor.cancel()};
  try {
    read_.backend.prefill_attention(std::span(&params, 1));
  } catch (const Error&) {
    read_.monitor.check();  // what made it stop, in the caller's words
    throw;
  }
}

void SegmentAttention::attend_token(std::int32_t layer, const MutableTensorView& q, const TensorView& k,
                                    const TensorView& v) {
  const Stopwatch watch(stats_.attention_seconds);
  read_.state.cache.store(layer, k, v);
  const DecodeParams params{.q = q, .out = q, .cache = &read_.state.cache, .layer = layer, .lse = lse_};
  read_.backend.decode_attention(std::span(&params, 1));
}

void SegmentAttention::store(std::int32_t layer, const TensorView& k, const TensorView& v, const Choice& choice) {
  KvCache& cache = read_.state.cache;
  if (choice.keep) {
    // The tail of before would lie in front of the new one, never to be offered again.
    thin(layer, true);
    cache.store(layer, k, v, &*choice.keep, stored_window());
    return;
  }
  cache.store(layer, k, v);
  if (read_.plan.thin) thin(layer, false);
}

std::int32_t SegmentAttention::stored_window() const { return read_.state.shares.windows.empty() ? rule_.window : 0; }

void SegmentAttention::thin(std::int32_t layer, bool whole_tail) {
  const auto at = static_cast<std::size_t>(layer);
  const ThinParams params{.cache = &read_.state.cache,
                          .layer = layer,
                          .shares = read_.state.shares.keep[at],
                          .rule = rule_,
                          .probes = &read_.state.probes,
                          .whole_tail = whole_tail};
  thin_tails(read_.backend, std::span(&params, 1));
}

// ---- Probes ----

/// Before the output replaces the queries.
void SegmentAttention::put_probes(std::int32_t layer, const TensorView& q) {
  if (read_.state.probes.empty()) return;
  read_.state.probes.put_queries(layer, q);
  const auto count = static_cast<std::size_t>(q.num_tokens * q.num_heads);
  lse_ = {static_cast<float*>(lse_block_.reserve(count * sizeof(float))), count};
}

void SegmentAttention::put_probe_lse(std::int32_t layer, std::int64_t rows) {
  if (!read_.state.probes.empty()) read_.state.probes.put_lse(layer, lse_.data(), rows);
}

// ---- Accounts ----

void SegmentAttention::add_density(std::int32_t layer, std::int64_t n, const KeptSet* kept) {
  const KvCache& cache = read_.state.cache;
  const auto rows = static_cast<double>(n);
  const double causal = 0.5 * rows * (rows + 1) + rows * static_cast<double>(cache.num_tokens(layer));
  for (std::int32_t h = 0; h < cache.shape().num_kv_heads; ++h) {
    const double own = kept == nullptr ? 0.5 * rows * (rows + 1) : visible_pairs(n, kept->head(h), rule_.window);
    count_density((own + rows * static_cast<double>(cache.length(layer, h))) / causal);
  }
}

void SegmentAttention::count_density(double share) {
  density_sum_ += share;
  ++density_count_;
  stats_.density = density_sum_ / static_cast<double>(density_count_);
}

Past SegmentAttention::past(std::int32_t layer) const {
  return read_.state.cache.num_tokens(layer) == 0 ? Past{} : Past{.cache = &read_.state.cache, .layer = layer};
}

}  // namespace tca::runtime
