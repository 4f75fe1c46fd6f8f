#include <cuda_bf16.h>
#include <cuda_fp16.h>

#include <algorithm>

#include "core/certificates.h"
#include "core/validate_params.h"
#include "cuda/backend/operations.h"
#include "cuda/backend/sparsity.h"
#include "cuda/backend/staging.h"
#include "cuda/smxx/score/certify.h"
#include "cuda/smxx/score/tail.h"

namespace tca::cuda {
namespace {

template <class T>
Measured measure(Device& device, const CertifyParams& params) {
  Staging staging(device);
  const TensorView q = staging.input("q", params.q), k = staging.input("k", params.k), v = staging.input("v", params.v);
  const PagedPast past = paged(staging, params.past);
  const std::shared_ptr<const DeviceKept> kept =
      kept_on_gpu(staging, *params.kept, past.pool != nullptr ? 0 : params.sinks);
  Measured result;
  result.deltas.resize(static_cast<std::size_t>(q.num_tokens * q.num_heads));
  result.output_norms.resize(result.deltas.size());
  result.squared_value_norms.resize(static_cast<std::size_t>(k.num_heads));
  CertifyArgs args{.q = q.data,
                   .q_token_stride = q.token_stride,
                   .tokens = staging.upload(params.rows),
                   .segment = {segment_keys(k), segment_keys(v)},
                   .past = past_rows(staging, past, k.head_dim, true),
                   .kept = kept->bits(),
                   .num_rows = static_cast<std::int32_t>(q.num_tokens),
                   .num_heads = q.num_heads,
                   .num_kv_heads = k.num_heads,
                   .head_dim = k.head_dim,
                   .window = std::min(params.window, static_cast<std::int32_t>(k.num_tokens)),
                   .scale = resolve_scale(params.scale, k.head_dim),
                   .partial = nullptr,
                   .partial_out = nullptr,
                   .deltas = staging.output("deltas", std::span(result.deltas)),
                   .output_norms = staging.output("output_norms", std::span(result.output_norms)),
                   .squared_value_norms = staging.output("squared_value_norms", std::span(result.squared_value_norms))};
  const std::int64_t parts = certify_partial_rows(args);
  args.partial = staging.allocate_array<float>(parts * 3);
  args.partial_out = staging.allocate_array<float>(parts * k.head_dim);
  check(certify<T>(args, staging.stream()), "measuring dropped attention");
  staging.finish();
  return result;
}

}  // namespace

void tail_scores(Device& device, std::span<const TailScoreParams> batch) {
  Staging staging(device);
  std::vector<TailItem> items;
  std::int64_t most = 0;
  for (const TailScoreParams& p : batch) {
    if (p.count == 0) continue;
    const TensorView q = staging.input("q", p.q);
    const PagedPast list = paged(staging, *p.cache, p.layer);
    const std::int32_t group = q.num_heads / p.cache->shape().num_kv_heads;
    items.push_back({.q = q.data,
                     .lse = staging.input("lse", p.lse).data(),
                     .q_token_stride = q.token_stride,
                     .table = list.sequence.table + std::int64_t{p.kv_head} * list.sequence.max_pages,
                     .pool = list.pool,
                     .out = staging.output("out", p.out),
                     .first_slot = static_cast<std::int32_t>(p.cache->tail_begin(p.layer, p.kv_head)),
                     .count = static_cast<std::int32_t>(p.count),
                     .num_queries = static_cast<std::int32_t>(q.num_tokens),
                     .num_heads = q.num_heads,
                     .first_head = p.kv_head * group,
                     .group = group,
                     .head_dim = q.head_dim,
                     .scale = resolve_scale(p.scale, q.head_dim),
                     .is_bf16 = q.dtype == DType::kBF16});
    most = std::max(most, p.count);
  }
  if (items.empty()) return;
  check(tail_scores(staging.upload(items), static_cast<std::int32_t>(items.size()), static_cast<std::int32_t>(most),
                    staging.stream()),
        "scoring the tail");
  staging.finish();
}

std::vector<HeadCertificate> certify(Device& device, const CertifyParams& params, std::span<float> deltas) {
  std::fill(deltas.begin(), deltas.end(), 0.0f);
  // Nothing sampled, or nothing dropped.
  if (params.q.num_tokens == 0 || params.kept == nullptr) {
    return std::vector<HeadCertificate>(static_cast<std::size_t>(params.k.num_heads));
  }
  const Measured found =
      params.k.dtype == DType::kBF16 ? measure<__nv_bfloat16>(device, params) : measure<__half>(device, params);
  if (!deltas.empty()) std::copy(found.deltas.begin(), found.deltas.end(), deltas.begin());
  return certificates_of(found, params.q.num_heads);
}

}  // namespace tca::cuda
