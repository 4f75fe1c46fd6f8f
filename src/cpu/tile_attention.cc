#include "cpu/tile_attention.h"

#include <algorithm>
#include <array>
#include <cstring>

#include "core/check.h"
#include "cpu/attention_state.h"

namespace tca::cpu {
namespace {

// The most rows a block has on any target: what arrays on the stack hold.
constexpr std::int32_t kMaxBlockRows = 48;

}  // namespace

TileAttention::TileAttention(const TileKernels& kernels, std::int32_t head_dim)
    : kernels_(&kernels),
      head_dim_(head_dim),
      query_bytes_(AlignedBuffer::round_up(kernels.query_block_bytes(head_dim))),
      out_floats_(static_cast<std::size_t>(head_dim) * kernels.block_rows) {
  const auto rows = static_cast<std::size_t>(kernels.block_rows);
  const std::size_t blocks = static_cast<std::size_t>(max_query_rows(head_dim)) / rows;
  std::size_t bytes = 0;
  const auto reserve = [&](std::size_t size) {
    const std::size_t offset = bytes;
    bytes += AlignedBuffer::round_up(size);
    return offset;
  };
  const std::size_t row_bytes = rows * sizeof(float);
  const std::size_t queries = reserve(blocks * query_bytes_), keys = reserve(kernels.key_tile_bytes),
                    values = reserve(kernels.key_tile_bytes), out = reserve(blocks * out_floats_ * sizeof(float)),
                    scores = reserve(kTileKeys * row_bytes), max = reserve(blocks * row_bytes),
                    sum = reserve(blocks * row_bytes), tile_max = reserve(row_bytes), factors = reserve(row_bytes),
                    positions = reserve(blocks * row_bytes), bounds = reserve(2 * blocks * sizeof(std::int32_t));
  memory_ = AlignedBuffer(bytes);
  std::byte* const base = memory_.data();
  queries_ = base + queries;
  keys_ = base + keys;
  values_ = base + values;
  out_ = reinterpret_cast<float*>(base + out);
  scores_ = reinterpret_cast<float*>(base + scores);
  max_ = reinterpret_cast<float*>(base + max);
  sum_ = reinterpret_cast<float*>(base + sum);
  tile_max_ = reinterpret_cast<float*>(base + tile_max);
  factors_ = reinterpret_cast<float*>(base + factors);
  positions_ = reinterpret_cast<std::int32_t*>(base + positions);
  block_positions_ = reinterpret_cast<std::int32_t*>(base + bounds);
}

std::int32_t TileAttention::block_size(std::int32_t block) const {
  return std::min(kernels_->block_rows, rows_.count - block * kernels_->block_rows);
}

void TileAttention::load(const QueryRows& rows) {
  rows_ = rows;
  const std::int32_t block_rows = kernels_->block_rows;
  for (std::int32_t block = 0; block < num_blocks(); ++block) {
    const std::int32_t first = block * block_rows, count = block_size(block);
    std::array<const void*, kMaxBlockRows> pointers;
    std::int32_t low = INT32_MAX, high = 0;
    for (std::int32_t r = 0; r < block_rows; ++r) {
      // Rows that do not exist see what the last one sees.
      const std::int32_t row = first + std::min(r, count - 1);
      pointers[static_cast<std::size_t>(r)] = rows.q->row(rows.token(row), rows.query_head(row));
      const std::int32_t position = rows.position(row);
      positions_[first + r] = position;
      low = std::min(low, position);
      high = std::max(high, position);
    }
    block_positions_[2 * block] = low;
    block_positions_[2 * block + 1] = high;
    kernels_->pack_queries(pointers.data(), count, rows.q->dtype, head_dim_, queries_ + block * query_bytes_);
  }
  const auto blocks = static_cast<std::size_t>(num_blocks());
  std::fill_n(out_, blocks * out_floats_, 0.0f);
  std::fill_n(max_, blocks * block_rows, kNegativeInfinity);
  std::fill_n(sum_, blocks * block_rows, 0.0f);
}

void TileAttention::prefetch(const KeyTile& tile, std::int32_t part, std::int32_t parts, bool values) const {
  constexpr std::size_t kLine = 64;
  const std::size_t row_bytes = static_cast<std::size_t>(head_dim_) * dtype_size(rows_.q->dtype);
  const auto touch = [&](const void* row) {
    for (std::size_t at = 0; at < row_bytes; at += kLine) {
      __builtin_prefetch(static_cast<const std::byte*>(row) + at, 0, 2);  // into L2
    }
  };
  for (std::int32_t j = tile.count * part / parts; j < tile.count * (part + 1) / parts; ++j) {
    touch(tile.k[static_cast<std::size_t>(j)]);
    if (values) touch(tile.v[static_cast<std::size_t>(j)]);
  }
}

void TileAttention::score_tile(std::int32_t block, const KeyTile& tile, const TileShape& shape) {
  kernels_->score(queries_ + block * query_bytes_, keys_, shape, scores_, tile_max_);
  const KeySpan span{shape.first_key, shape.end_key};
  if (tile.seen_by_all(span, block_positions_[2 * block], block_positions_[2 * block + 1])) return;
  kernels_->mask(positions_ + block * kernels_->block_rows, tile.positions.data(), tile.visibility, shape, scores_,
                 tile_max_);
}

/// Packs each tile in turn and calls use(tile, its index in the range, block, shape) for the blocks that see any of it,
/// shape holding the keys they see; the next tile's rows are fetched meanwhile.
template <class Use>
void TileAttention::for_each_tile(const KeyPlan& plan, TileRange range, bool values, const std::atomic<bool>* cancel,
                                  const Use& use) {
  if (range.begin >= range.end) return;
  plan.fill(range.begin, tiles_[range.begin % 2]);
  for (std::int32_t t = range.begin; t < range.end; ++t) {
    if (cancel != nullptr && cancel->load(std::memory_order_relaxed)) {
      fail(ErrorCategory::kCancelled, "prefill_attention: cancelled");
    }
    const KeyTile& tile = tiles_[t % 2];
    KeyTile& next = tiles_[(t + 1) % 2];
    const bool has_next = t + 1 < range.end;
    if (has_next) plan.fill(t + 1, next);
    const DType dtype = rows_.q->dtype;
    kernels_->pack_keys(tile.k.data(), tile.count, dtype, head_dim_, keys_);
    if (values) kernels_->pack_values(tile.v.data(), tile.count, dtype, head_dim_, values_);
    for (std::int32_t block = 0; block < num_blocks(); ++block) {
      if (has_next) prefetch(next, block, num_blocks(), values);
      const KeySpan span = tile.seen_by_any(block_positions_[2 * block], block_positions_[2 * block + 1]);
      if (span.begin >= span.end) continue;
      use(tile, t - range.begin, block,
          TileShape{.rows = block_size(block),
                    .first_key = span.begin / kKeyStep * kKeyStep,
                    .end_key = span.end,
                    .head_dim = head_dim_});
    }
  }
}

void TileAttention::attend(const KeyPlan& plan, TileRange range, float scale, bool values,
                           const std::atomic<bool>* cancel) {
  const std::int32_t block_rows = kernels_->block_rows;
  for_each_tile(
      plan, range, values, cancel, [&](const KeyTile& tile, std::int32_t, std::int32_t block, const TileShape& shape) {
        score_tile(block, tile, shape);
        const bool changed = kernels_->softmax(shape, scale * kLog2E, tile_max_, scores_, max_ + block * block_rows,
                                               sum_ + block * block_rows, factors_);
        if (!values) return;
        kernels_->accumulate(scores_, values_, shape, changed ? factors_ : nullptr,
                             out_ + static_cast<std::size_t>(block) * out_floats_);
      });
}

void TileAttention::add_column_sums(const KeyPlan& plan, TileRange range, float scale, std::span<const float> lse,
                                    float* sums) {
  const std::int32_t block_rows = kernels_->block_rows;
  // Rows that do not exist give nothing either.
  float* const row_lse = max_;
  std::fill_n(row_lse, num_blocks() * block_rows, -kNegativeInfinity);
  for (std::int32_t row = 0; row < rows_.count; ++row) {
    const float given = lse[lse_index(row)];
    if (given != kNegativeInfinity) row_lse[row] = given;
  }
  for_each_tile(plan, range, false, nullptr,
                [&](const KeyTile& tile, std::int32_t index, std::int32_t block, const TileShape& shape) {
                  score_tile(block, tile, shape);
                  std::array<float, kTileKeys> block_sums;
                  kernels_->column_sums(scores_, shape, scale, row_lse + block * block_rows, block_sums.data());
                  float* const tile_sums = sums + static_cast<std::size_t>(index) * kTileKeys;
                  for (std::int32_t j = shape.first_key; j < shape.end_key; ++j)
                    tile_sums[j] += block_sums[static_cast<std::size_t>(j)];
                });
}

void TileAttention::store(const MutableTensorView& out) {
  const std::int32_t block_rows = kernels_->block_rows;
  for (std::int32_t block = 0; block < num_blocks(); ++block) {
    const std::int32_t first = block * block_rows;
    const TileShape shape{.rows = block_size(block), .head_dim = head_dim_};
    std::array<void*, kMaxBlockRows> pointers;
    for (std::int32_t r = 0; r < shape.rows; ++r) {
      pointers[static_cast<std::size_t>(r)] = out.row(rows_.token(first + r), rows_.query_head(first + r));
    }
    for (std::int32_t r = 0; r < block_rows; ++r) factors_[r] = normaliser(sum_[first + r]);
    kernels_->store_rows(out_ + static_cast<std::size_t>(block) * out_floats_, factors_, shape, out.dtype,
                         pointers.data());
  }
}

void TileAttention::store_lse(float scale, std::span<float> lse) const {
  for (std::int32_t row = 0; row < rows_.count; ++row) {
    lse[lse_index(row)] = log_sum_exp(max_[row], sum_[row], scale);
  }
}

std::size_t TileAttention::state_floats(const TileKernels& kernels, std::int32_t head_dim, std::int32_t rows,
                                        bool values) {
  const std::int32_t blocks = (rows + kernels.block_rows - 1) / kernels.block_rows;
  const std::size_t floats =
      static_cast<std::size_t>(blocks) * kernels.block_rows * static_cast<std::size_t>(2 + (values ? head_dim : 0));
  return AlignedBuffer::round_up(floats * sizeof(float)) / sizeof(float);
}

void TileAttention::save_state(bool values, float* state) const {
  const auto rows = static_cast<std::size_t>(num_blocks()) * kernels_->block_rows;
  std::copy_n(max_, rows, state);
  std::copy_n(sum_, rows, state + rows);
  if (values) std::copy_n(out_, rows * head_dim_, state + 2 * rows);
}

void TileAttention::merge_states(const float* states, std::size_t stride, std::int32_t count, bool values,
                                 float scale) {
  const std::int32_t block_rows = kernels_->block_rows, rows = num_blocks() * block_rows;
  std::fill_n(max_, rows, kNegativeInfinity);
  for (std::int32_t s = 0; s < count; ++s) {
    for (std::int32_t row = 0; row < rows; ++row) max_[row] = std::max(max_[row], states[s * stride + row]);
  }
  std::fill_n(sum_, rows, 0.0f);
  if (values) std::fill_n(out_, static_cast<std::size_t>(num_blocks()) * out_floats_, 0.0f);
  for (std::int32_t s = 0; s < count; ++s) {
    const float* const part_max = states + s * stride;
    const float* const part_sum = part_max + rows;
    for (std::int32_t block = 0; block < num_blocks(); ++block) {
      const std::int32_t first = block * block_rows;
      for (std::int32_t r = 0; r < block_rows; ++r) {
        factors_[r] = part_weight(part_max[first + r], max_[first + r], scale);
        sum_[first + r] += part_sum[first + r] * factors_[r];
      }
      if (!values) continue;
      float* out = out_ + static_cast<std::size_t>(block) * out_floats_;
      const float* part_out = part_sum + rows + static_cast<std::size_t>(block) * out_floats_;
      for (std::int32_t c = 0; c < head_dim_; ++c, out += block_rows, part_out += block_rows) {
        for (std::int32_t r = 0; r < block_rows; ++r) out[r] += part_out[r] * factors_[r];
      }
    }
  }
}

}  // namespace tca::cpu
