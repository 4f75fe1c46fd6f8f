#include <vector>

#include "core/validate_params.h"
#include "cpu/attend_rows.h"
#include "cpu/operations.h"

namespace tca::cpu {
namespace {

void add_jobs(const PrefillParams& p, std::vector<RowsJob>& jobs) {
  // A past that has seen nothing is no past.
  const bool has_past = past_tokens(p.past) > 0;
  const std::int32_t heads = p.k.num_heads, group = p.q.num_heads / heads;
  for (std::int32_t h = 0; h < heads; ++h) {
    RowsJob job;
    job.rows.q = &p.q;
    job.rows.kv_head = h;
    job.rows.group = group;
    job.rows.first_position = p.k.num_tokens - p.q.num_tokens;
    job.num_rows = p.q.num_tokens * group;
    job.num_heads = heads;
    job.keys = [&p, h, has_past](std::int32_t first, std::int32_t last) {
      KeyPlan plan;
      if (has_past) add_past(p.past, h, plan);
      add_segment({&p.k, &p.v, h}, p.kept, p.window, has_past ? 0 : p.sinks, first, last, plan);
      return plan;
    };
    job.scale = resolve_scale(p.scale, p.q.head_dim);
    job.out = p.out;
    job.lse = p.lse;
    job.cancel = p.cancel;
    jobs.push_back(std::move(job));
  }
}

}  // namespace

void prefill_attention(const KernelSet& kernels, ThreadPool& pool, std::span<const PrefillParams> batch) {
  std::vector<RowsJob> jobs;
  for (const PrefillParams& p : batch) add_jobs(p, jobs);
  attend_rows(kernels, pool, jobs);
}

}  // namespace tca::cpu
