#include "core/validate_params.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>

#include "core/check.h"
#include "core/kept_set.h"
#include "tca/kv_cache.h"

namespace tca {
namespace {

/// Names the operation, and the item of a batch, in front of every message.
struct Where {
  const char* operation;
  PageLayout pages;  // of caches
  std::int64_t item = -1;

  /// Message parts are put together only for a failure: these checks run once a layer and decoded token.
  template <class... T>
  void require(bool ok, const T&... parts) const {
    if (!ok) fail(ErrorCategory::kInvalidArgument, name(text(parts...)));
  }
  std::string name(const std::string& what) const {
    const std::string item_text = item < 0 ? std::string() : text(", batch item ", item);
    return text(operation, item_text, ": ", what);
  }
};

constexpr std::int64_t kMaxPosition = std::numeric_limits<std::int32_t>::max();

/// Elements from the first to one past the last; -1 when that overflows.
std::int64_t extent(const TensorView& view) {
  std::int64_t tokens = 0, heads = 0, sum = 0;
  if (__builtin_mul_overflow(view.num_tokens - 1, view.token_stride, &tokens)) return -1;
  if (__builtin_mul_overflow(std::int64_t{view.num_heads} - 1, view.head_stride, &heads)) return -1;
  if (__builtin_add_overflow(tokens, heads, &sum) || __builtin_add_overflow(sum, view.head_dim, &sum)) return -1;
  return sum > std::numeric_limits<std::int64_t>::max() / 4 ? -1 : sum;
}

void check_view(const Where& where, const char* name, const TensorView& view) {
  where.require(view.dtype <= DType::kF16, name, ".dtype is ", static_cast<int>(view.dtype),
                ", but must be fp32 (0), bf16 (1) or fp16 (2)");
  where.require(view.num_tokens >= 0 && view.num_tokens <= kMaxPosition, name, ".num_tokens is ", view.num_tokens,
                ", but must be in [0, 2^31)");
  where.require(view.num_heads > 0, name, ".num_heads is ", view.num_heads, ", but must be positive");
  where.require(view.head_dim > 0, name, ".head_dim is ", view.head_dim, ", but must be positive");
  if (view.num_tokens == 0) return;
  where.require(view.data != nullptr, name, ".data is null, but ", name, " has ", view.num_tokens, " tokens");
  where.require(view.num_tokens == 1 || view.token_stride >= view.head_dim, name, ".token_stride is ",
                view.token_stride, ", but must be at least head_dim = ", view.head_dim);
  where.require(view.num_heads == 1 || view.head_stride >= view.head_dim, name, ".head_stride is ", view.head_stride,
                ", but must be at least head_dim = ", view.head_dim);
  where.require(extent(view) >= 0, name, " is larger than the address space: token_stride ", view.token_stride,
                ", head_stride ", view.head_stride);
}

/// Rows that overlap would be written by several threads.
void check_output(const Where& where, const MutableTensorView& out, const TensorView& q) {
  check_view(where, "out", out);
  where.require(out.num_tokens == q.num_tokens && out.num_heads == q.num_heads && out.head_dim == q.head_dim,
                "out is [", out.num_tokens, ", ", out.num_heads, ", ", out.head_dim, "], but q is [", q.num_tokens,
                ", ", q.num_heads, ", ", q.head_dim, "]");
  if (out.num_tokens == 0) return;
  const std::int64_t one_token = (out.num_heads - 1) * out.head_stride + out.head_dim;
  const std::int64_t one_head = (out.num_tokens - 1) * out.token_stride + out.head_dim;
  where.require(
      out.num_tokens == 1 || out.num_heads == 1 || out.token_stride >= one_token || out.head_stride >= one_head,
      "out.token_stride ", out.token_stride, " and head_stride ", out.head_stride, " make rows overlap");
  const bool same_rows = (out.num_tokens == 1 || out.token_stride == q.token_stride) &&
                         (out.num_heads == 1 || out.head_stride == q.head_stride);
  where.require(out.data != q.data || (out.dtype == q.dtype && same_rows),
                "out is the memory of q, but its dtype or strides differ from those of q");
}

void check_scale(const Where& where, float scale) {
  where.require(std::isfinite(scale) && scale >= 0, "scale is ", scale,
                ", but must be finite and positive, or 0 for 1 / sqrt(head_dim)");
}

/// Queries against what holds keys: kv_heads, dim, dtype of k or of a cache.
void check_queries(const Where& where, const TensorView& q, const char* keys, std::int32_t kv_heads, std::int32_t dim,
                   DType dtype) {
  check_view(where, "q", q);
  where.require(q.num_heads % kv_heads == 0, "q.num_heads is ", q.num_heads, ", but must be a multiple of the ",
                kv_heads, " heads of ", keys);
  where.require(q.head_dim == dim, "q.head_dim is ", q.head_dim, ", but ", keys, " has ", dim);
  where.require(q.dtype == dtype, "q.dtype is ", dtype_name(q.dtype), ", but ", keys, " has ", dtype_name(dtype));
}

void check_layer(const Where& where, const KvCache& cache, std::int32_t layer) {
  where.require(layer >= 0 && layer < cache.shape().num_layers, "layer is ", layer, ", but the cache has ",
                cache.shape().num_layers, " layers");
  where.require(cache.pool()->layout() == where.pages, "the cache's pages lie in ",
                where.pages == PageLayout::kRows ? "GPU" : "host",
                " memory, which this backend does not read; make its pool with Backend::create_kv_pool");
}

void check_keys(const Where& where, const TensorView& k, const Past& past) {
  check_view(where, "k", k);
  if (past.cache == nullptr) return;
  const KvShape& shape = past.cache->shape();
  check_layer(where, *past.cache, past.layer);
  where.require(shape.num_kv_heads == k.num_heads, "k.num_heads is ", k.num_heads, ", but past.cache has ",
                shape.num_kv_heads);
  where.require(shape.head_dim == k.head_dim, "k.head_dim is ", k.head_dim, ", but past.cache has ", shape.head_dim);
  where.require(shape.dtype == k.dtype, "k.dtype is ", dtype_name(k.dtype), ", but past.cache has ",
                dtype_name(shape.dtype));
  const std::int64_t before = past.cache->num_tokens(past.layer);
  where.require(before + k.num_tokens <= kMaxPosition, "k.num_tokens is ", k.num_tokens, " after ", before,
                " tokens in past.cache, but positions end at 2^31");
}

void check_values(const Where& where, const TensorView& v, const TensorView& k) {
  check_view(where, "v", v);
  where.require(v.num_tokens == k.num_tokens && v.num_heads == k.num_heads && v.head_dim == k.head_dim, "v is [",
                v.num_tokens, ", ", v.num_heads, ", ", v.head_dim, "], but k is [", k.num_tokens, ", ", k.num_heads,
                ", ", k.head_dim, "]");
  where.require(v.dtype == k.dtype, "v.dtype is ", dtype_name(v.dtype), ", but k has ", dtype_name(k.dtype));
}

void check_sparsity(const Where& where, const KeptSet* kept, std::int32_t window, std::int32_t sinks,
                    const TensorView& k) {
  if (kept == nullptr) return;
  where.require(window >= 1, "window is ", window, ", but must be at least 1: a query always sees its own token");
  where.require(sinks >= 0, "sinks is ", sinks, ", but must not be negative");
  validate_kept_set(*kept, k.num_tokens, k.num_heads, where.name("kept"));
}

/// What ProbeParams and SelectParams have in common.
template <class Params>
void check_probes(const Where& where, const Params& p) {
  check_keys(where, p.k, p.past);
  check_queries(where, p.q, "k", p.k.num_heads, p.k.head_dim, p.k.dtype);
  where.require(p.q.num_tokens <= p.k.num_tokens || p.probes_follow, "q.num_tokens is ", p.q.num_tokens,
                ", but the segment has ", p.k.num_tokens, " tokens, and probes_follow is false");
  where.require(p.q.num_tokens > 0 || p.k.num_tokens == 0, "q.num_tokens is 0, but scoring ", p.k.num_tokens,
                " keys needs at least one query");
  where.require(p.reduce <= ProbeReduce::kMax, "reduce is ", static_cast<int>(p.reduce),
                ", but must be mean (0) or max (1)");
  check_scale(where, p.scale);
}

void check_size(const Where& where, const char* name, std::size_t actual, std::int64_t expected, const char* shape) {
  where.require(actual == static_cast<std::size_t>(expected), name, " has ", actual, " elements, but needs ", expected,
                " = ", shape);
}

void check_prefill(const Where& where, const PrefillParams& p) {
  check_keys(where, p.k, p.past);
  check_values(where, p.v, p.k);
  check_queries(where, p.q, "k", p.k.num_heads, p.k.head_dim, p.k.dtype);
  where.require(p.q.num_tokens <= p.k.num_tokens && (p.q.num_tokens >= 1 || p.k.num_tokens == 0), "q.num_tokens is ",
                p.q.num_tokens, ", but must be in [1, ", p.k.num_tokens, "], the tokens of the segment");
  check_output(where, p.out, p.q);
  check_sparsity(where, p.kept, p.window, p.sinks, p.k);
  check_scale(where, p.scale);
  if (!p.lse.empty()) check_size(where, "lse", p.lse.size(), p.q.num_tokens * p.q.num_heads, "n * Hq");
}

void check_decode(const Where& where, const DecodeParams& p) {
  where.require(p.cache != nullptr, "cache is null");
  const KvShape& shape = p.cache->shape();
  check_layer(where, *p.cache, p.layer);
  check_queries(where, p.q, "the cache", shape.num_kv_heads, shape.head_dim, shape.dtype);
  const std::int64_t stored = p.cache->num_tokens(p.layer);
  where.require(p.q.num_tokens >= 1 && p.q.num_tokens <= stored, "q.num_tokens is ", p.q.num_tokens,
                ", but must be in [1, ", stored, "], the tokens stored in layer ", p.layer);
  check_output(where, p.out, p.q);
  check_scale(where, p.scale);
  if (!p.lse.empty()) check_size(where, "lse", p.lse.size(), p.q.num_tokens * p.q.num_heads, "n * Hq");
}

void check_tail_scores(const Where& where, const TailScoreParams& p) {
  where.require(p.cache != nullptr, "cache is null");
  const KvShape& shape = p.cache->shape();
  check_layer(where, *p.cache, p.layer);
  where.require(p.kv_head >= 0 && p.kv_head < shape.num_kv_heads, "kv_head is ", p.kv_head, ", but the cache has ",
                shape.num_kv_heads);
  check_queries(where, p.q, "the cache", shape.num_kv_heads, shape.head_dim, shape.dtype);
  const std::int64_t tail = p.cache->length(p.layer, p.kv_head) - p.cache->tail_begin(p.layer, p.kv_head);
  where.require(p.count >= 0 && p.count <= tail, "count is ", p.count, ", but the tail of KV head ", p.kv_head,
                " holds ", tail, " tokens");
  where.require(p.q.num_tokens >= 1 || p.count == 0, "q.num_tokens is 0, but scoring ", p.count,
                " tokens needs at least one query");
  check_size(where, "lse", p.lse.size(), p.q.num_tokens * p.q.num_heads, "P * Hq");
  check_size(where, "out", p.out.size(), p.count, "count");
  check_scale(where, p.scale);
}

void check_rule(const Where& where, const SelectionRule& rule) {
  where.require(rule.block_size >= 8 && rule.block_size <= 256 && std::has_single_bit(unsigned(rule.block_size)),
                "rule.block_size is ", rule.block_size, ", but must be a power of two in [8, 256]");
  where.require(rule.window >= 1, "rule.window is ", rule.window, ", but must be at least 1");
  where.require(rule.sinks >= 0, "rule.sinks is ", rule.sinks, ", but must not be negative");
  where.require(rule.probe_queries >= 1, "rule.probe_queries is ", rule.probe_queries, ", but must be at least 1");
  where.require(rule.pool_width >= 1 && rule.pool_width % 2 == 1, "rule.pool_width is ", rule.pool_width,
                ", but must be odd and at least 1");
  where.require(rule.order <= BlockOrder::kTokens, "rule.order is ", static_cast<int>(rule.order),
                ", but must be mass_dispersion (0), simpson (1) or tokens (2)");
}

void check_shares(const Where& where, const BlockShares& shares, std::int32_t block_size, const std::string& name) {
  const auto expected = static_cast<std::size_t>(std::bit_width(unsigned(block_size))) + 1;
  where.require(shares.share.size() == expected, name, " has ", shares.share.size(), " entries, but block_size ",
                block_size, " needs ", expected);
  double sum = 0;
  for (std::size_t i = 0; i < shares.share.size(); ++i) {
    where.require(shares.share[i] >= 0 && shares.share[i] <= 1, name, "[", i, "] is ", shares.share[i],
                  ", but must be in [0, 1]");
    sum += shares.share[i];
  }
  where.require(std::abs(sum - 1) <= 1e-6, name, " sums to ", sum, ", but must sum to 1 within 1e-6");
}

void check_windows(const Where& where, const SelectParams& p) {
  if (p.windows.empty()) return;
  where.require(p.rule.order == BlockOrder::kTokens, "windows has ", p.windows.size(),
                " elements, but must be empty unless rule.order is tokens (2)");
  check_size(where, "windows", p.windows.size(), p.k.num_heads, "Hk");
  for (std::size_t h = 0; h < p.windows.size(); ++h) {
    where.require(p.windows[h] >= 0, "windows[", h, "] is ", p.windows[h], ", but must not be negative");
  }
}

/// Runs a check over a batch, naming the item.
template <class Params>
void check_batch(const char* operation, std::span<const Params> batch, PageLayout pages,
                 void (*check)(const Where&, const Params&)) {
  for (std::size_t i = 0; i < batch.size(); ++i) check({operation, pages, static_cast<std::int64_t>(i)}, batch[i]);
}

}  // namespace

std::int64_t past_tokens(const Past& past) { return past.cache == nullptr ? 0 : past.cache->num_tokens(past.layer); }

float resolve_scale(float scale, std::int32_t head_dim) {
  return scale != 0 ? scale : static_cast<float>(1 / std::sqrt(static_cast<double>(head_dim)));
}

void validate_params(const ProbeParams& params, std::span<const float> out, PageLayout pages) {
  const Where where{"probe_scores", pages};
  check_probes(where, params);
  where.require(params.pool_width >= 1 && params.pool_width % 2 == 1, "pool_width is ", params.pool_width,
                ", but must be odd and at least 1");
  check_size(where, "out", out.size(), params.k.num_heads * params.k.num_tokens, "Hk * L");
}

void validate_params(const SelectParams& params, PageLayout pages) {
  const Where where{"select", pages};
  check_rule(where, params.rule);
  check_probes(where, params);
  const std::int64_t probes = std::min<std::int64_t>(params.k.num_tokens, params.rule.probe_queries);
  where.require(params.q.num_tokens == probes || params.probes_follow, "q.num_tokens is ", params.q.num_tokens,
                ", but must be ", probes, " = min(L, rule.probe_queries) unless probes_follow");
  check_size(where, "shares", params.shares.size(), params.k.num_heads, "Hk");
  for (std::size_t h = 0; h < params.shares.size(); ++h) {
    check_shares(where, params.shares[h], params.rule.block_size, text("shares[", h, "]"));
  }
  check_windows(where, params);
}

void validate_params(const CertifyParams& params, std::span<const float> deltas, PageLayout pages) {
  const Where where{"certify", pages};
  check_keys(where, params.k, params.past);
  check_values(where, params.v, params.k);
  check_queries(where, params.q, "k", params.k.num_heads, params.k.head_dim, params.k.dtype);
  check_size(where, "rows", params.rows.size(), params.q.num_tokens, "R");
  for (std::size_t r = 0; r < params.rows.size(); ++r) {
    where.require(params.rows[r] >= 0 && params.rows[r] < params.k.num_tokens, "rows[", r, "] is ", params.rows[r],
                  ", but must be in [0, ", params.k.num_tokens, ")");
  }
  check_sparsity(where, params.kept, params.window, params.sinks, params.k);
  check_scale(where, params.scale);
  if (!deltas.empty()) check_size(where, "deltas", deltas.size(), params.q.num_tokens * params.q.num_heads, "R * Hq");
}

void validate_params(std::span<const PrefillParams> batch, PageLayout pages) {
  check_batch("prefill_attention", batch, pages, check_prefill);
}

void validate_params(std::span<const DecodeParams> batch, PageLayout pages) {
  check_batch("decode_attention", batch, pages, check_decode);
}

void validate_params(std::span<const TailScoreParams> batch, PageLayout pages) {
  check_batch("tail_scores", batch, pages, check_tail_scores);
}

}  // namespace tca
