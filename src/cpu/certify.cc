#include <algorithm>
#include <cmath>
#include <vector>

#include "core/certificates.h"
#include "core/validate_params.h"
#include "cpu/attend_rows.h"
#include "cpu/operations.h"
#include "cpu/split.h"

namespace tca::cpu {
namespace {

/// Segment tokens that a head neither keeps nor has as sinks: what rows lose of them is what lies before their window.
std::vector<std::int32_t> unkept_tokens(const CertifyParams& params, std::int32_t kv_head, std::int32_t sinks) {
  std::vector<std::int32_t> unkept;
  const std::span<const std::int32_t> kept = params.kept->head(kv_head);
  auto next = kept.begin();
  for (std::int32_t j = 0; j < params.k.num_tokens; ++j) {
    if (next != kept.end() && *next == j) {
      ++next;
    } else if (j >= sinks) {
      unkept.push_back(j);
    }
  }
  return unkept;
}

/// Log of the softmax denominators of the sampled rows over the keys of a plan: [R, Hq]. Their outputs too where `out`
/// has data; the plan then has values.
template <class Keys>
std::vector<float> denominators(const KernelSet& kernels, ThreadPool& pool, const CertifyParams& params,
                                const Keys& keys, const MutableTensorView& out = {}) {
  std::vector<float> lse(static_cast<std::size_t>(params.q.num_tokens * params.q.num_heads));
  std::vector<RowsJob> jobs;
  for (std::int32_t h = 0; h < params.k.num_heads; ++h) {
    RowsJob job;
    job.rows.q = &params.q;
    job.rows.kv_head = h;
    job.rows.group = params.q.num_heads / params.k.num_heads;
    job.rows.token_positions = params.rows;
    job.num_rows = params.q.num_tokens * job.rows.group;
    job.num_heads = params.k.num_heads;
    job.keys = [&keys, h](std::int32_t, std::int32_t last) { return keys(h, last); };
    job.scale = resolve_scale(params.scale, params.q.head_dim);
    job.out = out;
    job.lse = lse;
    jobs.push_back(std::move(job));
  }
  attend_rows(kernels, pool, jobs);
  return lse;
}

/// ||o|| of every row and query head of out.
std::vector<float> row_norms(const KernelSet& kernels, const TensorView& out) {
  std::vector<float> norms;
  for (std::int64_t row = 0; row < out.num_tokens; ++row) {
    for (std::int32_t head = 0; head < out.num_heads; ++head) {
      norms.push_back(std::sqrt(kernels.rows->squared_norm(out.row(row, head), out.dtype, out.head_dim)));
    }
  }
  return norms;
}

/// Dense outputs of the sampled rows, and their mass outside the visible tokens, as a sum of its own: 1 - visible would
/// lose what is small.
Measured measure_rows(const KernelSet& kernels, ThreadPool& pool, const CertifyParams& params) {
  const auto dense = [&](std::int32_t h, std::int32_t last) {
    KeyPlan plan;
    add_past(params.past, h, plan);
    plan.add_range({&params.k, &params.v, h}, 0, last + 1, {.reach = kNoReachLimit, .lag = 0});
    return plan;
  };
  const std::int32_t sinks = past_tokens(params.past) > 0 ? 0 : params.sinks;
  std::vector<std::vector<std::int32_t>> unkept(static_cast<std::size_t>(params.k.num_heads));
  pool.parallel_for(params.k.num_heads, [&](std::int64_t h, int) {
    unkept[static_cast<std::size_t>(h)] = unkept_tokens(params, static_cast<std::int32_t>(h), sinks);
  });
  const auto dropped = [&](std::int32_t h, std::int32_t last) {
    const std::vector<std::int32_t>& tokens = unkept[static_cast<std::size_t>(h)];
    const auto end = std::upper_bound(tokens.begin(), tokens.end(), last - params.window);
    KeyPlan plan;
    plan.add_positions({&params.k, nullptr, h}, {tokens.begin(), end}, {.reach = kNoReachLimit, .lag = params.window});
    return plan;
  };
  const TensorView& q = params.q;
  std::vector<float> memory(static_cast<std::size_t>(q.num_tokens * q.num_heads * q.head_dim));
  const MutableTensorView out = contiguous(memory.data(), DType::kF32, q.num_tokens, q.num_heads, q.head_dim);
  const std::vector<float> all = denominators(kernels, pool, params, dense, out);
  Measured measured;
  measured.output_norms = row_norms(kernels, out);
  measured.deltas = denominators(kernels, pool, params, dropped);
  for (std::size_t i = 0; i < all.size(); ++i) {
    measured.deltas[i] = std::min(1.0f, std::exp(measured.deltas[i] - all[i]));
  }
  return measured;
}

/// Largest ||v||^2 of the values [first, last) of what a head sees: slots of the past, then tokens of the segment.
float largest_squared_norm(const KernelSet& kernels, const CertifyParams& params, std::int32_t head, std::int64_t held,
                           std::int64_t first, std::int64_t last) {
  const TensorView& v = params.v;
  const std::size_t row_bytes = static_cast<std::size_t>(v.head_dim) * dtype_size(v.dtype);
  float largest = 0;
  for (std::int64_t slot = first; slot < std::min(last, held);) {
    const KvPageView page =
        params.past.cache->page(params.past.layer, head, static_cast<std::int32_t>(slot / kPageTokens));
    const auto* row = static_cast<const std::byte*>(page.v);
    for (std::int32_t i = 0; i < page.count; ++i, ++slot, row += row_bytes) {
      largest = std::max(largest, kernels.rows->squared_norm(row, v.dtype, v.head_dim));
    }
  }
  for (std::int64_t j = std::max(first, held) - held; j < last - held; ++j) {
    largest = std::max(largest, kernels.rows->squared_norm(v.row(j, head), v.dtype, v.head_dim));
  }
  return largest;
}

/// max ||v_j||^2 of every KV head, over the past and the segment: what rows see of the past is in their outputs.
std::vector<float> squared_value_norms(const KernelSet& kernels, ThreadPool& pool, const CertifyParams& params) {
  constexpr std::int64_t kChunk = 64 * kPageTokens;  // chunks begin with a page
  const std::int32_t heads = params.v.num_heads;
  std::vector<std::int64_t> held(static_cast<std::size_t>(heads), 0);
  for (std::int32_t h = 0; h < heads && params.past.cache != nullptr; ++h) {
    held[static_cast<std::size_t>(h)] = params.past.cache->length(params.past.layer, h);
  }
  const std::int64_t most = *std::max_element(held.begin(), held.end()) + params.v.num_tokens;
  const std::int64_t chunks = divide_up(most, kChunk);
  std::vector<float> squared(static_cast<std::size_t>(heads * chunks), 0.0f);
  pool.parallel_for(heads * chunks, [&](std::int64_t i, int) {
    const auto head = static_cast<std::int32_t>(i / chunks);
    const std::int64_t past = held[static_cast<std::size_t>(head)], first = i % chunks * kChunk;
    const std::int64_t last = std::min(first + kChunk, past + params.v.num_tokens);
    squared[static_cast<std::size_t>(i)] = largest_squared_norm(kernels, params, head, past, first, last);
  });
  std::vector<float> norms;
  for (std::int64_t head = 0; head < heads; ++head) {
    const auto first = squared.begin() + head * chunks;
    norms.push_back(*std::max_element(first, first + chunks));
  }
  return norms;
}

}  // namespace

std::vector<HeadCertificate> certify(const KernelSet& kernels, ThreadPool& pool, const CertifyParams& params,
                                     std::span<float> deltas) {
  std::fill(deltas.begin(), deltas.end(), 0.0f);
  // Nothing sampled, or nothing dropped.
  if (params.q.num_tokens == 0 || params.kept == nullptr) {
    return std::vector<HeadCertificate>(static_cast<std::size_t>(params.k.num_heads));
  }
  Measured measured = measure_rows(kernels, pool, params);
  if (!deltas.empty()) std::copy(measured.deltas.begin(), measured.deltas.end(), deltas.begin());
  measured.squared_value_norms = squared_value_norms(kernels, pool, params);
  return certificates_of(measured, params.q.num_heads);
}

}  // namespace tca::cpu
