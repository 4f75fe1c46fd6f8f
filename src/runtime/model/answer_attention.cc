#include "runtime/model/answer_attention.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "runtime/model/answer_kernels.h"

namespace tca::runtime {
namespace {

// Query rows and keys of a tile: twice 192 KiB of scores and gradients stay in the second cache level.
constexpr std::int64_t kBlockQueries = 192;
constexpr std::int64_t kTileKeys = DocumentHeads::kTile;

/// The inverse of gather_group().
void scatter_group(const float* x, const HeadShape& shape, std::int64_t kv_head, std::int64_t first, std::int64_t rows,
                   float* out) {
  const std::int64_t width = shape.group() * shape.dim;
  for (std::int64_t row = 0; row < rows; ++row) {
    std::copy_n(x + row * width, width, out + ((first + row) * shape.kv_heads + kv_head) * width);
  }
}

double dot(const float* a, const float* b, std::int64_t n) {
  double sum = 0;
  for (std::int64_t i = 0; i < n; ++i) sum += static_cast<double>(a[i]) * b[i];
  return sum;
}

}  // namespace

/// Rows [first, first + count) of one KV head's queries.
struct QuestionAttention::Rows {
  std::int64_t kv_head, first, count;
};

/// Keys and values [count, d]: of a document, or of rows from first_row on, of which a row sees those up to itself.
struct QuestionAttention::Keys {
  static constexpr std::int64_t kDocument = -1;
  const float *k, *v;
  std::int64_t count;
  std::int64_t first_row = kDocument;
  std::int64_t first_token = 0;                      // of a document's tile
  const float *k_tile = nullptr, *v_tile = nullptr;  // of a document: as DocumentHeads has them

  std::int64_t visible(std::int64_t row) const {
    return first_row == kDocument ? count : std::clamp<std::int64_t>(row - first_row + 1, 0, count);
  }
  template <class Task>
  void for_tiles(std::int64_t dim, const Task& task) const {
    for (std::int64_t begin = 0; begin < count; begin += kTileKeys) {
      task(Keys{.k = k + begin * dim,
                .v = v + begin * dim,
                .count = std::min(kTileKeys, count - begin),
                .first_row = first_row == kDocument ? kDocument : first_row + begin,
                .first_token = begin,
                .k_tile = k_tile == nullptr ? nullptr : k_tile + begin * dim,
                .v_tile = v_tile == nullptr ? nullptr : v_tile + begin * dim});
    }
  }
};

QuestionAttention::Keys QuestionAttention::document_keys(const DocumentHeads& document, const Rows& rows) {
  return {.k = document.k(rows.kv_head),
          .v = document.v(rows.kv_head),
          .count = document.tokens(),
          .k_tile = document.k_tiles(rows.kv_head),
          .v_tile = document.v_tiles(rows.kv_head)};
}

QuestionAttention::QuestionAttention(const HeadShape& shape, ThreadPool& pool)
    : shape_(shape),
      scale_(static_cast<float>(1 / std::sqrt(static_cast<double>(shape.dim)))),
      pool_(&pool),
      workers_(static_cast<std::size_t>(pool.num_threads())) {}

template <class Task>
void QuestionAttention::for_blocks(const QuestionRows& rows, const Task& task) {
  const std::int64_t size = std::max<std::int64_t>(1, kBlockQueries / shape_.group());
  const std::int64_t blocks = (rows.num_rows() + size - 1) / size;
  pool_->parallel_for(shape_.kv_heads * blocks, [&](std::int64_t item, int thread) {
    const std::int64_t first = item % blocks * size;
    task(Rows{item / blocks, first, std::min(size, rows.num_rows() - first)},
         workers_[static_cast<std::size_t>(thread)]);
  });
}

/// Blocks of rows of one question after the other, with the question's keys up to their last row.
template <class Task>
void QuestionAttention::for_questions(const QuestionRows& rows, const float* k, const float* v, const Task& task) {
  const std::int64_t size = std::max<std::int64_t>(1, kBlockQueries / shape_.group()), dim = shape_.dim;
  pool_->parallel_for(shape_.kv_heads * rows.num_questions(), [&](std::int64_t item, int thread) {
    Worker& worker = workers_[static_cast<std::size_t>(thread)];
    const std::int64_t question = item % rows.num_questions(), kv_head = item / rows.num_questions();
    const std::int64_t begin = rows.begins[static_cast<std::size_t>(question)], end = rows.end(question);
    float* const own_k = worker.k.floats((end - begin) * dim);
    float* const own_v = worker.v.floats((end - begin) * dim);
    for (std::int64_t row = begin; row < end; ++row) {
      std::copy_n(k + (row * shape_.kv_heads + kv_head) * dim, dim, own_k + (row - begin) * dim);
      std::copy_n(v + (row * shape_.kv_heads + kv_head) * dim, dim, own_v + (row - begin) * dim);
    }
    for (std::int64_t first = begin; first < end; first += size) {
      const std::int64_t count = std::min(size, end - first);
      task(Rows{kv_head, first, count},
           Keys{.k = own_k, .v = own_v, .count = first + count - begin, .first_row = begin}, worker);
    }
  });
}

namespace {

/// out [rows, keys] of x [rows, dim] and every key or value of a tile: [keys, dim], or as DocumentHeads has it.
void multiply_tile(const Buffer& x, const float* keys, const float* tile, std::int64_t rows, std::int64_t dim,
                   std::int64_t count, float* out, fp32::Scratch& scratch) {
  const kernels::MultiplyRows product{.x = x.data(),
                                      .weight = tile == nullptr ? keys : tile,
                                      .out = out,
                                      .rows = rows,
                                      .in = dim,
                                      .columns = count,
                                      .out_stride = count,
                                      .dtype = DType::kF32,
                                      .weight_dtype = DType::kF32};
  if (tile == nullptr) return fp32::multiply_block(product, nullptr, scratch);
  fp32::multiply_transposed_block(product, kTileKeys, scratch);
}

/// out [rows, dim] += weights [rows, count] times vectors [count, dim]; out_stride from row to row.
void add_weighted(const float* weights, const float* vectors, std::int64_t rows, std::int64_t count, std::int64_t dim,
                  float* out, std::int64_t out_stride, fp32::Scratch& scratch) {
  fp32::multiply_transposed_block({.x = weights,
                                   .weight = vectors,
                                   .out = out,
                                   .rows = rows,
                                   .in = count,
                                   .columns = dim,
                                   .out_stride = out_stride,
                                   .dtype = DType::kF32,
                                   .weight_dtype = DType::kF32,
                                   .add = true},
                                  dim, scratch);
}

}  // namespace

// ---- Forth ----

void QuestionAttention::start(const Rows& rows, const float* q, Worker& worker) const {
  const std::int64_t n = rows.count * shape_.group();
  gather_group(q, shape_, rows.kv_head, rows.first, rows.count, scale_, worker.x.floats(n * shape_.dim));
  worker.out.floats(n * shape_.dim);
  worker.scores.floats(n * kTileKeys);
  worker.most.resize(static_cast<std::size_t>(n));
  worker.sum.resize(static_cast<std::size_t>(n));
}

/// Goes on with an online softmax: worker.out is the sum of exp(score - most) v so far.
void QuestionAttention::forth(const Rows& rows, const Keys& keys, Worker& worker) const {
  const std::int64_t n = rows.count * shape_.group(), dim = shape_.dim;
  float* const scores = worker.scores.as<float>();
  float* const out = worker.out.as<float>();
  keys.for_tiles(dim, [&](const Keys& tile) {
    multiply_tile(worker.x, tile.k, tile.k_tile, n, dim, tile.count, scores, worker.product);
    for (std::int64_t i = 0; i < n; ++i) {
      float* const score = scores + i * tile.count;
      const std::int64_t visible = tile.visible(rows.first + i / shape_.group());
      std::fill(score + visible, score + tile.count, 0.0f);
      if (visible == 0) continue;
      float& most = worker.most[static_cast<std::size_t>(i)];
      double& sum = worker.sum[static_cast<std::size_t>(i)];
      if (const float top = kernels::largest(score, visible); top > most) {
        const float factor = std::exp(most - top);
        kernels::scale_row(out + i * dim, dim, factor);
        sum *= factor;
        most = top;
      }
      sum += kernels::exponentials(score, visible, most);
    }
    add_weighted(scores, tile.v, n, tile.count, dim, out, dim, worker.product);
  });
}

void QuestionAttention::forth(const DocumentHeads& document, const QuestionRows& rows, const AttentionForth& params) {
  const std::int64_t group = shape_.group(), dim = shape_.dim;
  most_.resize(static_cast<std::size_t>(rows.num_rows() * shape_.heads));
  sum_.resize(most_.size());
  const auto at = [&](const Rows& block, std::int64_t i) {  // in [R, Hq]
    const std::int64_t row = block.first + i / group;
    return static_cast<std::size_t>(row * shape_.heads + block.kv_head * group + i % group);
  };
  for_blocks(rows, [&](const Rows& block, Worker& worker) {
    start(block, params.q, worker);
    const std::int64_t n = block.count * group;
    std::fill_n(worker.out.as<float>(), n * dim, 0.0f);
    std::fill(worker.most.begin(), worker.most.end(), -std::numeric_limits<float>::infinity());
    std::fill(worker.sum.begin(), worker.sum.end(), 0.0);
    forth(block, document_keys(document, block), worker);
    scatter_group(worker.out.as<float>(), shape_, block.kv_head, block.first, block.count, params.out);
    for (std::int64_t i = 0; i < n; ++i) {
      most_[at(block, i)] = worker.most[static_cast<std::size_t>(i)];
      sum_[at(block, i)] = worker.sum[static_cast<std::size_t>(i)];
    }
  });
  for_questions(rows, params.k, params.v, [&](const Rows& block, const Keys& keys, Worker& worker) {
    start(block, params.q, worker);
    const std::int64_t n = block.count * group;
    gather_group(params.out, shape_, block.kv_head, block.first, block.count, 1, worker.out.as<float>());
    for (std::int64_t i = 0; i < n; ++i) {
      worker.most[static_cast<std::size_t>(i)] = most_[at(block, i)];
      worker.sum[static_cast<std::size_t>(i)] = sum_[at(block, i)];
    }
    forth(block, keys, worker);
    for (std::int64_t i = 0; i < n; ++i) {
      const double sum = worker.sum[static_cast<std::size_t>(i)];
      kernels::scale_row(worker.out.as<float>() + i * dim, dim, static_cast<float>(1 / sum));
      params.lse[at(block, i)] = static_cast<float>(worker.most[static_cast<std::size_t>(i)] + std::log(sum));
    }
    scatter_group(worker.out.as<float>(), shape_, block.kv_head, block.first, block.count, params.out);
  });
}

// ---- Back ----

void QuestionAttention::start_back(const Rows& rows, const AttentionBack& params, Worker& worker) const {
  start(rows, params.q, worker);
  const std::int64_t group = shape_.group(), dim = shape_.dim, n = rows.count * group;
  gather_group(params.d_out, shape_, rows.kv_head, rows.first, rows.count, 1, worker.d_out.floats(n * dim));
  worker.d_scores.floats(n * kTileKeys);
  for (std::int64_t i = 0; i < n; ++i) {
    const std::int64_t at = (rows.first + i / group) * shape_.heads + rows.kv_head * group + i % group;
    worker.most[static_cast<std::size_t>(i)] = params.lse[at];
    worker.sum[static_cast<std::size_t>(i)] = dot(params.out + at * dim, params.d_out + at * dim, dim);
  }
}

/// Adds to worker.out the gradient with respect to q, but for the scale.
void QuestionAttention::back(const Rows& rows, const Keys& keys, const AttentionBack& params, Worker& worker) const {
  const std::int64_t n = rows.count * shape_.group(), dim = shape_.dim;
  float* const scores = worker.scores.as<float>();
  float* const d_scores = worker.d_scores.as<float>();
  keys.for_tiles(dim, [&](const Keys& tile) {
    multiply_tile(worker.x, tile.k, tile.k_tile, n, dim, tile.count, scores, worker.product);
    multiply_tile(worker.d_out, tile.v, tile.v_tile, n, dim, tile.count, d_scores, worker.product);
    for (std::int64_t i = 0; i < n; ++i) {
      float* const score = scores + i * tile.count;
      float* const d_score = d_scores + i * tile.count;
      const std::int64_t visible = tile.visible(rows.first + i / shape_.group());
      kernels::softmax_back(score, d_score, visible, worker.most[static_cast<std::size_t>(i)],
                            static_cast<float>(worker.sum[static_cast<std::size_t>(i)]));
      std::fill(score + visible, score + tile.count, 0.0f);
      std::fill(d_score + visible, d_score + tile.count, 0.0f);
    }
    add_weighted(d_scores, tile.k, n, tile.count, dim, worker.out.as<float>(), dim, worker.product);
    if (tile.first_row != Keys::kDocument) return back_to_keys(rows, tile, params, worker);
    if (params.reading != nullptr) add_reading(rows, tile, params, worker);
  });
}

void QuestionAttention::add_reading(const Rows& rows, const Keys& tile, const AttentionBack& params,
                                    const Worker& worker) const {
  const std::int64_t group = shape_.group(),
                     skip = std::clamp<std::int64_t>(params.sinks - tile.first_token, 0, tile.count);
  for (std::int64_t i = 0; i < rows.count * group; ++i) {
    float& sum = params.reading[(rows.first + i / group) * shape_.heads + rows.kv_head * group + i % group];
    const double more = kernels::magnitude_sum(worker.d_scores.as<float>() + i * tile.count + skip, tile.count - skip);
    sum += static_cast<float>(more);
  }
}

void QuestionAttention::back_to_keys(const Rows& rows, const Keys& tile, const AttentionBack& params,
                                     Worker& worker) const {
  const std::int64_t n = rows.count * shape_.group(), dim = shape_.dim;
  float* const turned = worker.turned.floats(kTileKeys * n);
  const auto add = [&](const Buffer& weights, const Buffer& of_rows, float* out) {
    for (std::int64_t i = 0; i < n; ++i) {
      for (std::int64_t j = 0; j < tile.count; ++j) turned[j * n + i] = weights.as<float>()[i * tile.count + j];
    }
    add_weighted(turned, of_rows.as<float>(), tile.count, n, dim,
                 out + (tile.first_row * shape_.kv_heads + rows.kv_head) * dim, shape_.kv_heads * dim, worker.product);
  };
  add(worker.d_scores, worker.x, params.d_k);
  add(worker.scores, worker.d_out, params.d_v);
}

void QuestionAttention::back(const DocumentHeads& document, const QuestionRows& rows, const AttentionBack& params) {
  std::fill_n(params.d_k, rows.num_rows() * shape_.kv_heads * shape_.dim, 0.0f);
  std::fill_n(params.d_v, rows.num_rows() * shape_.kv_heads * shape_.dim, 0.0f);
  if (params.reading != nullptr) std::fill_n(params.reading, rows.num_rows() * shape_.heads, 0.0f);
  for_blocks(rows, [&](const Rows& block, Worker& worker) {
    start_back(block, params, worker);
    std::fill_n(worker.out.as<float>(), block.count * shape_.group() * shape_.dim, 0.0f);
    back(block, document_keys(document, block), params, worker);
    scatter_group(worker.out.as<float>(), shape_, block.kv_head, block.first, block.count, params.d_q);
  });
  for_questions(rows, params.k, params.v, [&](const Rows& block, const Keys& keys, Worker& worker) {
    start_back(block, params, worker);
    const std::int64_t n = block.count * shape_.group();
    gather_group(params.d_q, shape_, block.kv_head, block.first, block.count, 1, worker.out.as<float>());
    back(block, keys, params, worker);
    kernels::scale_row(worker.out.as<float>(), n * shape_.dim, scale_);
    scatter_group(worker.out.as<float>(), shape_, block.kv_head, block.first, block.count, params.d_q);
  });
}

}  // namespace tca::runtime
