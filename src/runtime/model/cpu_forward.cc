#include "runtime/model/cpu_forward.h"

#include <algorithm>
#include <array>

#include "runtime/model/ops.h"

namespace tca::runtime {
namespace {

// Row blocks of the products start at multiples of this in every chunk, so that the chunk's size changes no bit.
constexpr std::int64_t kChunkStep = 256;
// A segment up to this long keeps its buffers for the next read: 64 rows of an 8B model are some 10 MiB.
constexpr std::int64_t kKeepRows = 64;

}  // namespace

CpuForward::CpuForward(const Model& model, ThreadPool& pool, std::int64_t chunk_tokens)
    : model_(&model),
      pool_(&pool),
      chunk_((chunk_tokens + kChunkStep - 1) / kChunkStep * kChunkStep),
      dtype_(model.compute() == ComputeType::kF32 ? DType::kF32 : DType::kBF16),
      hidden_(model.config().hidden_size),
      q_width_(std::int64_t{model.config().num_heads} * model.config().head_dim),
      kv_width_(std::int64_t{model.config().num_kv_heads} * model.config().head_dim),
      inner_(model.config().intermediate_size),
      frequencies_(rope_frequencies(model.config().rope, model.config().head_dim)) {}

void CpuForward::run(const Segment& segment, LayerAttention& attention) {
  prepare(segment);
  embed(model_->weights().embedding, segment.ids, x_.as<float>(), *pool_);
  const std::int32_t last = model_->config().num_layers - 1;
  for (std::int32_t index = 0; index <= last; ++index) {
    // Nothing reads the last layer's earlier rows.
    first_output_ = index == last ? n_ - segment.num_hidden : 0;
    first_query_ = index == last ? n_ - std::max(segment.num_hidden, std::min(n_, segment.min_queries)) : 0;
    layer(index, attention);
  }
}

void CpuForward::layer(std::int32_t index, LayerAttention& attention) {
  const LayerWeights& w = model_->weights().layers[static_cast<std::size_t>(index)];
  for_chunks(0, n_, [&](Rows rows) {
    normalise(rows, w.attention_norm);
    project(rows, w);
    rotate(rows, w);
    attention.advanced(rows.count);
  });
  attention.attend(index, queries(), keys(), values());
  for_chunks(first_output_, n_, [&](Rows rows) {
    add_attention(rows, w);
    normalise(rows, w.mlp_norm);
    add_mlp(rows, w);
    attention.advanced(rows.count);
  });
}

void CpuForward::normalise(Rows rows, const std::vector<float>& weight) {
  rms_norm({.x = x_.as<float>() + rows.begin * hidden_,
            .weight = weight.data(),
            .out = normed_.data(),
            .rows = rows.count,
            .width = hidden_,
            .eps = static_cast<float>(model_->config().rms_norm_eps),
            .dtype = dtype_},
           *pool_);
}

void CpuForward::project(Rows rows, const LayerWeights& w) {
  const std::array<Product, 2> kv = {Product{&w.k, normed_.data(), kv_row(k_, rows.begin), dtype_},
                                     Product{&w.v, normed_.data(), kv_row(v_, rows.begin), dtype_}};
  const std::int64_t begin = std::max(rows.begin, first_query_), end = rows.begin + rows.count;
  if (begin == rows.begin) {
    const std::array<Product, 3> qkv = {Product{&w.q, normed_.data(), q_row(rows.begin), dtype_}, kv[0], kv[1]};
    return products_.run(rows.count, qkv, *pool_, cancel_);
  }
  products_.run(rows.count, kv, *pool_, cancel_);
  if (begin >= end) return;
  const std::byte* x = normed_.data() + (begin - rows.begin) * hidden_ * static_cast<std::int64_t>(dtype_size(dtype_));
  products_.run(end - begin, std::array{Product{&w.q, x, q_row(begin), dtype_}}, *pool_, cancel_);
}

void CpuForward::rotate(Rows rows, const LayerWeights& w) {
  const auto heads = [&](void* x, std::int64_t begin, std::int32_t count, const std::vector<float>& norm) {
    norm_and_rotate({.x = x,
                     .norm = norm.empty() ? nullptr : norm.data(),
                     .cos = rope_.cos(begin),
                     .sin = rope_.sin(begin),
                     .rows = rows.begin + rows.count - begin,
                     .heads = count,
                     .head_dim = model_->config().head_dim,
                     .eps = static_cast<float>(model_->config().rms_norm_eps),
                     .dtype = dtype_},
                    *pool_);
  };
  const std::int64_t begin = std::max(rows.begin, first_query_);
  if (begin < rows.begin + rows.count) heads(q_row(begin), begin, model_->config().num_heads, w.q_norm);
  heads(kv_row(k_, rows.begin), rows.begin, model_->config().num_kv_heads, w.k_norm);
}

void CpuForward::add_attention(Rows rows, const LayerWeights& w) {
  float* x = x_.as<float>() + rows.begin * hidden_;
  products_.run(rows.count, std::array{Product{&w.o, q_row(rows.begin), x, DType::kF32, true}}, *pool_, cancel_);
}

void CpuForward::add_mlp(Rows rows, const LayerWeights& w) {
  products_.run(rows.count,
                std::array{Product{&w.gate, normed_.data(), gate_.data(), dtype_},
                           Product{&w.up, normed_.data(), up_.data(), dtype_}},
                *pool_, cancel_);
  swiglu(gate_.data(), up_.data(), dtype_, rows.count, inner_, *pool_);
  float* x = x_.as<float>() + rows.begin * hidden_;
  products_.run(rows.count, std::array{Product{&w.down, gate_.data(), x, DType::kF32, true}}, *pool_, cancel_);
}

void CpuForward::logits(std::int64_t first, std::int64_t rows, std::span<float> out) {
  const Weights& weights = model_->weights();
  logits_normed_.reserve(static_cast<std::size_t>(rows * hidden_) * dtype_size(dtype_));
  rms_norm({.x = x_.as<float>() + (first_output_ + first) * hidden_,
            .weight = weights.final_norm.data(),
            .out = logits_normed_.data(),
            .rows = rows,
            .width = hidden_,
            .eps = static_cast<float>(model_->config().rms_norm_eps),
            .dtype = dtype_},
           *pool_);
  products_.run(rows, std::array{Product{&weights.lm_head, logits_normed_.data(), out.data(), DType::kF32}}, *pool_);
}

void CpuForward::prepare(const Segment& segment) {
  n_ = static_cast<std::int64_t>(segment.ids.size());
  cancel_ = segment.cancel;
  rope_.fill(frequencies_, segment.first_position, n_, *pool_);
  const auto bytes = [&](std::int64_t rows, std::int64_t width) {
    return static_cast<std::size_t>(rows * width) * dtype_size(dtype_);
  };
  x_.reserve(static_cast<std::size_t>(n_ * hidden_) * sizeof(float));
  q_.reserve(bytes(n_, q_width_));
  k_.reserve(bytes(n_, kv_width_));
  v_.reserve(bytes(n_, kv_width_));
  const std::int64_t rows = std::min(n_, chunk_);
  normed_.reserve(bytes(rows, hidden_));
  gate_.reserve(bytes(rows, inner_));
  up_.reserve(bytes(rows, inner_));
}

void CpuForward::release() {
  if (n_ <= kKeepRows) return;
  for (Buffer* buffer : {&x_, &q_, &k_, &v_, &normed_, &gate_, &up_, &logits_normed_}) buffer->release();
  rope_ = {};
}

template <class Task>
void CpuForward::for_chunks(std::int64_t begin, std::int64_t end, const Task& task) const {
  for (std::int64_t row = begin; row < end; row += chunk_) task({row, std::min(chunk_, end - row)});
}

void* CpuForward::q_row(std::int64_t row) const {
  return q_.data() + (row - first_query_) * q_width_ * static_cast<std::int64_t>(dtype_size(dtype_));
}

void* CpuForward::kv_row(const Buffer& buffer, std::int64_t row) const {
  return buffer.data() + row * kv_width_ * static_cast<std::int64_t>(dtype_size(dtype_));
}

MutableTensorView CpuForward::queries() const {
  return contiguous(q_row(first_query_), dtype_, n_ - first_query_, model_->config().num_heads,
                    model_->config().head_dim);
}
TensorView CpuForward::keys() const {
  return contiguous(static_cast<const void*>(k_.data()), dtype_, n_, model_->config().num_kv_heads,
                    model_->config().head_dim);
}
TensorView CpuForward::values() const {
  return contiguous(static_cast<const void*>(v_.data()), dtype_, n_, model_->config().num_kv_heads,
                    model_->config().head_dim);
}

}  // namespace tca::runtime
