#include <cuda_bf16.h>
#include <cuda_fp16.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <memory>

#include "core/validate_params.h"
#include "cuda/backend/operations.h"
#include "cuda/backend/sparsity.h"
#include "cuda/backend/staging.h"
#include "cuda/smxx/select/choose.h"
#include "cuda/smxx/select/choose_tokens.h"
#include "cuda/smxx/select/probe.h"

namespace tca::cuda {
namespace {

/// The attention that all probe rows together, or one of them at most, gave to each key of the segment: [Hk, L] on the
/// GPU.
const float* probe_mass(Staging& staging, const ProbeParams& params) {
  const TensorView q = staging.input("q", params.q), k = staging.input("k", params.k);
  const PagedPast past = paged(staging, params.past);
  const std::int32_t rows = static_cast<std::int32_t>(q.num_tokens) * (q.num_heads / k.num_heads);
  ProbeArgs args{.q = q.data,
                 .q_token_stride = q.token_stride,
                 .segment = segment_keys(k),
                 .past = past_rows(staging, past, k.head_dim, false).k,
                 .num_probes = static_cast<std::int32_t>(q.num_tokens),
                 .num_heads = q.num_heads,
                 .num_kv_heads = k.num_heads,
                 .head_dim = k.head_dim,
                 .scale = resolve_scale(params.scale, k.head_dim),
                 .partial = nullptr,
                 .lse = staging.allocate_array<float>(std::int64_t{k.num_heads} * rows),
                 .raw = staging.allocate_array<float>(k.num_heads * k.num_tokens),
                 .probes_follow = params.probes_follow,
                 .maximum = params.reduce == ProbeReduce::kMax};
  args.partial = staging.allocate_array<float>(probe_partial_floats(args));
  check(k.dtype == DType::kBF16 ? probe<__nv_bfloat16>(args, staging.stream()) : probe<__half>(args, staging.stream()),
        "scoring keys");
  return args.raw;
}

/// What pooling needs; scores are in `scores` after choose().
ChooseArgs scoring(Staging& staging, const ProbeParams& params, const float* raw) {
  const std::int64_t heads = params.k.num_heads, tokens = params.k.num_tokens;
  ChooseArgs args{};
  args.raw = raw;
  args.num_kv_heads = static_cast<std::int32_t>(heads);
  args.num_tokens = static_cast<std::int32_t>(tokens);
  args.pool_width = static_cast<std::int32_t>(std::min<std::int64_t>(params.pool_width, 2 * tokens + 1));
  const bool sum = params.reduce == ProbeReduce::kMean;
  args.num_rows = sum ? static_cast<std::int32_t>(params.q.num_tokens * (params.q.num_heads / heads)) : 1;
  args.scores = staging.allocate_array<float>(heads * tokens);
  args.totals = staging.allocate_array<float>(heads * ((tokens + 255) / 256 + 1));
  return args;
}

/// ChooseArgs::levels: where the ranks begin that keep block_size, block_size / 2, and so on.
std::vector<std::int32_t> rank_levels(std::span<const BlockShares> shares, std::int64_t num_blocks) {
  std::vector<std::int32_t> levels;
  for (const BlockShares& head : shares) {
    double cumulative = 0;
    levels.push_back(0);
    for (std::size_t i = head.share.size() - 1; i >= 1; --i) {  // share[i] of the blocks keep 2^(i - 1)
      cumulative += head.share[i];
      const double boundary = std::floor(cumulative * static_cast<double>(num_blocks) + 0.5);
      const auto end = static_cast<std::int32_t>(std::min(boundary, static_cast<double>(num_blocks)));
      levels.push_back(std::max(levels.back(), end));
    }
  }
  return levels;
}

/// Bounds of what each head keeps, before anybody has chosen.
void set_bounds(DeviceKept& kept, std::span<const std::int32_t> levels, const SelectParams& params,
                std::int64_t num_blocks) {
  const std::int64_t tokens = params.k.num_tokens;
  const std::size_t of_head = levels.size() / static_cast<std::size_t>(params.k.num_heads);
  for (; !levels.empty(); levels = levels.subspan(of_head)) {
    std::int64_t most = kept.sinks;
    for (std::size_t i = 1; i < of_head; ++i) {
      most += std::int64_t{levels[i] - levels[i - 1]} * (params.rule.block_size >> (i - 1));
    }
    kept.most.push_back(std::min(most, tokens));
    kept.everything.push_back(levels[1] == num_blocks);  // the first level's blocks keep all of their tokens
  }
}

/// Steps 2 to 4 by blocks.
void choose_by_blocks(Staging& staging, ChooseArgs args, const SelectParams& params, DeviceKept& kept) {
  const std::int64_t heads = args.num_kv_heads;
  const std::int64_t blocks = (params.k.num_tokens + params.rule.block_size - 1) / params.rule.block_size;
  const std::vector<std::int32_t> levels = rank_levels(params.shares, blocks);
  set_bounds(kept, levels, params, blocks);
  args.levels = staging.upload(levels);
  args.block_size = params.rule.block_size;
  args.num_levels = std::bit_width(static_cast<unsigned>(params.rule.block_size));
  args.simpson = params.rule.order == BlockOrder::kSimpson;
  args.keys = staging.allocate_array<double>(2 * heads * blocks);
  args.blocks = staging.allocate_array<std::int32_t>(2 * heads * blocks);
  args.block_keeps = staging.allocate_array<std::int32_t>(heads * blocks);
  args.segments = staging.allocate_array<std::int32_t>(heads + 1);
  args.sort_workspace_bytes = choose_sort_workspace_bytes(args.num_kv_heads, static_cast<std::int32_t>(blocks));
  args.sort_workspace = staging.allocate(args.sort_workspace_bytes);
  args.bits = kept.mutable_bits();
  args.prefix = kept.mutable_prefix();
  args.order = kept.mutable_order();
  check(choose(args, false, staging.stream()), "choosing tokens");
}

/// BlockOrder::kTokens.
void choose_by_tokens(Staging& staging, const ChooseArgs& scored, const SelectParams& params, DeviceKept& kept) {
  const std::int64_t tokens = params.k.num_tokens;
  std::vector<std::int32_t> ends, counts;
  for (std::size_t h = 0; h < params.shares.size(); ++h) {
    const std::int64_t window = params.windows.empty() ? 0 : params.windows[h];
    const std::int64_t end = std::max(kept.sinks, tokens - window), others = end - kept.sinks;
    const auto size = static_cast<double>(others);
    ends.push_back(static_cast<std::int32_t>(end));
    counts.push_back(static_cast<std::int32_t>(std::min(size, std::floor(params.shares[h].kept_share() * size + 0.5))));
    kept.most.push_back(tokens - others + counts.back());
    kept.everything.push_back(counts.back() == others);
  }
  check(choose(scored, true, staging.stream()), "scoring keys");
  check(choose_tokens({.scores = scored.scores,
                       .ends = staging.upload(ends),
                       .counts = staging.upload(counts),
                       .num_kv_heads = scored.num_kv_heads,
                       .num_tokens = scored.num_tokens,
                       .sinks = scored.sinks,
                       .last = staging.allocate_array<std::int32_t>(2 * std::int64_t{scored.num_kv_heads}),
                       .bits = kept.mutable_bits(),
                       .prefix = kept.mutable_prefix(),
                       .order = kept.mutable_order()},
                      staging.stream()),
        "choosing tokens");
}

}  // namespace

void probe_scores(Device& device, const ProbeParams& params, std::span<float> out) {
  if (params.k.num_tokens == 0) return;
  Staging staging(device);
  const ChooseArgs args = scoring(staging, params, probe_mass(staging, params));
  check(choose(args, true, staging.stream()), "scoring keys");
  check(cudaMemcpyAsync(out.data(), args.scores, out.size_bytes(), cudaMemcpyDeviceToHost, staging.stream()),
        "copying a result");
  staging.device().synchronize();
}

KeptSet select(Device& device, const SelectParams& params) {
  const std::int64_t heads = params.k.num_heads, tokens = params.k.num_tokens;
  if (tokens == 0) return {0, std::vector<std::int64_t>(static_cast<std::size_t>(heads) + 1), {}};
  Staging staging(device);
  const ProbeParams probe{.q = params.q,
                          .k = params.k,
                          .past = params.past,
                          .pool_width = params.rule.pool_width,
                          .scale = params.scale,
                          .probes_follow = params.probes_follow,
                          .reduce = params.reduce};
  ChooseArgs args = scoring(staging, probe, probe_mass(staging, probe));
  args.sinks = past_tokens(params.past) > 0 ? 0 : params.rule.sinks;
  const auto kept = std::make_shared<DeviceKept>(device, params.k.num_heads, tokens);
  kept->sinks = std::min<std::int64_t>(args.sinks, tokens);
  if (params.rule.order == BlockOrder::kTokens) {
    choose_by_tokens(staging, args, params, *kept);
  } else {
    choose_by_blocks(staging, args, params, *kept);
  }
  kept->send_to_host();
  staging.finish();
  return KeptSetAccess::make(tokens, params.k.num_heads, kept);
}

}  // namespace tca::cuda
