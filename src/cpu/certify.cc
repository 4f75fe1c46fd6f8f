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

/// Log of the softmax denominators of the sampled rows over the keys of a plan: [R, Hq].
template <class Keys>
std::vector<float> denominators(const KernelSet& kernels, ThreadPool& pool, const CertifyParams& params,
                                const Keys& keys) {
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
    job.lse = lse;
    jobs.push_back(std::move(job));
  }
  attend_rows(kernels, pool, jobs);
  return lse;
}

/// Dense attention mass outside the visible tokens, as a sum of its own: 1 - visible would lose what is small.
std::vector<float> dropped_masses(const KernelSet& kernels, ThreadPool& pool, const CertifyParams& params) {
  const auto dense = [&](std::int32_t h, std::int32_t last) {
    KeyPlan plan;
    add_past(params.past, h, plan);
    plan.add_range({&params.k, nullptr, h}, 0, last + 1, {.reach = kNoReachLimit, .lag = 0});
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
  const std::vector<float> all = denominators(kernels, pool, params, dense);
  std::vector<float> masses = denominators(kernels, pool, params, dropped);
  for (std::size_t i = 0; i < masses.size(); ++i) masses[i] = std::min(1.0f, std::exp(masses[i] - all[i]));
  return masses;
}

/// max_j ||v_j|| of every KV head.
std::vector<double> value_norms(const KernelSet& kernels, ThreadPool& pool, const TensorView& v) {
  constexpr std::int64_t kChunk = 4096;
  const std::int64_t chunks = divide_up(v.num_tokens, kChunk);
  std::vector<float> squared(static_cast<std::size_t>(v.num_heads * chunks), 0.0f);
  pool.parallel_for(v.num_heads * chunks, [&](std::int64_t i, int) {
    const std::int64_t head = i / chunks, first = i % chunks * kChunk;
    float& largest = squared[static_cast<std::size_t>(i)];
    for (std::int64_t j = first; j < std::min(v.num_tokens, first + kChunk); ++j) {
      largest = std::max(largest, kernels.rows->squared_norm(v.row(j, head), v.dtype, v.head_dim));
    }
  });
  std::vector<double> norms;
  for (std::int64_t head = 0; head < v.num_heads; ++head) {
    const auto first = squared.begin() + head * chunks;
    norms.push_back(std::sqrt(static_cast<double>(*std::max_element(first, first + chunks))));
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
  const std::vector<float> masses = dropped_masses(kernels, pool, params);
  if (!deltas.empty()) std::copy(masses.begin(), masses.end(), deltas.begin());
  return certificates_of(masses, params.q.num_heads, value_norms(kernels, pool, params.v));
}

}  // namespace tca::cpu
