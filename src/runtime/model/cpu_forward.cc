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

std::int64_t size_of(DType dtype) { return static_cast<std::int64_t>(dtype_size(dtype)); }

}  // namespace

CpuForward::CpuForward(const Model& model, ThreadPool& pool, std::int64_t chunk_tokens)
    : model_(&model),
      pool_(&pool),
      chunk_((chunk_tokens + kChunkStep - 1) / kChunkStep * kChunkStep),
      precision_(model.precision()),
      hidden_(model.config().hidden_size),
      q_width_(std::int64_t{model.config().num_heads} * model.config().head_dim),
      kv_width_(std::int64_t{model.config().num_kv_heads} * model.config().head_dim),
      inner_(model.config().intermediate_size),
      frequencies_(rope_frequencies(model.config().ropes[0], model.config().head_dim)) {}

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
            .dtype = precision_.activations},
           *pool_);
}

void CpuForward::project(Rows rows, const LayerWeights& w) {
  const DType x = precision_.activations, apart = precision_.activations;
  const std::int64_t begin = std::max(rows.begin, first_query_), end = rows.begin + rows.count;
  const Product k{
      .linear = &w.k, .x = normed_.data(), .x_dtype = x, .out = unrotated_k(rows.begin), .out_dtype = apart};
  const Product v{
      .linear = &w.v, .x = normed_.data(), .x_dtype = x, .out = kv_row(v_, rows.begin), .out_dtype = precision_.kv};
  Product q{.linear = &w.q, .x = normed_.data(), .x_dtype = x, .out = unrotated_q(begin), .out_dtype = apart};
  if (begin == rows.begin) return products_.run(rows.count, std::array{q, k, v}, *pool_, cancel_);
  products_.run(rows.count, std::array{k, v}, *pool_, cancel_);
  if (begin >= end) return;
  q.x = normed_.data() + (begin - rows.begin) * hidden_ * size_of(x);
  products_.run(end - begin, std::array{q}, *pool_, cancel_);
}

void CpuForward::rotate(Rows rows, const LayerWeights& w) {
  const auto heads = [&](const void* x, void* out, std::int64_t begin, std::int32_t count,
                         const std::vector<float>& norm) {
    norm_and_rotate({.x = x,
                     .out = out,
                     .norm = norm.empty() ? nullptr : norm.data(),
                     .cos = rope_.cos(begin),
                     .sin = rope_.sin(begin),
                     .rows = rows.begin + rows.count - begin,
                     .heads = count,
                     .head_dim = model_->config().head_dim,
                     .eps = static_cast<float>(model_->config().rms_norm_eps),
                     .dtype = precision_.activations,
                     .out_dtype = precision_.kv},
                    *pool_);
  };
  const std::int64_t begin = std::max(rows.begin, first_query_);
  if (begin < rows.begin + rows.count) {
    heads(unrotated_q(begin), q_row(begin), begin, model_->config().num_heads, w.q_norm);
  }
  heads(unrotated_k(rows.begin), kv_row(k_, rows.begin), rows.begin, model_->config().num_kv_heads, w.k_norm);
}

void CpuForward::add_attention(Rows rows, const LayerWeights& w) {
  const Product o{.linear = &w.o,
                  .x = q_row(rows.begin),
                  .x_dtype = precision_.kv,
                  .out = x_.as<float>() + rows.begin * hidden_,
                  .out_dtype = DType::kF32,
                  .add = true};
  products_.run(rows.count, std::array{o}, *pool_, cancel_);
}

void CpuForward::add_mlp(Rows rows, const LayerWeights& w) {
  const DType type = precision_.activations;
  const Product gate{.linear = &w.gate, .x = normed_.data(), .x_dtype = type, .out = gate_.data(), .out_dtype = type};
  const Product up{.linear = &w.up, .x = normed_.data(), .x_dtype = type, .out = up_.data(), .out_dtype = type};
  products_.run(rows.count, std::array{gate, up}, *pool_, cancel_);
  swiglu(gate_.data(), up_.data(), type, rows.count, inner_, *pool_);
  const Product down{.linear = &w.down,
                     .x = gate_.data(),
                     .x_dtype = type,
                     .out = x_.as<float>() + rows.begin * hidden_,
                     .out_dtype = DType::kF32,
                     .add = true};
  products_.run(rows.count, std::array{down}, *pool_, cancel_);
}

void CpuForward::logits(std::int64_t first, std::int64_t rows, std::span<float> out) {
  const Weights& weights = model_->weights();
  logits_normed_.reserve(static_cast<std::size_t>(rows * hidden_ * size_of(precision_.activations)));
  rms_norm({.x = x_.as<float>() + (first_output_ + first) * hidden_,
            .weight = weights.final_norm.data(),
            .out = logits_normed_.data(),
            .rows = rows,
            .width = hidden_,
            .eps = static_cast<float>(model_->config().rms_norm_eps),
            .dtype = precision_.activations},
           *pool_);
  const Product product{.linear = &weights.lm_head,
                        .x = logits_normed_.data(),
                        .x_dtype = precision_.activations,
                        .out = out.data(),
                        .out_dtype = DType::kF32};
  products_.run(rows, std::array{product}, *pool_);
}

void CpuForward::prepare(const Segment& segment) {
  n_ = static_cast<std::int64_t>(segment.ids.size());
  cancel_ = segment.cancel;
  rope_.fill(frequencies_, segment.first_position, n_, *pool_);
  const auto bytes = [](std::int64_t rows, std::int64_t width, DType dtype) {
    return static_cast<std::size_t>(rows * width * size_of(dtype));
  };
  x_.reserve(bytes(n_, hidden_, DType::kF32));
  q_.reserve(bytes(n_, q_width_, precision_.kv));
  k_.reserve(bytes(n_, kv_width_, precision_.kv));
  v_.reserve(bytes(n_, kv_width_, precision_.kv));
  const std::int64_t rows = std::min(n_, chunk_);
  const std::int64_t apart = rotates_apart() ? q_width_ : 0;
  normed_.reserve(bytes(rows, hidden_, precision_.activations));
  gate_.reserve(bytes(rows, std::max(inner_, apart), precision_.activations));
  up_.reserve(bytes(rows, std::max(inner_, apart), precision_.activations));
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
  return q_.data() + (row - first_query_) * q_width_ * size_of(precision_.kv);
}

void* CpuForward::kv_row(const Buffer& buffer, std::int64_t row) const {
  return buffer.data() + row * kv_width_ * size_of(precision_.kv);
}

MutableTensorView CpuForward::queries() const {
  return contiguous(q_row(first_query_), precision_.kv, n_ - first_query_, model_->config().num_heads,
                    model_->config().head_dim);
}
TensorView CpuForward::keys() const {
  return contiguous(static_cast<const void*>(k_.data()), precision_.kv, n_, model_->config().num_kv_heads,
                    model_->config().head_dim);
}
TensorView CpuForward::values() const {
  return contiguous(static_cast<const void*>(v_.data()), precision_.kv, n_, model_->config().num_kv_heads,
                    model_->config().head_dim);
}

}  // namespace tca::runtime
