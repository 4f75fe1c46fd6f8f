#include "cuda/sm80/prefill/prefill.h"

#include <cuda_bf16.h>
#include <cuda_fp16.h>

#include <algorithm>
#include <memory>

#include "core/validate_params.h"
#include "cuda/backend/operations.h"
#include "cuda/backend/sparsity.h"
#include "cuda/backend/staging.h"
#include "cuda/sm90/prefill/prefill.h"
#include "cuda/smxx/kv/pages.h"

namespace tca::cuda {
namespace {

constexpr std::int64_t kRowUnit = 128;  // keys of a tile; heads begin at multiples of it

/// Past and kept tokens of every head in rows of their own, with room for as many as the head may keep.
CompactRows compact_rows(Staging& staging, const PagedPast& past, const DeviceKept* kept, const TensorView& k,
                         const TensorView& v) {
  const auto heads = static_cast<std::size_t>(k.num_heads);
  std::vector<std::int64_t> base;
  std::int64_t total = 0;
  for (std::size_t h = 0; h < heads; ++h) {
    if (past.pool == nullptr && kept != nullptr && kept->everything[h]) {
      base.push_back(-1);  // read in place
      continue;
    }
    const std::int64_t behind = kept != nullptr ? kept->most[h] : 0;
    base.push_back(total);
    const std::int64_t rows = (past.pool != nullptr ? past.lengths[h] : 0) + behind;
    total += (rows + kRowUnit - 1) / kRowUnit * kRowUnit;
  }
  if (total == 0) return {};
  auto* const out_k = staging.allocate_array<std::uint16_t>(total * k.head_dim);
  auto* const out_v = staging.allocate_array<std::uint16_t>(total * k.head_dim);
  const std::int64_t* const base_there = staging.upload(base);
  if (past.pool != nullptr) {
    check(gather_pages({.pool = past.pool,
                        .sequence = past.sequence,
                        .num_pages = past.num_pages,
                        .num_kv_heads = k.num_heads,
                        .head_dim = k.head_dim,
                        .out_k = out_k,
                        .out_v = out_v,
                        .base = base_there},
                       staging.stream()),
          "reading the cache");
  }
  const std::int32_t* const past_rows = past.pool != nullptr ? past.sequence.lengths : nullptr;
  if (kept != nullptr) {
    check(compact({.k = k.data,
                   .v = v.data,
                   .k_token_stride = k.token_stride,
                   .v_token_stride = v.token_stride,
                   .kept = kept->bits(),
                   .num_tokens = static_cast<std::int32_t>(k.num_tokens),
                   .num_kv_heads = k.num_heads,
                   .head_dim = k.head_dim,
                   .out_k = out_k,
                   .out_v = out_v,
                   .base = base_there,
                   .past = past_rows},
                  staging.stream()),
          "gathering kept tokens");
  }
  return {.k = out_k, .v = out_v, .base = base_there, .past = past_rows, .num_rows = total};
}

template <class T>
cudaError_t launch(const PrefillArgs& args, KernelFamily kernels, cudaStream_t stream) {
  if (kernels == KernelFamily::kSm90 && args.head_dim == 64) return sm90::prefill<64, T>(args, stream);
  if (kernels == KernelFamily::kSm90 && args.head_dim == 128) return sm90::prefill<128, T>(args, stream);
  return sm80::prefill<T>(args, stream);
}

}  // namespace

void prefill_attention(Device& device, const PrefillParams& params, KernelFamily kernels) {
  if (params.k.num_tokens == 0) return;
  Staging staging(device);
  const TensorView q = staging.input("q", params.q), k = staging.input("k", params.k), v = staging.input("v", params.v);
  const MutableTensorView out = staging.output("out", params.out, q.dtype);
  const PagedPast past = paged(staging, params.past);
  const auto tokens = static_cast<std::int32_t>(k.num_tokens);
  std::shared_ptr<const DeviceKept> kept;
  if (params.kept != nullptr) kept = kept_on_gpu(staging, *params.kept, past.pool != nullptr ? 0 : params.sinks);
  const PrefillArgs args{.q = q.data,
                         .k = k.data,
                         .v = v.data,
                         .out = out.data,
                         .lse = staging.output("lse", params.lse),
                         .kept = kept != nullptr ? kept->bits() : KeptBits{},
                         .rows = compact_rows(staging, past, kept.get(), k, v),
                         .q_token_stride = q.token_stride,
                         .k_token_stride = k.token_stride,
                         .v_token_stride = v.token_stride,
                         .out_token_stride = out.token_stride,
                         .query_begin = tokens - static_cast<std::int32_t>(q.num_tokens),
                         .num_tokens = tokens,
                         .num_heads = q.num_heads,
                         .num_kv_heads = k.num_heads,
                         .head_dim = k.head_dim,
                         .window = kept != nullptr ? std::min(params.window, tokens) : tokens,
                         .scale = resolve_scale(params.scale, k.head_dim)};
  check(k.dtype == DType::kBF16 ? launch<__nv_bfloat16>(args, kernels, staging.stream())
                                : launch<__half>(args, kernels, staging.stream()),
        "computing attention");
  staging.finish();
}

}  // namespace tca::cuda
