#include "cpu/tile_attention.h"

#include <algorithm>
#include <array>
#include <utility>

#include "core/check.h"
#include "cpu/attention_state.h"

namespace tca::cpu {
namespace {

/// Between enter() and leave() of a path.
class InKernels {
 public:
  explicit InKernels(const TileKernels& kernels) : kernels_(kernels) {
    if (kernels_.enter != nullptr) before_ = kernels_.enter();
  }
  ~InKernels() {
    if (kernels_.leave != nullptr) kernels_.leave(before_);
  }
  InKernels(const InKernels&) = delete;
  InKernels& operator=(const InKernels&) = delete;

 private:
  const TileKernels& kernels_;
  unsigned before_ = 0;
};

}  // namespace

TileAttention::TileAttention(const TileKernels& kernels, std::int32_t head_dim)
    : kernels_(&kernels),
      head_dim_(head_dim),
      query_bytes_(AlignedBuffer::round_up(kernels.query_block_bytes(head_dim))),
      tile_bytes_(AlignedBuffer::round_up(kernels.tile_bytes(head_dim))),
      out_floats_(static_cast<std::size_t>(head_dim) * kernels.block_rows) {
  const auto rows = static_cast<std::size_t>(kernels.block_rows);
  const std::size_t blocks = static_cast<std::size_t>(max_query_rows(kernels, head_dim)) / rows;
  std::size_t bytes = 0;
  const auto reserve = [&](std::size_t size) {
    const std::size_t offset = bytes;
    bytes += AlignedBuffer::round_up(size);
    return offset;
  };
  const std::size_t row_bytes = rows * sizeof(float);
  const std::size_t queries = reserve(blocks * query_bytes_), keys = reserve(kChunkTiles * tile_bytes_),
                    values = reserve(kChunkTiles * tile_bytes_),
                    weights = reserve(kChunkTiles * kernels.weight_tile_bytes),
                    out = reserve(blocks * out_floats_ * sizeof(float)),
                    scores = reserve(row_bytes * kernels.span_keys), max = reserve(blocks * row_bytes),
                    sum = reserve(blocks * row_bytes), span_max = reserve(row_bytes), factors = reserve(row_bytes),
                    pending_factors = reserve(row_bytes), positions = reserve(blocks * row_bytes),
                    bounds = reserve(2 * blocks * sizeof(std::int32_t));
  memory_ = AlignedBuffer(bytes);
  std::byte* const base = memory_.data();
  queries_ = base + queries;
  keys_ = base + keys;
  values_ = base + values;
  weights_ = base + weights;
  out_ = reinterpret_cast<float*>(base + out);
  scores_ = reinterpret_cast<float*>(base + scores);
  span_max_ = reinterpret_cast<float*>(base + span_max);
  max_ = reinterpret_cast<float*>(base + max);
  sum_ = reinterpret_cast<float*>(base + sum);
  factors_ = reinterpret_cast<float*>(base + factors);
  pending_factors_ = reinterpret_cast<float*>(base + pending_factors);
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

void TileAttention::pack(const Chunk& chunk, bool values) {
  for (std::int32_t t = chunk.begin; t < chunk.end; ++t) {
    const KeyTile& keys = tile(t);
    kernels_->pack_keys(keys.k.data(), keys.count, rows_.q->dtype, head_dim_, packed(keys_, t));
    if (values) kernels_->pack_values(keys.v.data(), keys.count, rows_.q->dtype, head_dim_, packed(values_, t));
  }
}

void TileAttention::prefetch(const Chunk& next, std::int32_t part, std::int32_t parts, bool values) {
  constexpr std::size_t kLine = 64;
  const std::size_t row_bytes = static_cast<std::size_t>(head_dim_) * dtype_size(rows_.q->dtype);
  const auto touch = [&](const void* row) {
    for (std::size_t at = 0; at < row_bytes; at += kLine) {
      __builtin_prefetch(static_cast<const std::byte*>(row) + at, 0, 2);  // into L2
    }
  };
  for (std::int32_t t = next.begin; t < next.end; ++t) {
    const KeyTile& keys = tile(t);
    for (std::int32_t j = keys.count * part / parts; j < keys.count * (part + 1) / parts; ++j) {
      touch(keys.k[static_cast<std::size_t>(j)]);
      if (values) touch(keys.v[static_cast<std::size_t>(j)]);
    }
  }
}

/// Packs the tiles of each chunk in turn and calls use(block, chunk) for every block; the next chunk's rows are fetched
/// meanwhile.
template <class Use>
void TileAttention::for_each_chunk(const KeyPlan& plan, TileRange range, bool values, const std::atomic<bool>* cancel,
                                   const Use& use) {
  // Chunks start at multiples of their size, so that no two tiles share a place.
  const auto chunk_at = [&](std::int32_t begin) {
    Chunk chunk{begin, std::min(range.end, (begin / kChunkTiles + 1) * kChunkTiles)};
    for (std::int32_t t = chunk.begin; t < chunk.end; ++t) plan.fill(t, tile(t));
    return chunk;
  };
  if (range.begin >= range.end) return;
  const InKernels in_kernels(*kernels_);
  for (Chunk chunk = chunk_at(range.begin), next; chunk.begin < range.end; chunk = next) {
    if (cancel != nullptr && cancel->load(std::memory_order_relaxed)) {
      fail(ErrorCategory::kCancelled, "prefill_attention: cancelled");
    }
    next = chunk_at(chunk.end);
    pack(chunk, values);
    for (std::int32_t block = 0; block < num_blocks(); ++block) {
      prefetch(next, block, num_blocks(), values);
      use(block, chunk);
    }
  }
}

std::span<const TileAttention::Span> TileAttention::spans_of(std::int32_t block, const Chunk& chunk,
                                                             Spans& memory) const {
  std::size_t count = 0;
  const std::int32_t rows = block_size(block), step = kernels_->span_keys;
  for (std::int32_t t = chunk.begin; t < chunk.end; ++t) {
    const KeySpan seen = tile(t).seen_by_any(block_positions_[2 * block], block_positions_[2 * block + 1]);
    for (std::int32_t begin = seen.begin / kKeyStep * kKeyStep, end; begin < seen.end; begin = end) {
      end = std::min(seen.end, (begin / step + 1) * step);
      memory[count++] = {t, {.rows = rows, .first_key = begin, .end_key = end, .head_dim = head_dim_}};
    }
  }
  return std::span(memory).first(count);
}

void TileAttention::score(std::int32_t block, const Span& span) {
  kernels_->score({.queries = queries_ + block * query_bytes_,
                   .keys = packed(keys_, span.t),
                   .shape = span.shape,
                   .scores = scores_,
                   .span_max = span_max_});
  const KeyTile& keys = tile(span.t);
  const KeySpan scored{span.shape.first_key, span.shape.end_key};
  if (keys.seen_by_all(scored, block_positions_[2 * block], block_positions_[2 * block + 1])) return;
  kernels_->mask(positions_ + block * kernels_->block_rows, keys.positions.data(), keys.visibility, span.shape, scores_,
                 span_max_);
}

void TileAttention::attend_block(std::int32_t block, const Chunk& chunk, float scale, bool values) {
  Spans memory;
  const std::span<const Span> spans = spans_of(block, chunk, memory);
  if (spans.empty()) return;
  std::array<WeightedTile, std::tuple_size_v<Spans>> pending;
  std::size_t num_pending = 0;
  const float* factors = nullptr;  // of the result before the pending spans
  const auto accumulate = [&] {
    if (num_pending == 0) return;
    kernels_->accumulate(std::span(pending).first(num_pending), spans[0].shape, factors,
                         out_ + static_cast<std::size_t>(block) * out_floats_);
    num_pending = 0;
    factors = nullptr;
  };

  const std::int32_t row = block * kernels_->block_rows;
  for (const Span& span : spans) {
    score(block, span);
    std::byte* const weights = weights_ + static_cast<std::size_t>(span.t - chunk.begin) * kernels_->weight_tile_bytes;
    const bool rose = kernels_->softmax({.shape = span.shape,
                                         .log2_scale = scale * kLog2E,
                                         .scores = scores_,
                                         .span_max = span_max_,
                                         .weights = weights,
                                         .max = max_ + row,
                                         .sum = sum_ + row,
                                         .factors = factors_});
    if (!values) continue;
    if (rose) {
      accumulate();  // what was weighed against the lower maximum
      std::swap(factors_, pending_factors_);
      factors = pending_factors_;
    }
    pending[num_pending++] = {weights, packed(values_, span.t), span.shape.first_key, span.shape.end_key};
  }
  accumulate();
}

void TileAttention::attend(const KeyPlan& plan, TileRange range, float scale, bool values,
                           const std::atomic<bool>* cancel) {
  for_each_chunk(plan, range, values, cancel,
                 [&](std::int32_t block, const Chunk& chunk) { attend_block(block, chunk, scale, values); });
}

void TileAttention::reduce_columns(const KeyPlan& plan, TileRange range, float scale, std::span<const float> lse,
                                   ColumnReduce reduce, float* columns) {
  const std::int32_t block_rows = kernels_->block_rows;
  // Rows that do not exist give nothing either.
  float* const row_lse = max_;
  std::fill_n(row_lse, num_blocks() * block_rows, -kNegativeInfinity);
  for (std::int32_t row = 0; row < rows_.count; ++row) {
    const float given = lse[lse_index(row)];
    if (given != kNegativeInfinity) row_lse[row] = given;
  }
  for_each_chunk(plan, range, false, nullptr, [&](std::int32_t block, const Chunk& chunk) {
    Spans memory;
    for (const Span& span : spans_of(block, chunk, memory)) {
      score(block, span);
      std::array<float, kTileKeys> of_block;
      kernels_->reduce_columns(scores_, span.shape, scale, row_lse + block * block_rows, reduce, of_block.data());
      float* const of_tile = columns + static_cast<std::size_t>(span.t - range.begin) * kTileKeys;
      for (std::int32_t j = span.shape.first_key; j < span.shape.end_key; ++j) {
        of_tile[j] = combine(reduce, of_tile[j], of_block[static_cast<std::size_t>(j)]);
      }
    }
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
