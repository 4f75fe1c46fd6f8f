#include <algorithm>

#include "capi/handles.h"
#include "core/kept_set.h"

using tca::capi::create;
using tca::capi::guarded;
using tca::capi::required;
using tca::capi::to_rule;
using tca::capi::to_view;

namespace {

tca::Past to_past(const tca_kv_cache* cache, int32_t layer) {
  return {cache != nullptr ? &cache->cache : nullptr, layer};
}

const tca::KeptSet* to_kept(const tca_kept_set* kept) { return kept != nullptr ? &kept->set : nullptr; }

const tca::KvCache* to_cache(const tca_kv_cache* cache) { return cache != nullptr ? &cache->cache : nullptr; }

/// Rows x heads; sizes that the operation will refuse count as nothing.
std::size_t num_rows(int64_t num_tokens, int32_t num_heads) {
  return num_tokens > 0 && num_heads > 0 ? static_cast<std::size_t>(num_tokens) * static_cast<std::size_t>(num_heads)
                                         : 0;
}

/// An optional array of `size` numbers.
template <class T>
std::span<T> optional_span(T* data, std::size_t size) {
  return {data, data != nullptr ? size : 0};
}

template <class T>
std::span<T> required_span(T* data, std::size_t size, const char* name) {
  if (size > 0) required(data, name);
  return {data, size};
}

tca::PrefillParams to_params(const tca_prefill_params& params) {
  return {.q = to_view(params.q, "q"),
          .k = to_view(params.k, "k"),
          .v = to_view(params.v, "v"),
          .out = to_view(params.out, "out"),
          .past = to_past(params.past_cache, params.past_layer),
          .kept = to_kept(params.kept),
          .window = params.window,
          .sinks = params.sinks,
          .scale = params.scale,
          .lse = optional_span(params.lse, num_rows(params.q.num_tokens, params.q.num_heads)),
          .cancel = params.cancel != nullptr ? &params.cancel->requested : nullptr};
}

tca::DecodeParams to_params(const tca_decode_params& params) {
  return {.q = to_view(params.q, "q"),
          .out = to_view(params.out, "out"),
          .cache = to_cache(params.cache),
          .layer = params.layer,
          .scale = params.scale,
          .lse = optional_span(params.lse, num_rows(params.q.num_tokens, params.q.num_heads))};
}

tca::TailScoreParams to_params(const tca_tail_score_params& params) {
  tca::check_argument(params.count >= 0, "count is ", params.count, "; expected 0 or more");
  return {.q = to_view(params.q, "q"),
          .lse = required_span(params.lse, num_rows(params.q.num_tokens, params.q.num_heads), "lse"),
          .cache = to_cache(params.cache),
          .layer = params.layer,
          .kv_head = params.kv_head,
          .count = params.count,
          .scale = params.scale,
          .out = required_span(params.out, static_cast<std::size_t>(params.count), "out")};
}

tca::ProbeReduce to_reduce(tca_probe_reduce reduce) {
  const int given = static_cast<int>(reduce);
  tca::check_argument(given == TCA_PROBE_MEAN || given == TCA_PROBE_MAX, "reduce is ", given,
                      "; expected TCA_PROBE_MEAN (0) or TCA_PROBE_MAX (1)");
  return static_cast<tca::ProbeReduce>(given);
}

template <class Params>
auto to_batch(const Params* batch, std::size_t count) {
  if (count > 0) required(batch, "batch");
  std::vector<decltype(to_params(*batch))> converted;
  converted.reserve(count);
  for (std::size_t i = 0; i < count; ++i) converted.push_back(to_params(batch[i]));
  return converted;
}

std::vector<tca::BlockShares> to_shares(const tca_select_params& params) {
  // The longest row belongs to blocks of 256 tokens.
  tca::check_argument(params.num_shares >= 1 && params.num_shares <= 10, "num_shares is ", params.num_shares,
                      "; expected log2(rule.block_size) + 2");
  tca::check_argument(params.k.num_heads > 0, "k.num_heads is ", params.k.num_heads, "; expected 1 or more");
  const double* row = &required(params.shares, "shares");
  std::vector<tca::BlockShares> shares(static_cast<std::size_t>(params.k.num_heads));
  for (tca::BlockShares& head : shares) {
    head.share.assign(row, row + params.num_shares);
    row += params.num_shares;
  }
  return shares;
}

}  // namespace

tca_status tca_kept_set_create(int64_t num_tokens, int32_t num_kv_heads, const int64_t* offsets,
                               const int32_t* positions, tca_kept_set** out) {
  return create(out, [&] {
    tca::check_argument(num_tokens >= 0 && num_tokens <= INT32_MAX, "num_tokens is ", num_tokens,
                        "; expected 0 to 2^31 - 1");
    tca::check_argument(num_kv_heads >= 1, "num_kv_heads is ", num_kv_heads, "; expected 1 or more");
    std::vector<std::int64_t> all_offsets(&required(offsets, "offsets"), offsets + num_kv_heads + 1);
    // Before the positions are read: their number comes from the offsets.
    const int64_t last = all_offsets.back();
    tca::check_argument(last >= 0 && last <= num_tokens * num_kv_heads, "offsets[", num_kv_heads, "] is ", last,
                        "; expected 0 to num_tokens * num_kv_heads = ", num_tokens * num_kv_heads);
    std::vector<std::int32_t> all_positions;
    if (last > 0) all_positions.assign(&required(positions, "positions"), positions + last);
    tca::KeptSet set(num_tokens, std::move(all_offsets), std::move(all_positions));
    tca::validate_kept_set(set, num_tokens, num_kv_heads, "kept");
    return set;
  });
}

tca_status tca_kept_set_num_tokens(const tca_kept_set* set, int64_t* out) {
  return guarded([&] { required(out, "out") = required(set, "set").set.num_tokens(); });
}

tca_status tca_kept_set_num_kv_heads(const tca_kept_set* set, int32_t* out) {
  return guarded([&] { required(out, "out") = required(set, "set").set.num_kv_heads(); });
}

tca_status tca_kept_set_head(const tca_kept_set* set, int32_t kv_head, const int32_t** positions, int64_t* count) {
  return guarded([&] {
    const tca::KeptSet& of = required(set, "set").set;
    tca::check_argument(kv_head >= 0 && kv_head < of.num_kv_heads(), "kv_head is ", kv_head, "; the set has ",
                        of.num_kv_heads());
    const auto head = of.head(kv_head);
    required(count, "count");
    required(positions, "positions") = head.data();
    *count = static_cast<int64_t>(head.size());
  });
}

void tca_kept_set_destroy(tca_kept_set* set) { delete set; }

tca_status tca_probe_scores(const tca_backend* backend, const tca_probe_params* params, float* out) {
  return guarded([&] {
    const tca_probe_params& of = required(params, "params");
    const auto scores = required_span(out, num_rows(of.k.num_tokens, of.k.num_heads), "out");
    required(backend, "backend")
        .backend->probe_scores({.q = to_view(of.q, "q"),
                                .k = to_view(of.k, "k"),
                                .past = to_past(of.past_cache, of.past_layer),
                                .pool_width = of.pool_width,
                                .scale = of.scale,
                                .probes_follow = of.probes_follow != 0,
                                .reduce = to_reduce(of.reduce)},
                               scores);
  });
}

tca_status tca_select(const tca_backend* backend, const tca_select_params* params, tca_kept_set** out) {
  return create(out, [&] {
    const tca_select_params& of = required(params, "params");
    const std::vector<tca::BlockShares> shares = to_shares(of);
    return required(backend, "backend")
        .backend->select({.q = to_view(of.q, "q"),
                          .k = to_view(of.k, "k"),
                          .past = to_past(of.past_cache, of.past_layer),
                          .shares = shares,
                          .rule = to_rule(of.rule),
                          .scale = of.scale,
                          .probes_follow = of.probes_follow != 0,
                          .reduce = to_reduce(of.reduce),
                          .windows = optional_span(of.windows, shares.size())});
  });
}

tca_status tca_prefill_attention(const tca_backend* backend, const tca_prefill_params* batch, size_t count) {
  return guarded([&] { required(backend, "backend").backend->prefill_attention(to_batch(batch, count)); });
}

tca_status tca_decode_attention(const tca_backend* backend, const tca_decode_params* batch, size_t count) {
  return guarded([&] { required(backend, "backend").backend->decode_attention(to_batch(batch, count)); });
}

tca_status tca_tail_scores(const tca_backend* backend, const tca_tail_score_params* batch, size_t count) {
  return guarded([&] { required(backend, "backend").backend->tail_scores(to_batch(batch, count)); });
}

tca_status tca_certify(const tca_backend* backend, const tca_certify_params* params, tca_head_certificate* out,
                       float* deltas) {
  return guarded([&] {
    const tca_certify_params& of = required(params, "params");
    const std::size_t num_sampled = num_rows(of.q.num_tokens, 1);
    tca_head_certificate* to = &required(out, "out");
    const auto certificates = required(backend, "backend")
                                  .backend->certify({.q = to_view(of.q, "q"),
                                                     .rows = required_span(of.rows, num_sampled, "rows"),
                                                     .k = to_view(of.k, "k"),
                                                     .v = to_view(of.v, "v"),
                                                     .past = to_past(of.past_cache, of.past_layer),
                                                     .kept = to_kept(of.kept),
                                                     .window = of.window,
                                                     .sinks = of.sinks,
                                                     .scale = of.scale},
                                                    optional_span(deltas, num_rows(of.q.num_tokens, of.q.num_heads)));
    for (const tca::HeadCertificate& each : certificates) {
      *to++ = {.mean_delta = each.mean_delta,
               .p95_delta = each.p95_delta,
               .max_delta = each.max_delta,
               .output_norm = each.output_norm,
               .bound = each.bound};
    }
  });
}
