#include "reference/reference_backend.h"

#include <algorithm>
#include <cmath>

#include "core/check.h"
#include "core/half.h"
#include "core/validate_params.h"
#include "reference/steps.h"

namespace tca {
namespace {

using reference::AttentionRow;
using reference::HeadTokens;
using reference::Tensor;

void write_row(const AttentionRow& row, const MutableTensorView& out, std::span<float> lse, std::int64_t token,
               std::int32_t head) {
  for (std::size_t i = 0; i < row.out.size(); ++i) {
    store_element(out.row(token, head), out.dtype, static_cast<std::int64_t>(i), static_cast<float>(row.out[i]));
  }
  if (!lse.empty()) lse[static_cast<std::size_t>(token * out.num_heads + head)] = static_cast<float>(row.lse);
}

void prefill(const PrefillParams& p) {
  const Tensor q = reference::to_double(p.q);  // a copy: out may be the memory of q
  const Tensor k = reference::to_double(p.k);
  const Tensor v = reference::to_double(p.v);
  const double scale = reference::resolve_scale(p.scale, q.head_dim);
  const std::int32_t group = q.num_heads / k.num_heads;
  const std::int32_t sinks = past_tokens(p.past) == 0 ? p.sinks : 0;
  for (std::int32_t kv_head = 0; kv_head < k.num_heads; ++kv_head) {
    const HeadTokens tokens = reference::past_and_segment(p.past, k, &v, kv_head);
    const std::size_t num_past = tokens.size() - static_cast<std::size_t>(k.num_tokens);
    for (std::int64_t r = 0; r < q.num_tokens; ++r) {
      if (p.cancel != nullptr && p.cancel->load(std::memory_order_relaxed)) {
        fail(ErrorCategory::kCancelled, "prefill_attention was cancelled");
      }
      const std::int64_t i = k.num_tokens - q.num_tokens + r;
      const std::vector<bool> visible =
          reference::visible_tokens(i, k.num_tokens, num_past, p.kept, kv_head, p.window, sinks);
      for (std::int32_t head = kv_head * group; head < (kv_head + 1) * group; ++head) {
        write_row(reference::attend(q.row(r, head), tokens, visible, scale), p.out, p.lse, r, head);
      }
    }
  }
}

void decode(const DecodeParams& p) {
  const Tensor q = reference::to_double(p.q);
  const double scale = reference::resolve_scale(p.scale, q.head_dim);
  const std::int32_t num_kv_heads = p.cache->shape().num_kv_heads;
  const std::int32_t group = q.num_heads / num_kv_heads;
  const std::int64_t first = p.cache->num_tokens(p.layer) - q.num_tokens;
  for (std::int32_t kv_head = 0; kv_head < num_kv_heads; ++kv_head) {
    const HeadTokens tokens = reference::read_cache(p.cache, p.layer, kv_head);
    std::vector<bool> visible(tokens.size());
    for (std::int64_t i = 0; i < q.num_tokens; ++i) {
      for (std::size_t t = 0; t < tokens.size(); ++t) visible[t] = tokens.positions[t] <= first + i;
      for (std::int32_t head = kv_head * group; head < (kv_head + 1) * group; ++head) {
        write_row(reference::attend(q.row(i, head), tokens, visible, scale), p.out, p.lse, i, head);
      }
    }
  }
}

void score_tail(const TailScoreParams& p) {
  if (p.count == 0) return;
  const Tensor q = reference::to_double(p.q);
  const HeadTokens tokens = reference::read_cache(p.cache, p.layer, p.kv_head);
  const std::span<const std::vector<double>> keys(tokens.k);
  const auto begin = static_cast<std::size_t>(p.cache->tail_begin(p.layer, p.kv_head));
  const std::vector<double> scores =
      reference::tail_scores(q, p.lse, keys.subspan(begin, static_cast<std::size_t>(p.count)), p.kv_head,
                             p.cache->shape().num_kv_heads, reference::resolve_scale(p.scale, q.head_dim));
  std::transform(scores.begin(), scores.end(), p.out.begin(), [](double s) { return static_cast<float>(s); });
}

double max_value_norm(const HeadTokens& tokens) {
  double norm = 0;
  for (const std::vector<double>& v : tokens.v) norm = std::max(norm, std::sqrt(reference::dot(v, v)));
  return norm;
}

class ReferenceBackend : public Backend {
 public:
  std::string_view name() const override { return "reference"; }

  Capabilities capabilities() const override {
    return {.dtypes = {DType::kF32, DType::kBF16, DType::kF16}, .head_dims = {}, .isa = "scalar double"};
  }

  void probe_scores(const ProbeParams& p, std::span<float> out) const override {
    validate_params(p, out);
    const Tensor q = reference::to_double(p.q);
    const Tensor k = reference::to_double(p.k);
    const double scale = reference::resolve_scale(p.scale, k.head_dim);
    for (std::int32_t kv_head = 0; kv_head < k.num_heads && k.num_tokens > 0; ++kv_head) {
      const HeadTokens tokens = reference::past_and_segment(p.past, k, nullptr, kv_head);
      const std::vector<double> scores = reference::normalise(reference::max_pool(
          reference::probe_mass(q, tokens, kv_head, k.num_heads, k.num_tokens, scale, p.probes_follow, p.reduce),
          p.pool_width));
      std::transform(scores.begin(), scores.end(), out.begin() + kv_head * k.num_tokens,
                     [](double s) { return static_cast<float>(s); });
    }
  }

  KeptSet select(const SelectParams& p) const override {
    validate_params(p);
    std::vector<float> scores(static_cast<std::size_t>(p.k.num_heads * p.k.num_tokens));
    probe_scores({.q = p.q,
                  .k = p.k,
                  .past = p.past,
                  .pool_width = p.rule.pool_width,
                  .scale = p.scale,
                  .probes_follow = p.probes_follow,
                  .reduce = p.reduce},
                 scores);
    SelectionRule rule = p.rule;
    if (past_tokens(p.past) > 0) rule.sinks = 0;
    return reference::kept_from_scores(scores, p.shares, rule, p.k.num_tokens, p.windows);
  }

  void prefill_attention(std::span<const PrefillParams> batch) const override {
    validate_params(batch);
    std::for_each(batch.begin(), batch.end(), prefill);
  }

  void decode_attention(std::span<const DecodeParams> batch) const override {
    validate_params(batch);
    std::for_each(batch.begin(), batch.end(), decode);
  }

  void tail_scores(std::span<const TailScoreParams> batch) const override {
    validate_params(batch);
    std::for_each(batch.begin(), batch.end(), score_tail);
  }

  std::vector<HeadCertificate> certify(const CertifyParams& p, std::span<float> deltas) const override {
    validate_params(p, deltas);
    if (p.kept == nullptr) {
      std::fill(deltas.begin(), deltas.end(), 0.0f);
      return std::vector<HeadCertificate>(static_cast<std::size_t>(p.k.num_heads));
    }
    const Tensor q = reference::to_double(p.q);
    const Tensor k = reference::to_double(p.k);
    const Tensor v = reference::to_double(p.v);
    const double scale = reference::resolve_scale(p.scale, q.head_dim);
    const std::int32_t group = q.num_heads / k.num_heads;
    const std::int32_t sinks = past_tokens(p.past) == 0 ? p.sinks : 0;
    std::vector<HeadCertificate> certificates;
    for (std::int32_t kv_head = 0; kv_head < k.num_heads; ++kv_head) {
      const HeadTokens tokens = reference::past_and_segment(p.past, k, &v, kv_head);
      const std::size_t num_past = tokens.size() - static_cast<std::size_t>(k.num_tokens);
      std::vector<double> head_deltas, norms;
      for (std::int64_t r = 0; r < q.num_tokens; ++r) {
        const std::int32_t i = p.rows[static_cast<std::size_t>(r)];
        const auto dense = reference::visible_tokens(i, k.num_tokens, num_past, nullptr, kv_head, 0, 0);
        const auto sparse = reference::visible_tokens(i, k.num_tokens, num_past, p.kept, kv_head, p.window, sinks);
        for (std::int32_t head = kv_head * group; head < (kv_head + 1) * group; ++head) {
          head_deltas.push_back(reference::dropped_mass(q.row(r, head), tokens, dense, sparse, scale));
          const AttentionRow row = reference::attend(q.row(r, head), tokens, dense, scale);
          norms.push_back(std::sqrt(reference::dot(row.out, row.out)));
          if (!deltas.empty()) deltas[r * q.num_heads + head] = static_cast<float>(head_deltas.back());
        }
      }
      certificates.push_back(reference::summarise(head_deltas, norms, max_value_norm(tokens)));
    }
    return certificates;
  }

  /// It computes one pair after the other, so fewer pairs are never slower.
  std::int64_t break_even_tokens(double /*kept_share*/, std::int32_t /*head_dim*/) const override { return 0; }
};

}  // namespace

std::unique_ptr<Backend> create_reference_backend() { return std::make_unique<ReferenceBackend>(); }

}  // namespace tca
