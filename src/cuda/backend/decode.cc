#include "cuda/smxx/decode/decode.h"

#include <cuda_bf16.h>
#include <cuda_fp16.h>

#include <algorithm>

#include "core/validate_params.h"
#include "cuda/backend/operations.h"
#include "cuda/backend/sparsity.h"
#include "cuda/backend/staging.h"

namespace tca::cuda {
namespace {

/// Whether every head's last slots are the last n tokens, as the kernel takes them to be. A single query sees all that
/// is held anyway.
bool holds_last_tokens(const KvCache& cache, std::int32_t layer, std::int64_t n) {
  if (n == 1) return true;
  const std::int64_t end = cache.num_tokens(layer);
  for (std::int32_t h = 0; h < cache.shape().num_kv_heads; ++h) {
    const std::int64_t length = cache.length(layer, h);
    // Positions ascend, so the first of n slots decides for all of them.
    if (length < n || cache.position(layer, h, length - n) != end - n) return false;
  }
  return true;
}

/// Tokens of every head at positions up to `position`.
std::vector<std::int32_t> visible_counts(const KvCache& cache, std::int32_t layer, std::int64_t position) {
  std::vector<std::int32_t> counts;
  for (std::int32_t h = 0; h < cache.shape().num_kv_heads; ++h) {
    std::int64_t count = cache.length(layer, h);
    while (count > 0 && cache.position(layer, h, count - 1) > position) --count;
    counts.push_back(static_cast<std::int32_t>(count));
  }
  return counts;
}

void launch(Staging& staging, const TensorView& q, const MutableTensorView& out, float* lse, const PagedPast& past,
            const PagedSequence& sequence, float scale, KernelFamily kernels) {
  DecodeArgs args{};
  // The kernels of sm_80 stand for all GPUs below 9.0: their least shared memory with them.
  if (kernels == KernelFamily::kSm80) args.shared_bytes = 99 * 1024;
  args.q = q.data;
  args.out = out.data;
  args.lse = lse;
  args.q_token_stride = q.token_stride;
  args.out_token_stride = out.token_stride;
  args.kv = {.pool = const_cast<void*>(past.pool),
             .sequences = staging.upload(std::span<const PagedSequence>(&sequence, 1)),
             .num_sequences = 1,
             .num_kv_heads = static_cast<std::int32_t>(past.lengths.size()),
             .head_dim = q.head_dim};
  args.num_queries = static_cast<std::int32_t>(q.num_tokens);
  args.num_heads = q.num_heads;
  args.scale = scale;
  check(decode_splits(&args.num_splits), "asking for its size");
  args.partial = staging.allocate_array<float>(decode_partial_floats(args));
  const std::int64_t counters = decode_counters(args);
  args.counters = staging.allocate_array<std::int32_t>(counters);
  const auto bytes = static_cast<std::size_t>(counters) * sizeof(std::int32_t);
  check(cudaMemsetAsync(args.counters, 0, bytes, staging.stream()), "clearing its memory");
  check(
      q.dtype == DType::kBF16 ? decode<__nv_bfloat16>(args, staging.stream()) : decode<__half>(args, staging.stream()),
      "computing attention");
}

}  // namespace

// One launch an item: the kernel divides the bytes of all its sequences over the SMs, so a result would depend on its
// neighbours.
void decode_attention(Device& device, const DecodeParams& params, KernelFamily kernels) {
  Staging staging(device);
  const TensorView q = staging.input("q", params.q);
  const MutableTensorView out = staging.output("out", params.out, q.dtype);
  float* const lse = staging.output("lse", params.lse);
  const PagedPast past = paged(staging, *params.cache, params.layer);
  const float scale = resolve_scale(params.scale, q.head_dim);
  if (holds_last_tokens(*params.cache, params.layer, q.num_tokens)) {
    launch(staging, q, out, lse, past, past.sequence, scale, kernels);
  } else {
    const std::int64_t first = params.cache->num_tokens(params.layer) - q.num_tokens;
    for (std::int64_t i = 0; i < q.num_tokens; ++i) {
      PagedSequence visible = past.sequence;
      visible.lengths = staging.upload(visible_counts(*params.cache, params.layer, first + i));
      launch(staging, q.tokens(i, 1), out.tokens(i, 1), lse == nullptr ? nullptr : lse + i * q.num_heads, past, visible,
             scale, kernels);
    }
  }
  staging.finish();
}

}  // namespace tca::cuda
