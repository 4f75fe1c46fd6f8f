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
      precision_(model.precision()),
      hidden_(model.config().hidden_size),
      q_width_(model.config().q_width()),
      kv_width_(model.config().kv_width()),
      inner_(model.config().widest_mlp()),
      frequencies_{model_frequencies(model.config(), false), model_frequencies(model.config(), true)},
      ropes_(model.config().ropes.size()) {}

void CpuForward::run(const Segment& segment, LayerAttention& attention) {
  prepare(segment);
  embed(model_->weights().embedding, segment.ids, static_cast<float>(config().embedding_scale), x_row(0), *pool_);
  const std::int32_t last = config().num_layers - 1;
  for (std::int32_t index = 0; index <= last; ++index) {
    // Nothing reads the last layer's earlier rows.
    first_output_ = index == last ? n_ - segment.num_hidden : 0;
    first_query_ = index == last ? n_ - std::max(segment.num_hidden, std::min(n_, segment.min_queries)) : 0;
    layer(index, attention);
  }
}

void CpuForward::layer(std::int32_t index, LayerAttention& attention) {
  const LayerSpec& spec = config().layers[static_cast<std::size_t>(index)];
  const LayerWeights& w = model_->weights().layers[static_cast<std::size_t>(index)];
  for_chunks(0, n_, [&](Rows rows) {
    normalise(rows, w.attention_norm);
    project(rows, w);
    rotate(rows, spec, w);
    attention.advanced(rows.count);
  });
  attention.attend(index, queries(), keys(), values());
  for_chunks(first_output_, n_, [&](Rows rows) {
    add_attention(rows, w);
    normalise(rows, w.mlp_norm);
    add_mlp(rows, spec, w);
    attention.advanced(rows.count);
  });
}

void CpuForward::normalise(Rows rows, const std::vector<float>& weight) {
  if (weight.empty()) {
    return convert(x_row(rows.begin), normed_.data(), precision_.activations, rows.count, hidden_, *pool_);
  }
  rms_norm({.x = x_row(rows.begin),
            .weight = weight.data(),
            .out = normed_.data(),
            .rows = rows.count,
            .width = hidden_,
            .eps = static_cast<float>(config().rms_norm_eps),
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

void CpuForward::rotate(Rows rows, const LayerSpec& spec, const LayerWeights& w) {
  const RopeTable& rope = ropes_[static_cast<std::size_t>(spec.rope)];
  const auto heads = [&](const void* x, void* out, std::int64_t begin, std::int32_t count,
                         const std::vector<float>& norm, double factor) {
    norm_and_rotate({.x = x,
                     .out = out,
                     .norm = norm.empty() ? nullptr : norm.data(),
                     .cos = rope.cos(begin),
                     .sin = rope.sin(begin),
                     .rows = rows.begin + rows.count - begin,
                     .heads = count,
                     .head_dim = config().head_dim,
                     .as_one = spec.norms_heads_as_one(),
                     .eps = static_cast<float>(config().rms_norm_eps),
                     .factor = static_cast<float>(factor),
                     .dtype = precision_.activations,
                     .out_dtype = precision_.kv},
                    *pool_);
  };
  const std::int64_t begin = std::max(rows.begin, first_query_);
  if (begin < rows.begin + rows.count) {
    heads(unrotated_q(begin), q_row(begin), begin, config().num_heads, w.q_norm, config().query_scale);
  }
  heads(unrotated_k(rows.begin), kv_row(k_, rows.begin), rows.begin, config().num_kv_heads, w.k_norm, 1);
}

void CpuForward::add_attention(Rows rows, const LayerWeights& w) {
  add_product(rows, w.o, q_row(rows.begin), precision_.kv, w.attention_out_norm);
}

void CpuForward::add_product(Rows rows, const Linear& linear, const void* from, DType dtype,
                             const std::vector<float>& norm) {
  const bool at_once = adds_at_once(norm);
  const Product product{.linear = &linear,
                        .x = from,
                        .x_dtype = dtype,
                        .out = at_once ? x_row(rows.begin) : branch_.as<float>(),
                        .out_dtype = DType::kF32,
                        .add = at_once};
  products_.run(rows.count, std::array{product}, *pool_, cancel_);
  if (!at_once) add_branch(rows, norm);
}

void CpuForward::add_branch(Rows rows, const std::vector<float>& norm) {
  runtime::add_branch({.x = x_row(rows.begin),
                       .branch = branch_.as<float>(),
                       .weight = norm.empty() ? nullptr : norm.data(),
                       .rows = rows.count,
                       .width = hidden_,
                       .eps = static_cast<float>(config().rms_norm_eps),
                       .factor = static_cast<float>(config().residual_scale)},
                      *pool_);
}

void CpuForward::add_mlp(Rows rows, const LayerSpec& spec, const LayerWeights& w) {
  const DType type = precision_.activations;
  if (spec.experts) return add_experts(rows, spec, w);
  const auto product = [&](const Linear& linear, const Buffer& out) {
    return Product{.linear = &linear, .x = normed_.data(), .x_dtype = type, .out = out.data(), .out_dtype = type};
  };
  products_.run(rows.count, std::array{product(w.mlp.gate, gate_), product(w.mlp.up, up_)}, *pool_, cancel_);
  activate(spec.activation, gate_.data(), up_.data(), type, rows.count, spec.mlp.gate.out, *pool_);
  add_product(rows, w.mlp.down, gate_.data(), type, w.mlp_out_norm);
}

void CpuForward::add_experts(Rows rows, const LayerSpec& spec, const LayerWeights& w) {
  const bool normed = !w.mlp_out_norm.empty();
  if (normed) std::fill_n(branch_.as<float>(), rows.count * hidden_, 0.0f);
  experts_.run({.spec = &*spec.experts,
                .weights = &w.experts,
                .activation = spec.activation,
                .x = normed_.data(),
                .dtype = precision_.activations,
                .rows = rows.count,
                .out = normed ? branch_.as<float>() : x_row(rows.begin),
                .factor = normed ? 1 : static_cast<float>(config().residual_scale),
                .cancel = cancel_},
               products_, *pool_);
  if (normed) add_branch(rows, w.mlp_out_norm);
}

void CpuForward::logits(std::int64_t first, std::int64_t rows, std::span<float> out) {
  const Weights& weights = model_->weights();
  logits_normed_.reserve(static_cast<std::size_t>(rows * hidden_ * size_of(precision_.activations)));
  rms_norm({.x = x_.as<float>() + (first_output_ + first) * hidden_,
            .weight = weights.final_norm.data(),
            .out = logits_normed_.data(),
            .rows = rows,
            .width = hidden_,
            .eps = static_cast<float>(config().rms_norm_eps),
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
  for (std::size_t i = 0; i < ropes_.size(); ++i) {
    ropes_[i].fill(frequencies_[segment.long_context ? 1 : 0][i], segment.first_position, n_, *pool_);
  }
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
  branch_.reserve(config().has_branches() ? bytes(rows, hidden_, DType::kF32) : 0);
  gate_.reserve(bytes(rows, std::max(inner_, apart), precision_.activations));
  up_.reserve(bytes(rows, std::max(inner_, apart), precision_.activations));
}

void CpuForward::release() {
  if (n_ <= kKeepRows) return;
  for (Buffer* buffer : {&x_, &q_, &k_, &v_, &normed_, &branch_, &gate_, &up_, &logits_normed_}) buffer->release();
  experts_.release();
  for (RopeTable& rope : ropes_) rope = {};
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
  return contiguous(q_row(first_query_), precision_.kv, n_ - first_query_, config().num_heads, config().head_dim);
}
TensorView CpuForward::keys() const {
  return contiguous(static_cast<const void*>(k_.data()), precision_.kv, n_, config().num_kv_heads, config().head_dim);
}
TensorView CpuForward::values() const {
  return contiguous(static_cast<const void*>(v_.data()), precision_.kv, n_, config().num_kv_heads, config().head_dim);
}

}  // namespace tca::runtime
