#include <algorithm>
#include <array>
#include <deque>
#include <vector>

#include "core/half.h"
#include "core/validate_params.h"
#include "cpu/attend_rows.h"
#include "cpu/attention_state.h"
#include "cpu/operations.h"
#include "cpu/split.h"

namespace tca::cpu {
namespace {

// Pages of an item: 512 keys, in bf16 with head_dim 64 128 KiB to read, some 5 us of one core's bandwidth. Small enough
// to balance ragged heads, large against the few kilobytes of a partial result.
constexpr std::int32_t kSplitPages = 8;

/// The few rows of one KV head of one sequence.
struct HeadJob {
  const DecodeParams* params = nullptr;
  std::int32_t kv_head = 0;
  std::int32_t group = 1;
  std::int32_t rows = 0;  // tokens x group
  std::int32_t pages = 0;
  std::int32_t splits = 0;
  std::int64_t first_position = 0;
  float scale = 0;
  std::size_t first_item = 0;
  std::size_t state_offset = 0;  // floats; a split's state: max[8], sum[8], out[rows][head_dim]
  std::size_t state_floats() const {
    return 2 * kMaxFewRows + static_cast<std::size_t>(rows) * static_cast<std::size_t>(params->q.head_dim);
  }
};

/// Attends to the pages of one split; state is written whole.
void attend_split(const RowKernels& kernels, const HeadJob& job, std::int32_t split, float* state) {
  const DecodeParams& p = *job.params;
  const std::int32_t head_dim = p.q.head_dim;
  alignas(kAlignment) std::array<std::byte, kMaxFewRows * kMaxHeadDim * sizeof(float)> queries;
  const std::size_t query_bytes = kernels.query_bytes(head_dim);
  for (std::int32_t r = 0; r < job.rows; ++r) {
    kernels.pack_query(p.q.row(r / job.group, job.kv_head * job.group + r % job.group), p.q.dtype, head_dim,
                       queries.data() + static_cast<std::size_t>(r) * query_bytes);
  }
  float* const max = state;
  float* const sum = state + kMaxFewRows;
  float* const out = state + 2 * kMaxFewRows;
  std::fill_n(max, kMaxFewRows, kNegativeInfinity);
  std::fill_n(sum, kMaxFewRows, 0.0f);
  std::fill_n(out, job.rows * head_dim, 0.0f);
  const std::int32_t end = std::min(job.pages, (split + 1) * kSplitPages);
  KvPageView next = p.cache->page(p.layer, job.kv_head, split * kSplitPages);
  for (std::int32_t i = split * kSplitPages; i < end; ++i) {
    const KvPageView page = next;
    if (i + 1 < job.pages) next = p.cache->page(p.layer, job.kv_head, i + 1);
    std::array<std::int32_t, kMaxFewRows> visible;
    for (std::int32_t r = 0; r < job.rows; ++r) {
      const auto position = static_cast<std::int32_t>(job.first_position + r / job.group);
      // Only the last pages hold tokens after a query.
      const std::int32_t* const last = page.positions + page.count;
      const bool all = last[-1] <= position;
      visible[static_cast<std::size_t>(r)] =
          all ? page.count
              : static_cast<std::int32_t>(std::upper_bound(page.positions, last, position) - page.positions);
    }
    kernels.attend_page(queries.data(), job.rows, head_dim, page, next, p.q.dtype, visible.data(), job.scale * kLog2E,
                        max, sum, out);
  }
}

/// Merges a head's splits in their order and writes out and lse.
void merge_splits(const HeadJob& job, const float* states) {
  const DecodeParams& p = *job.params;
  const std::int32_t head_dim = p.q.head_dim;
  const std::size_t stride = job.state_floats();
  alignas(kAlignment) std::array<float, kMaxHeadDim> out;
  for (std::int32_t r = 0; r < job.rows; ++r) {
    float max = kNegativeInfinity, sum = 0;
    for (std::int32_t s = 0; s < job.splits; ++s) max = std::max(max, states[s * stride + r]);
    std::fill_n(out.begin(), head_dim, 0.0f);
    for (std::int32_t s = 0; s < job.splits; ++s) {
      const float* const state = states + s * stride;
      const float weight = part_weight(state[r], max, job.scale);
      sum += state[kMaxFewRows + r] * weight;
      const float* const part = state + 2 * kMaxFewRows + r * head_dim;
      for (std::int32_t c = 0; c < head_dim; ++c) out[static_cast<std::size_t>(c)] += part[c] * weight;
    }
    const float factor = normaliser(sum);
    for (std::int32_t c = 0; c < head_dim; ++c) out[static_cast<std::size_t>(c)] *= factor;
    const std::int32_t token = r / job.group, query_head = job.kv_head * job.group + r % job.group;
    convert_row(out.data(), p.out.row(token, query_head), p.out.dtype, head_dim);
    if (!p.lse.empty()) {
      p.lse[static_cast<std::size_t>(token * p.q.num_heads + query_head)] = log_sum_exp(max, sum, job.scale);
    }
  }
}

void add_head_jobs(const DecodeParams& p, std::vector<HeadJob>& jobs) {
  const std::int32_t heads = p.cache->shape().num_kv_heads;
  for (std::int32_t h = 0; h < heads; ++h) {
    HeadJob job{.params = &p, .kv_head = h, .group = p.q.num_heads / heads};
    job.rows = static_cast<std::int32_t>(p.q.num_tokens) * job.group;
    job.pages = p.cache->num_pages(p.layer, h);
    job.splits = static_cast<std::int32_t>(divide_up(job.pages, kSplitPages));
    job.first_position = p.cache->num_tokens(p.layer) - p.q.num_tokens;
    job.scale = resolve_scale(p.scale, p.q.head_dim);
    jobs.push_back(job);
  }
}

void attend_few_rows(const KernelSet& kernels, ThreadPool& pool, std::vector<HeadJob>& jobs) {
  struct Item {
    std::size_t job;
    std::int32_t split;
  };
  std::vector<Item> items;
  std::deque<PartsLeft> parts_left;
  std::size_t state_floats = 0;
  for (std::size_t j = 0; j < jobs.size(); ++j) {
    HeadJob& job = jobs[j];
    job.state_offset = state_floats;
    state_floats += job.state_floats() * static_cast<std::size_t>(job.splits);
    parts_left.emplace_back(job.splits);
    for (std::int32_t s = 0; s < job.splits; ++s) items.push_back({j, s});
    if (job.splits == 0) merge_splits(job, nullptr);  // an empty head: zeros
  }
  const AlignedBuffer states(state_floats * sizeof(float));
  pool.parallel_for(static_cast<std::int64_t>(items.size()), [&](std::int64_t i, int) {
    const Item item = items[static_cast<std::size_t>(i)];
    const HeadJob& job = jobs[item.job];
    float* const head_states = states.as<float>() + job.state_offset;
    attend_split(kernels.rows_for(job.params->q.dtype), job, item.split,
                 head_states + static_cast<std::size_t>(item.split) * job.state_floats());
    if (parts_left[item.job].finish_one()) merge_splits(job, head_states);
  });
}

/// The same for more rows than RowKernels take: tiles of rows through tiles of keys.
void add_rows_jobs(const DecodeParams& p, std::vector<RowsJob>& jobs) {
  const std::int32_t heads = p.cache->shape().num_kv_heads, group = p.q.num_heads / heads;
  for (std::int32_t h = 0; h < heads; ++h) {
    RowsJob job;
    job.rows.q = &p.q;
    job.rows.kv_head = h;
    job.rows.group = group;
    job.rows.first_position = p.cache->num_tokens(p.layer) - p.q.num_tokens;
    job.num_rows = p.q.num_tokens * group;
    job.num_heads = heads;
    job.keys = [&p, h](std::int32_t, std::int32_t) {
      KeyPlan plan;
      plan.add_slots(*p.cache, p.layer, h, 0, p.cache->length(p.layer, h), false, {.reach = kNoReachLimit, .lag = 0});
      return plan;
    };
    job.scale = resolve_scale(p.scale, p.q.head_dim);
    job.out = p.out;
    job.lse = p.lse;
    jobs.push_back(std::move(job));
  }
}

}  // namespace

void decode_attention(const KernelSet& kernels, ThreadPool& pool, std::span<const DecodeParams> batch) {
  std::vector<HeadJob> few;
  std::vector<RowsJob> many;
  for (const DecodeParams& p : batch) {
    if (p.q.num_tokens * (p.q.num_heads / p.cache->shape().num_kv_heads) <= kMaxFewRows) {
      add_head_jobs(p, few);
    } else {
      add_rows_jobs(p, many);
    }
  }
  attend_few_rows(kernels, pool, few);
  attend_rows(kernels, pool, many);
}

}  // namespace tca::cpu
