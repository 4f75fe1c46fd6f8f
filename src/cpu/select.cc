#include <algorithm>
#include <vector>

#include "core/validate_params.h"
#include "cpu/attend_rows.h"
#include "cpu/kept_tokens.h"
#include "cpu/operations.h"
#include "cpu/split.h"

namespace tca::cpu {
namespace {

QueryRows probe_rows(const ProbeParams& params, std::int32_t kv_head) {
  QueryRows rows;
  rows.q = &params.q;
  rows.kv_head = kv_head;
  rows.group = params.q.num_heads / params.k.num_heads;
  // Probes that follow see every key: their positions do not matter.
  rows.first_position = params.probes_follow ? 0 : params.k.num_tokens - params.q.num_tokens;
  return rows;
}

/// The segment's keys that probes up to position `last` see.
void add_probed(const ProbeParams& params, std::int32_t kv_head, std::int64_t last, KeyPlan& plan) {
  const SegmentHead head{&params.k, nullptr, kv_head};
  if (params.probes_follow) {
    plan.add_range_for_everyone(head, 0, params.k.num_tokens);
  } else {
    plan.add_range(head, 0, last + 1, {.reach = kNoReachLimit, .lag = 0});
  }
}

/// Softmax denominators of the probes over past and segment: [P, Hq].
std::vector<float> probe_denominators(const KernelSet& kernels, ThreadPool& pool, const ProbeParams& params,
                                      float scale) {
  std::vector<float> lse(static_cast<std::size_t>(params.q.num_tokens * params.q.num_heads));
  std::vector<RowsJob> jobs;
  for (std::int32_t h = 0; h < params.k.num_heads; ++h) {
    RowsJob job;
    job.rows = probe_rows(params, h);
    job.num_rows = params.q.num_tokens * job.rows.group;
    job.num_heads = params.k.num_heads;
    job.keys = [&params, h](std::int32_t /*first*/, std::int32_t last) {
      KeyPlan plan;
      add_past(params.past, h, plan);
      add_probed(params, h, last, plan);
      return plan;
    };
    job.scale = scale;
    job.lse = lse;
    jobs.push_back(std::move(job));
  }
  attend_rows(kernels, pool, jobs);
  return lse;
}

/// One KV head's key range [range.begin, range.end) in tiles of the segment: the probability that all probes together,
/// or one of them at most, gave to each key.
void add_probe_mass(const TileKernels& kernels, TileAttention& worker, const ProbeParams& params, std::int32_t kv_head,
                    const KeyPlan& plan, TileRange range, float scale, std::span<const float> lse, float* out) {
  QueryRows rows = probe_rows(params, kv_head);
  const std::int64_t total = params.q.num_tokens * rows.group;
  const std::int32_t at_once = max_query_rows(kernels, params.q.head_dim);
  for (rows.first = 0; rows.first < total; rows.first += at_once) {
    rows.count = static_cast<std::int32_t>(std::min<std::int64_t>(at_once, total - rows.first));
    worker.load(rows);
    worker.reduce_columns(plan, range, scale, lse,
                          params.reduce == ProbeReduce::kMax ? ColumnReduce::kMax : ColumnReduce::kSum, out);
  }
}

/// Not yet divided by anything: out [Hk][L].
void probe_mass(const KernelSet& kernels, ThreadPool& pool, const ProbeParams& params, std::span<float> out) {
  const float scale = resolve_scale(params.scale, params.q.head_dim);
  const std::vector<float> lse = probe_denominators(kernels, pool, params, scale);
  const std::int64_t tokens = params.k.num_tokens, heads = params.k.num_heads;
  const auto num_tiles = static_cast<std::int32_t>(divide_up(tokens, kTileKeys));
  const std::int32_t parts = key_splits(heads, num_tiles);
  const TileKernels& tiles = kernels.tiles_for(params.q.dtype);
  std::vector<TileAttention> workers;
  for (int w = 0; w < pool.num_threads(); ++w) workers.emplace_back(tiles, params.q.head_dim);
  std::fill(out.begin(), out.end(), 0.0f);
  pool.parallel_for(heads * parts, [&](std::int64_t i, int w) {
    const auto head = static_cast<std::int32_t>(i / parts);
    const TileRange range = split_tiles(num_tiles, static_cast<std::int32_t>(i % parts), parts);
    KeyPlan plan;
    add_probed(params, head, tokens - 1, plan);
    float* const first = out.data() + head * tokens + std::int64_t{range.begin} * kTileKeys;
    add_probe_mass(tiles, workers[static_cast<std::size_t>(w)], params, head, plan, range, scale, lse, first);
  });
}

void finish_scores(const ProbeParams& params, std::span<float> head_scores) {
  max_pool(head_scores, params.pool_width);
  const std::int64_t rows = params.q.num_tokens * (params.q.num_heads / params.k.num_heads);
  normalise(head_scores, params.reduce == ProbeReduce::kMax ? 1 : rows);
}

}  // namespace

void probe_scores(const KernelSet& kernels, ThreadPool& pool, const ProbeParams& params, std::span<float> out) {
  if (params.k.num_tokens == 0) return;
  probe_mass(kernels, pool, params, out);
  const auto tokens = static_cast<std::size_t>(params.k.num_tokens);
  pool.parallel_for(params.k.num_heads, [&](std::int64_t head, int) {
    finish_scores(params, out.subspan(static_cast<std::size_t>(head) * tokens, tokens));
  });
}

KeptSet select(const KernelSet& kernels, ThreadPool& pool, const SelectParams& params) {
  const std::int64_t tokens = params.k.num_tokens;
  const auto heads = static_cast<std::size_t>(params.k.num_heads);
  const ProbeParams probe{.q = params.q,
                          .k = params.k,
                          .past = params.past,
                          .pool_width = params.rule.pool_width,
                          .scale = params.scale,
                          .probes_follow = params.probes_follow,
                          .reduce = params.reduce};
  std::vector<float> scores(heads * static_cast<std::size_t>(tokens));
  if (tokens > 0) probe_mass(kernels, pool, probe, scores);
  const std::int32_t sinks = past_tokens(params.past) > 0 ? 0 : params.rule.sinks;
  std::vector<std::vector<std::int32_t>> positions(heads);
  pool.parallel_for(params.k.num_heads, [&](std::int64_t head, int) {
    const auto h = static_cast<std::size_t>(head);
    const auto size = static_cast<std::size_t>(tokens);
    const std::span<float> head_scores = std::span(scores).subspan(h * size, size);
    if (tokens > 0) finish_scores(probe, head_scores);
    const std::int32_t window = params.windows.empty() ? 0 : params.windows[h];
    positions[h] = params.rule.order == BlockOrder::kTokens
                       ? highest_tokens(head_scores, params.shares[h].kept_share(), sinks, window)
                       : kept_tokens(head_scores, params.shares[h], params.rule, sinks);
  });
  std::vector<std::int64_t> offsets = {0};
  std::vector<std::int32_t> all;
  for (const std::vector<std::int32_t>& head : positions) {
    all.insert(all.end(), head.begin(), head.end());
    offsets.push_back(static_cast<std::int64_t>(all.size()));
  }
  return {tokens, std::move(offsets), std::move(all)};
}

void tail_scores(const KernelSet& kernels, ThreadPool& pool, std::span<const TailScoreParams> batch) {
  // The tail is a few blocks a head: one item each. Shapes may differ, so every item has an engine of its own.
  pool.parallel_for(static_cast<std::int64_t>(batch.size()), [&](std::int64_t i, int) {
    const TailScoreParams& p = batch[static_cast<std::size_t>(i)];
    if (p.count == 0) return;
    QueryRows rows;
    rows.q = &p.q;
    rows.kv_head = p.kv_head;
    rows.group = p.q.num_heads / p.cache->shape().num_kv_heads;
    KeyPlan plan;
    const std::int64_t begin = p.cache->tail_begin(p.layer, p.kv_head);
    plan.add_slots(*p.cache, p.layer, p.kv_head, begin, begin + p.count, true);
    const std::int64_t total = p.q.num_tokens * rows.group;
    const float scale = resolve_scale(p.scale, p.q.head_dim);
    const TileKernels& tiles = kernels.tiles_for(p.q.dtype);
    TileAttention worker(tiles, p.q.head_dim);
    std::fill(p.out.begin(), p.out.end(), 0.0f);
    const std::int32_t at_once = max_query_rows(tiles, p.q.head_dim);
    for (rows.first = 0; rows.first < total; rows.first += at_once) {
      rows.count = static_cast<std::int32_t>(std::min<std::int64_t>(at_once, total - rows.first));
      worker.load(rows);
      worker.reduce_columns(plan, {0, plan.num_tiles()}, scale, p.lse, ColumnReduce::kSum, p.out.data());
    }
    for (float& score : p.out) score /= static_cast<float>(total);
  });
}

}  // namespace tca::cpu
