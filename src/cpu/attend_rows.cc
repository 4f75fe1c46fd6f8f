#include "cpu/attend_rows.h"

#include <algorithm>
#include <deque>

#include "cpu/split.h"

namespace tca::cpu {
namespace {

/// A query tile of a job, whose keys are taken in `parts` parts.
struct QueryTile {
  const RowsJob* job = nullptr;
  QueryRows rows;
  KeyPlan plan;
  std::int32_t parts = 1;
  std::size_t state_offset = 0, state_stride = 0;  // floats; only with several parts
};

struct Item {
  std::size_t tile = 0;
  std::int32_t part = 0;
  std::int64_t cost = 0;
};

struct Schedule {
  std::vector<QueryTile> tiles;
  std::vector<Item> items;
  std::size_t state_floats = 0;
};

bool wants_values(const RowsJob& job) { return job.out.data != nullptr; }

KeyPlan plan_keys(const RowsJob& job, const QueryRows& rows) {
  std::int32_t first = rows.position(0), last = rows.position(rows.count - 1);
  if (!rows.token_positions.empty()) {  // in any order
    for (std::int32_t row = 0; row < rows.count; ++row) {
      first = std::min(first, rows.position(row));
      last = std::max(last, rows.position(row));
    }
  }
  return job.keys(first, last);
}

void add_job(const TileKernels& kernels, const RowsJob& job, Schedule& schedule) {
  const std::int32_t tile_rows = query_tile_rows(kernels, job.num_rows, job.rows.q->head_dim);
  const std::int64_t num_tiles = divide_up(job.num_rows, tile_rows);
  for (std::int64_t t = 0; t < num_tiles; ++t) {
    QueryTile tile;
    tile.job = &job;
    tile.rows = job.rows;
    tile.rows.first = t * tile_rows;
    tile.rows.count = static_cast<std::int32_t>(std::min<std::int64_t>(tile_rows, job.num_rows - tile.rows.first));
    tile.plan = plan_keys(job, tile.rows);
    tile.parts = key_splits(num_tiles * job.num_heads, tile.plan.num_tiles());
    if (tile.parts > 1) {
      tile.state_offset = schedule.state_floats;
      tile.state_stride =
          TileAttention::state_floats(kernels, job.rows.q->head_dim, tile.rows.count, wants_values(job));
      schedule.state_floats += tile.state_stride * static_cast<std::size_t>(tile.parts);
    }
    const std::int64_t cost = std::int64_t{tile.rows.count} * tile.plan.num_tiles() / tile.parts;
    for (std::int32_t part = 0; part < tile.parts; ++part) {
      schedule.items.push_back({schedule.tiles.size(), part, cost});
    }
    schedule.tiles.push_back(std::move(tile));
  }
}

Schedule make_schedule(const TileKernels& kernels, std::span<const RowsJob* const> jobs) {
  Schedule schedule;
  for (const RowsJob* job : jobs) add_job(kernels, *job, schedule);
  std::stable_sort(schedule.items.begin(), schedule.items.end(),
                   [](const Item& a, const Item& b) { return a.cost > b.cost; });
  return schedule;
}

/// Jobs of one head_dim and dtype.
void attend_alike(const TileKernels& kernels, ThreadPool& pool, std::span<const RowsJob* const> jobs) {
  const Schedule schedule = make_schedule(kernels, jobs);
  const AlignedBuffer states(schedule.state_floats * sizeof(float));
  std::deque<PartsLeft> parts_left;
  for (const QueryTile& tile : schedule.tiles) parts_left.emplace_back(tile.parts);
  std::vector<TileAttention> workers;
  for (int w = 0; w < pool.num_threads(); ++w) workers.emplace_back(kernels, jobs.front()->rows.q->head_dim);

  pool.parallel_for(static_cast<std::int64_t>(schedule.items.size()), [&](std::int64_t i, int w) {
    const Item& item = schedule.items[static_cast<std::size_t>(i)];
    const QueryTile& tile = schedule.tiles[item.tile];
    const RowsJob& job = *tile.job;
    const bool values = wants_values(job);
    TileAttention& worker = workers[static_cast<std::size_t>(w)];
    worker.load(tile.rows);
    const TileRange range = split_tiles(tile.plan.num_tiles(), item.part, tile.parts);
    worker.attend(tile.plan, range, job.scale, values, job.cancel);
    if (tile.parts > 1) {
      float* const state = states.as<float>() + tile.state_offset;
      worker.save_state(values, state + static_cast<std::size_t>(item.part) * tile.state_stride);
      if (!parts_left[item.tile].finish_one()) return;
      worker.merge_states(state, tile.state_stride, tile.parts, values, job.scale);
    }
    if (values) worker.store(job.out);
    if (!job.lse.empty()) worker.store_lse(job.scale, job.lse);
  });
}

}  // namespace

void attend_rows(const KernelSet& kernels, ThreadPool& pool, std::span<const RowsJob> jobs) {
  std::vector<bool> done(jobs.size(), false);
  for (std::size_t first = 0; first < jobs.size(); ++first) {
    const TensorView& q = *jobs[first].rows.q;
    std::vector<const RowsJob*> alike;
    for (std::size_t i = first; i < jobs.size(); ++i) {
      if (done[i] || jobs[i].rows.q->dtype != q.dtype || jobs[i].rows.q->head_dim != q.head_dim) continue;
      done[i] = true;
      if (jobs[i].num_rows > 0) alike.push_back(&jobs[i]);
    }
    if (!alike.empty()) attend_alike(kernels.tiles_for(q.dtype), pool, alike);
  }
}

}  // namespace tca::cpu
