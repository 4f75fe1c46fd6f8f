#include "runtime/cuda/cuda_forward.h"

#include <algorithm>
#include <array>
#include <utility>

#include "cuda/device.h"
#include "runtime/cuda/kernels.h"
#include "tca/error.h"

namespace tca::runtime::gpu {
namespace {

// A segment up to this long keeps its buffers for the next read: 64 rows of an 8B model are some 10 MiB.
constexpr std::int64_t kKeepRows = 64;

std::size_t bf16_bytes(std::int64_t rows, std::int64_t width) { return static_cast<std::size_t>(rows * width) * 2; }

void* bf16_row(const MemoryBlock& block, std::int64_t row, std::int64_t width) {
  return static_cast<std::uint16_t*>(block.data()) + row * width;
}

}  // namespace

CudaForward::CudaForward(std::shared_ptr<cuda::Device> device, const ModelConfig& config, const CudaModel& model,
                         ThreadPool& pool, std::int64_t chunk_tokens)
    : device_(std::move(device)),
      config_(&config),
      model_(&model),
      products_(model.products(), *device_),
      pool_(&pool),
      chunk_(chunk_tokens),
      hidden_(config.hidden_size),
      q_width_(config.q_width()),
      kv_width_(config.kv_width()),
      inner_(config.widest_mlp()),
      eps_(static_cast<float>(config.rms_norm_eps)),
      experts_(*device_),
      decode_(*device_, config, model, products_, pool) {
  for (MemoryBlock* block : {&ids_, &x_, &q_, &k_, &v_, &normed_, &branch_, &scales_, &wide_, &logits_}) {
    *block = MemoryBlock(device_->memory());
  }
}

CudaForward::~CudaForward() {
  try {
    model_->device().follow(*device_);  // weights may go, but behind what still reads them
  } catch (const Error&) {
    (void)cudaStreamSynchronize(stream());
  }
}

void CudaForward::run(const Segment& segment, LayerAttention& attention) {
  const cuda::DeviceGuard guard(device_->ordinal());
  prepare(segment);
  cuda::check(embed(model_->weights().embedding, static_cast<const std::int32_t*>(ids_.data()),
                    static_cast<float>(config_->embedding_scale), x_row(0), n_, config_->hidden_size, stream()),
              "reading embeddings");
  const std::int32_t last = config_->num_layers - 1;
  for (std::int32_t index = 0; index <= last; ++index) {
    // Nothing reads the last layer's earlier rows.
    first_output_ = index == last ? n_ - segment.num_hidden : 0;
    first_query_ = index == last ? n_ - std::max(segment.num_hidden, std::min(n_, segment.min_queries)) : 0;
    layer(index, attention);
  }
}

void CudaForward::layer(std::int32_t index, LayerAttention& attention) {
  const LayerSpec& spec = config_->layers[static_cast<std::size_t>(index)];
  const GpuLayer& w = model_->weights().layers[static_cast<std::size_t>(index)];
  for_chunks(0, n_, [&](Rows rows) {
    normalise(rows, w.attention_norm);
    project(rows, spec, w);
    attention.advanced(rows.count);
  });
  const auto heads = [&](const MemoryBlock& block) {
    return contiguous(static_cast<const void*>(block.data()), DType::kBF16, n_, config_->num_kv_heads,
                      config_->head_dim);
  };
  attention.attend(index, contiguous(q_.data(), DType::kBF16, n_ - first_query_, config_->num_heads, config_->head_dim),
                   heads(k_), heads(v_));
  for_chunks(first_output_, n_, [&](Rows rows) {
    add_attention(rows, w);
    normalise(rows, w.mlp_norm);
    add_mlp(rows, spec, w);
    attention.advanced(rows.count);
  });
}

void CudaForward::normalise(Rows rows, const float* weight) {
  cuda::check(rms_norm(x_row(rows.begin), weight, normed_.data(), rows.count, config_->hidden_size, eps_, stream()),
              "normalising");
}

/// One product for q, k and v; rows that are all before the first query leave q's columns out.
void CudaForward::project(Rows rows, const LayerSpec& spec, const GpuLayer& w) {
  const std::int64_t width = w.qkv.out;
  const std::int64_t skip = rows.begin + rows.count <= first_query_ ? q_width_ : 0;
  products_.run({.weight = static_cast<const std::uint16_t*>(w.qkv.weight) + skip * hidden_,
                 .x = normed_.data(),
                 .out = static_cast<std::uint16_t*>(wide_.data()) + skip,
                 .rows = rows.count,
                 .in = hidden_,
                 .columns = width - skip,
                 .x_stride = hidden_,
                 .out_stride = width,
                 .output = Output::kBf16},
                stream());
  const std::int64_t first_q = std::max(rows.begin, first_query_);
  const SegmentHeads args = {.heads = head_args(*config_, spec, w, *rope_, {wide_, scales_, rows.count}),
                             .first_position = first_position_ + rows.begin,
                             .skip_q = first_q - rows.begin,
                             .q = bf16_row(q_, first_q - first_query_, q_width_),
                             .k = bf16_row(k_, rows.begin, kv_width_),
                             .v = bf16_row(v_, rows.begin, kv_width_)};
  if (spec.norms_heads_as_one()) cuda::check(scale_rows(args.heads, stream()), "normalising");
  cuda::check(split_segment(args, stream()), "rotating heads");
}

void CudaForward::add_attention(Rows rows, const GpuLayer& w) {
  add_product(rows, w.o, bf16_row(q_, rows.begin - first_query_, q_width_), q_width_, w.attention_out_norm);
}

void CudaForward::add_product(Rows rows, const Matrix& matrix, const void* from, std::int64_t stride,
                              const float* norm) {
  if (norm != nullptr || config_->residual_scale != 1) {
    products_.multiply(matrix, from, stride, branch_.data(), Output::kF32, rows.count, stream());
    return add_branch(rows, matrix.bias, norm);
  }
  products_.multiply(matrix, from, stride, x_row(rows.begin), Output::kAddF32, rows.count, stream());
  if (matrix.bias == nullptr) return;
  cuda::check(add_bias(x_row(rows.begin), matrix.bias, rows.count, config_->hidden_size, stream()), "adding a bias");
}

void CudaForward::add_branch(Rows rows, const float* bias, const float* norm) {
  cuda::check(gpu::add_branch({.x = x_row(rows.begin),
                               .branch = static_cast<float*>(branch_.data()),
                               .bias = bias,
                               .weight = norm,
                               .rows = rows.count,
                               .width = config_->hidden_size,
                               .eps = eps_,
                               .factor = static_cast<float>(config_->residual_scale)},
                              stream()),
              "adding a branch");
}

void CudaForward::add_mlp(Rows rows, const LayerSpec& spec, const GpuLayer& w) {
  if (spec.experts) {
    const bool normed = w.mlp_out_norm != nullptr;
    experts_.run({.spec = &spec,
                  .weights = &w,
                  .x = normed_.data(),
                  .rows = rows.count,
                  .out = normed ? static_cast<float*>(branch_.data()) : x_row(rows.begin),
                  .factor = normed ? 1.f : static_cast<float>(config_->residual_scale),
                  .add = !normed},
                 products_);
    if (normed) add_branch(rows, nullptr, w.mlp_out_norm);
    return;
  }
  const std::int64_t inner = spec.mlp.gate.out;
  products_.multiply(w.gate_up, normed_.data(), hidden_, wide_.data(), Output::kBf16, rows.count, stream());
  cuda::check(
      activate(spec.activation, wide_.data(), w.gate_up.bias, rows.count, static_cast<std::int32_t>(inner), stream()),
      "activating");
  add_product(rows, w.down, wide_.data(), 2 * inner, w.mlp_out_norm);
}

void CudaForward::logits(std::int64_t first, std::int64_t count, std::span<float> out) {
  const cuda::DeviceGuard guard(device_->ordinal());
  const GpuWeights& weights = model_->weights();
  const std::size_t bytes = static_cast<std::size_t>(count * config_->vocab_size) * sizeof(float);
  normed_.reserve(bf16_bytes(count, hidden_));
  logits_.reserve(bytes);
  cuda::check(rms_norm(x_row(first_output_ + first), weights.final_norm, normed_.data(), count, config_->hidden_size,
                       eps_, stream()),
              "normalising");
  products_.multiply(weights.lm_head, normed_.data(), hidden_, logits_.data(), Output::kF32, count, stream());
  device_->memory().copy(out.data(), logits_.data(), bytes);
}

void CudaForward::prepare(const Segment& segment) {
  n_ = static_cast<std::int64_t>(segment.ids.size());
  first_position_ = segment.first_position;
  rope_ = &model_->rope(first_position_ + n_, segment.long_context, *pool_);
  ids_.reserve(segment.ids.size_bytes());
  device_->upload(ids_.data(), segment.ids.data(), segment.ids.size_bytes());
  x_.reserve(static_cast<std::size_t>(n_ * hidden_) * sizeof(float));
  q_.reserve(bf16_bytes(n_, q_width_));
  k_.reserve(bf16_bytes(n_, kv_width_));
  v_.reserve(bf16_bytes(n_, kv_width_));
  const std::int64_t rows = std::min(n_, chunk_);
  normed_.reserve(bf16_bytes(rows, hidden_));
  branch_.reserve(static_cast<std::size_t>(config_->has_branches() ? rows * hidden_ : 0) * sizeof(float));
  scales_.reserve(static_cast<std::size_t>(rows) * 2 * sizeof(float));
  wide_.reserve(bf16_bytes(rows, std::max(q_width_ + 2 * kv_width_, 2 * inner_)));
}

void CudaForward::release() {
  if (n_ <= kKeepRows) return;
  for (MemoryBlock* block : {&ids_, &x_, &q_, &k_, &v_, &normed_, &branch_, &scales_, &wide_, &logits_})
    block->release();
  experts_.release();
}

void CudaForward::decode(std::span<const DecodeRow> rows, std::span<float> out) { decode_.run(rows, out); }

template <class Task>
void CudaForward::for_chunks(std::int64_t begin, std::int64_t end, const Task& task) const {
  for (std::int64_t row = begin; row < end; row += chunk_) task({row, std::min(chunk_, end - row)});
}

}  // namespace tca::runtime::gpu
