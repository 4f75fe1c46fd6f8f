// A tiny random model, profiles for it, and a backend that can be made to misbehave, for tests of sessions.
#pragma once

#include <atomic>
#include <cmath>
#include <cstdint>
#include <functional>
#include <memory>
#include <random>
#include <span>
#include <string>
#include <vector>

#include "model/tiny_model.h"
#include "runtime/engine/session.h"
#include "tca/backend.h"

namespace tca::test {

/// Passes everything on; break_even, before_attention and before_certify are for tests to set.
class SpyBackend : public Backend {
 public:
  explicit SpyBackend(const Backend& inner) : inner_(inner) {}
  std::string_view name() const override { return inner_.name(); }
  Capabilities capabilities() const override { return inner_.capabilities(); }
  std::shared_ptr<KvPool> create_kv_pool(std::size_t bytes, std::int32_t head_dim, DType dtype) const override {
    return inner_.create_kv_pool(bytes, head_dim, dtype);
  }
  void probe_scores(const ProbeParams& p, std::span<float> out) const override { inner_.probe_scores(p, out); }
  KeptSet select(const SelectParams& p) const override {
    ++num_selections;
    return inner_.select(p);
  }
  void prefill_attention(std::span<const PrefillParams> batch) const override {
    if (before_attention) before_attention(batch[0]);
    inner_.prefill_attention(batch);
  }
  void decode_attention(std::span<const DecodeParams> batch) const override { inner_.decode_attention(batch); }
  void tail_scores(std::span<const TailScoreParams> batch) const override { inner_.tail_scores(batch); }
  std::vector<HeadCertificate> certify(const CertifyParams& p, std::span<float> deltas) const override {
    if (before_certify) before_certify(p);
    return inner_.certify(p, deltas);
  }
  std::int64_t break_even_tokens(double, std::int32_t) const override { return break_even; }

  std::int64_t break_even = 0;
  std::function<void(const PrefillParams&)> before_attention;
  std::function<void(const CertifyParams&)> before_certify;
  mutable std::atomic<int> num_selections = 0;  // sessions on several threads count together

 private:
  const Backend& inner_;
};

/// Small blocks and windows, so that a few hundred tokens exercise everything.
inline SelectionRule small_rule() {
  return {.block_size = 8, .window = 24, .sinks = 3, .probe_queries = 6, .pool_width = 3};
}

/// Shares of blocks of 8: tokens kept of a block, and how many of eight blocks keep them.
inline BlockShares eighths(std::vector<std::pair<int, int>> kept_and_eighths) {
  BlockShares shares{.share = {0, 0, 0, 0, 0}};
  for (const auto& [kept, count] : kept_and_eighths) {
    const std::size_t index = kept == 0 ? 0 : static_cast<std::size_t>(std::log2(kept)) + 1;
    shares.share[index] = count / 8.0;
  }
  return shares;
}

class Engine {
 public:
  explicit Engine(const TinyModelOptions& options = {}, runtime::ComputeType compute = runtime::ComputeType::kF32,
                  int threads = 2)
      : files(options),
        pool(threads),
        inner(create_backend("cpu", pool)),
        backend(*inner),
        model(runtime::Model::load(files.dir(), pool, {.compute = compute})) {}

  /// One budget whose heads cycle through `heads`; attend empty: as keep.
  std::shared_ptr<const Profile> profile(const std::vector<BlockShares>& keep,
                                         const std::vector<BlockShares>& attend = {}) const {
    Profile profile;
    profile.model = model->fingerprint();
    profile.rule = small_rule();
    ProfileBudget budget;
    budget.objective = "tail-risk";
    budget.budget = 0.5;
    std::size_t next = 0;
    for (std::int32_t l = 0; l < model->config().num_layers; ++l) {
      std::vector<HeadProfile>& heads = budget.layers.emplace_back();
      for (std::int32_t h = 0; h < model->config().num_kv_heads; ++h, ++next) {
        heads.push_back({.keep = keep[next % keep.size()]});
        if (!attend.empty()) heads.back().attend = attend[next % attend.size()];
        budget.kept_share += heads.back().keep.kept_share();
      }
    }
    budget.kept_share /= static_cast<double>(next);
    profile.budgets.push_back(budget);
    return std::make_shared<const Profile>(std::move(profile));
  }

  /// Full, a quarter, window only, and a mixture of block sizes.
  std::shared_ptr<const Profile> ragged_profile() const {
    return profile(
        {BlockShares::full(8), eighths({{8, 1}, {2, 4}, {0, 3}}), BlockShares::window(8), eighths({{4, 2}, {1, 6}})});
  }

  runtime::Session session(runtime::SessionOptions options = {}) const {
    return runtime::Session(model, backend, pool, std::move(options));
  }

  std::vector<std::int32_t> prompt(std::int64_t n, std::uint64_t seed = 1) const {
    std::mt19937_64 random(seed);
    std::vector<std::int32_t> ids(static_cast<std::size_t>(n));
    for (std::int32_t& id : ids) {
      id = static_cast<std::int32_t>(random() % static_cast<std::uint64_t>(model->config().vocab_size));
    }
    return ids;
  }

  TinyModel files;
  mutable ThreadPool pool;
  std::unique_ptr<Backend> inner;
  SpyBackend backend;
  std::shared_ptr<const runtime::Model> model;
};

inline std::vector<float> copy(std::span<const float> values) { return {values.begin(), values.end()}; }

/// The logits of the last of ids.
inline std::vector<float> read(runtime::Session& session, const std::vector<std::int32_t>& ids) {
  return copy(session.read(ids));
}

/// The bound within which logits in fp32 must agree with another implementation's; what rounding in another order makes
/// of logits of magnitude 1 to 10 is below 1e-4.
inline constexpr double kLogitBound = 2e-3;

inline double largest_difference(std::span<const float> a, std::span<const float> b) {
  double largest = a.size() == b.size() ? 0 : INFINITY;
  for (std::size_t i = 0; i < std::min(a.size(), b.size()); ++i) {
    largest = std::max(largest, std::abs(static_cast<double>(a[i]) - b[i]));
  }
  return largest;
}

/// Lengths and positions of every head: what the cache holds, but for the values.
inline std::vector<std::vector<std::int32_t>> held_positions(const KvCache& cache) {
  std::vector<std::vector<std::int32_t>> all;
  for (std::int32_t l = 0; l < cache.shape().num_layers; ++l) {
    for (std::int32_t h = 0; h < cache.shape().num_kv_heads; ++h) {
      std::vector<std::int32_t>& head = all.emplace_back();
      for (std::int64_t slot = 0; slot < cache.length(l, h); ++slot) head.push_back(cache.position(l, h, slot));
    }
  }
  return all;
}

}  // namespace tca::test
