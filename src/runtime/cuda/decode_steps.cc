#include "runtime/cuda/decode_steps.h"

#include <cuda_bf16.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>

#include "core/check.h"
#include "core/kv_cache_impl.h"
#include "cuda/device.h"
#include "cuda/faults.h"
#include "cuda/kv/device_pages.h"
#include "cuda/kv/page_tables.h"
#include "cuda/smxx/decode/decode.h"

namespace tca::runtime::gpu {
namespace {

/// The pages of the pool that all rows share.
cuda::DevicePages& pages_of(std::span<const DecodeRow> rows, const cuda::Device& device) {
  for (const DecodeRow& row : rows) {
    check_argument(row.cache != nullptr, "a row to decode has no cache");
    check_argument(row.cache->pool() == rows[0].cache->pool(), "rows to decode have caches of different pools");
  }
  auto* const pages = dynamic_cast<cuda::DevicePages*>(&KvPoolAccess::pages(*rows[0].cache->pool()));
  check_argument(pages != nullptr,
                 "the KV cache of a model on the GPU lies in host memory; make its pool with the "
                 "cuda backend's create_kv_pool()");
  check_argument(pages->device().is_same_stream(device),
                 "rows to decode have caches of another stream than the forward pass; make their pool with the backend "
                 "whose stream that is");
  return *pages;
}

}  // namespace

// ---- Memory ----

void PinnedBlock::reserve(std::size_t bytes) {
  if (bytes <= bytes_) return;
  release();
  data_ = static_cast<std::byte*>(cuda::allocate_pinned(bytes));
  bytes_ = bytes;
}

void PinnedBlock::release() noexcept {
  if (data_ != nullptr) (void)cudaFreeHost(data_);
  data_ = nullptr;
  bytes_ = 0;
}

DecodeSteps::DecodeSteps(cuda::Device& device, const ModelConfig& config, const CudaModel& model,
                         const StreamProducts& products, ThreadPool& pool)
    : device_(&device),
      config_(&config),
      model_(&model),
      products_(&products),
      pool_(&pool),
      hidden_(config.hidden_size),
      q_width_(config.q_width()),
      eps_(static_cast<float>(config.rms_norm_eps)),
      experts_(device) {
  for (MemoryBlock* block : {&control_block_, &x_, &normed_, &wide_, &branch_, &scales_, &q_, &attended_, &lse_,
                             &partial_, &counters_, &logits_}) {
    *block = MemoryBlock(device.memory());
  }
}

DecodeSteps::~DecodeSteps() {
  forget_graphs();
  if (recording_ != nullptr) (void)cudaStreamDestroy(recording_);
}

void DecodeSteps::reserve(std::int64_t rows) {
  if (rows <= capacity_) return;
  forget_graphs();
  capacity_ = 0;  // until all of it is there
  const auto capacity = static_cast<std::int64_t>(std::bit_ceil(static_cast<std::uint64_t>(rows)));
  const auto bytes = [&](std::int64_t width, std::size_t element) {
    return static_cast<std::size_t>(capacity * width) * element;
  };
  cuda::check(cuda::decode_splits(&num_splits_), "setting decoding up");
  if (recording_ == nullptr) {
    cuda::check(cudaStreamCreateWithFlags(&recording_, cudaStreamNonBlocking), "making a stream");
  }
  x_.reserve(bytes(hidden_, 4));
  normed_.reserve(bytes(hidden_, 2));
  const std::int64_t qkv_width = q_width_ + 2 * config_->kv_width();
  wide_.reserve(bytes(std::max(qkv_width, 2 * config_->widest_mlp()), 2));
  branch_.reserve(config_->has_branches() ? bytes(hidden_, 4) : 0);
  scales_.reserve(bytes(2, 4));
  experts_.reserve(*config_, capacity);
  q_.reserve(bytes(q_width_, 2));
  attended_.reserve(bytes(q_width_, 2));
  lse_.reserve(bytes(config_->num_heads, 4));
  logits_.reserve(bytes(config_->vocab_size, 4));
  host_logits_.reserve(bytes(config_->vocab_size, 4));

  cuda::DecodeArgs largest = {};
  largest.kv.num_sequences = static_cast<std::int32_t>(capacity);
  largest.kv.num_kv_heads = config_->num_kv_heads;
  largest.kv.head_dim = config_->head_dim;
  largest.num_queries = 1;
  largest.num_heads = config_->num_heads;
  largest.num_splits = num_splits_;
  partial_.reserve(static_cast<std::size_t>(cuda::decode_partial_floats(largest)) * sizeof(float));
  const std::size_t counter_bytes = static_cast<std::size_t>(cuda::decode_counters(largest)) * sizeof(std::int32_t);
  counters_.reserve(counter_bytes);
  cuda::check(cudaMemsetAsync(counters_.data(), 0, counter_bytes, device_->stream()), "setting decoding up");

  control_ = {.base = nullptr, .capacity = capacity, .num_layers = config_->num_layers};
  const std::size_t control_bytes = control_.bytes();
  host_control_.reserve(control_bytes);
  control_block_.reserve(control_bytes);
  gpu_control_ = control_;
  control_.base = host_control_.data();
  gpu_control_.base = static_cast<std::byte*>(control_block_.data());
  capacity_ = capacity;
}

// ---- A step ----

void DecodeSteps::run(std::span<const DecodeRow> rows, std::span<float> logits) {
  const auto count = static_cast<std::int64_t>(rows.size());
  check_argument(count >= 1 && count <= kMaxDecodeRows, count, " rows to decode; expected 1 to ", kMaxDecodeRows);
  check_argument(logits.empty() || logits.size() == rows.size() * static_cast<std::size_t>(config_->vocab_size),
                 "logits has ", logits.size(), " elements for ", count, " rows of ", config_->vocab_size);
  const cuda::DeviceGuard guard(device_->ordinal());
  cuda::DevicePages& pages = pages_of(rows, *device_);
  reserve(count);
  prepare(pages, rows);
  if (const Recorded now = {pages.base(), rope_}; now != recorded_) {
    forget_graphs();
    recorded_ = now;
  }
  const bool probes = std::any_of(rows.begin(), rows.end(), [](const DecodeRow& row) { return !row.probes.empty(); });
  try {
    launch({count, probes});
    device_->synchronize();
  } catch (...) {
    // What was queued reads host_control_, and writes to pages that are about to be given back.
    (void)cudaStreamSynchronize(device_->stream());
    throw;
  }
  if (!logits.empty()) std::memcpy(logits.data(), host_logits_.data(), logits.size_bytes());
}

/// Everything the GPU has to know: where the tokens' K and V go, and what the rows are.
void DecodeSteps::prepare(cuda::DevicePages& pages, std::span<const DecodeRow> rows) {
  const std::int32_t num_layers = config_->num_layers;
  std::int64_t last = 0;
  for (const DecodeRow& row : rows) last = std::max(last, row.position);
  for (const DecodeRow& row : rows) {
    check_argument(row.long_context == rows[0].long_context, "rows to decode have different rotary embeddings");
  }
  rope_ = &model_->rope(last + 1, rows[0].long_context, *pool_);
  cuda::PageTableUpdate update(pages);
  for (const DecodeRow& row : rows) {
    KvCacheAccess::extend(*row.cache);
    update.add(*row.cache, 0, num_layers);
  }
  update.run();
  for (std::size_t r = 0; r < rows.size(); ++r) {
    const DecodeRow& row = rows[r];
    control_.ids()[r] = row.id;
    control_.positions()[r] = row.position;
    control_.slots()[r] = row.probe_slot;
    const cuda::PageTables& tables = cuda::PageTables::of(*row.cache);
    for (std::int32_t layer = 0; layer < num_layers; ++layer) {
      control_.sequences(layer)[r] = tables.layer(layer);
      const ProbeTarget target = row.probes.empty() ? ProbeTarget{} : row.probes[static_cast<std::size_t>(layer)];
      control_.probes(layer)[r] = {target.queries, target.lse};
    }
  }
}

void DecodeSteps::launch(Kind kind) {
  const auto [entry, is_new] = graphs_.try_emplace(kind, nullptr);
  if (is_new) {
    try {
      return queue_step(kind, device_->stream());
    } catch (...) {
      graphs_.erase(entry);  // kernels may not be loaded
      throw;
    }
  }
  if (entry->second == nullptr) entry->second = record(kind);
  const auto lock = products_->lock();
  cuda::check(cudaGraphLaunch(entry->second, device_->stream()), "decoding");
}

cudaGraphExec_t DecodeSteps::record(Kind kind) {
  cudaGraph_t graph = nullptr;
  cudaGraphExec_t exec = nullptr;
  cuda::check(cudaStreamBeginCapture(recording_, cudaStreamCaptureModeThreadLocal), "recording a step");
  try {
    queue_step(kind, recording_);
  } catch (...) {
    (void)cudaStreamEndCapture(recording_, &graph);
    if (graph != nullptr) (void)cudaGraphDestroy(graph);
    throw;
  }
  cuda::check(cudaStreamEndCapture(recording_, &graph), "recording a step");
  const cudaError_t error =
      cuda::allocation_fails() ? cudaErrorMemoryAllocation : cudaGraphInstantiate(&exec, graph, 0);
  (void)cudaGraphDestroy(graph);
  cuda::check(error, "recording a step");
  return exec;
}

void DecodeSteps::forget_graphs() noexcept {
  for (const auto& [kind, graph] : graphs_) {
    if (graph != nullptr) (void)cudaGraphExecDestroy(graph);
  }
  graphs_.clear();
}

// ---- Its kernels ----

void DecodeSteps::queue_step(Kind kind, cudaStream_t stream) {
  const GpuWeights& weights = model_->weights();
  const std::int64_t rows = kind.first;
  auto* const x = static_cast<float*>(x_.data());
  cuda::check(cudaMemcpyAsync(gpu_control_.base, control_.base, control_.bytes(), cudaMemcpyHostToDevice, stream),
              "preparing a step");
  cuda::check(embed(weights.embedding, gpu_control_.ids(), static_cast<float>(config_->embedding_scale), x, rows,
                    config_->hidden_size, stream),
              "reading embeddings");
  for (std::int32_t index = 0; index < config_->num_layers; ++index) queue_layer(index, kind, stream);
  cuda::check(rms_norm(x, weights.final_norm, normed_.data(), rows, config_->hidden_size, eps_, stream), "normalising");
  products_->multiply(weights.lm_head, normed_.data(), hidden_, logits_.data(), Output::kF32, rows, stream);
  cuda::check(cudaMemcpyAsync(host_logits_.data(), logits_.data(),
                              static_cast<std::size_t>(rows * config_->vocab_size) * sizeof(float),
                              cudaMemcpyDeviceToHost, stream),
              "reading logits");
}

void DecodeSteps::queue_layer(std::int32_t index, Kind kind, cudaStream_t stream) {
  const LayerSpec& spec = config_->layers[static_cast<std::size_t>(index)];
  const GpuLayer& w = model_->weights().layers[static_cast<std::size_t>(index)];
  const std::int64_t rows = kind.first;
  auto* const x = static_cast<float*>(x_.data());
  const auto normalise = [&](const float* weight) {
    cuda::check(rms_norm(x, weight, normed_.data(), rows, config_->hidden_size, eps_, stream), "normalising");
  };
  normalise(w.attention_norm);
  products_->multiply(w.qkv, normed_.data(), hidden_, wide_.data(), Output::kBf16, rows, stream);
  attend(index, kind, stream);
  add_product(w.o, attended_.data(), q_width_, w.attention_out_norm, rows, stream);
  normalise(w.mlp_norm);
  queue_mlp(spec, w, rows, stream);
}

void DecodeSteps::queue_mlp(const LayerSpec& spec, const GpuLayer& w, std::int64_t rows, cudaStream_t stream) {
  if (spec.experts) {
    const bool normed = w.mlp_out_norm != nullptr;
    experts_.run_few({.spec = &spec,
                      .weights = &w,
                      .x = normed_.data(),
                      .rows = rows,
                      .out = static_cast<float*>(normed ? branch_.data() : x_.data()),
                      .factor = normed ? 1.f : static_cast<float>(config_->residual_scale),
                      .add = !normed},
                     *products_, stream);
    if (normed) add_branch(nullptr, w.mlp_out_norm, rows, stream);
    return;
  }
  const std::int64_t inner = spec.mlp.gate.out;
  products_->multiply(w.gate_up, normed_.data(), hidden_, wide_.data(), Output::kBf16, rows, stream);
  cuda::check(activate(spec.activation, wide_.data(), w.gate_up.bias, rows, static_cast<std::int32_t>(inner), stream),
              "activating");
  add_product(w.down, wide_.data(), 2 * inner, w.mlp_out_norm, rows, stream);
}

void DecodeSteps::add_product(const Matrix& matrix, const void* from, std::int64_t stride, const float* norm,
                              std::int64_t rows, cudaStream_t stream) {
  if (norm != nullptr || config_->residual_scale != 1) {
    products_->multiply(matrix, from, stride, branch_.data(), Output::kF32, rows, stream);
    return add_branch(matrix.bias, norm, rows, stream);
  }
  auto* const x = static_cast<float*>(x_.data());
  products_->multiply(matrix, from, stride, x, Output::kAddF32, rows, stream);
  if (matrix.bias == nullptr) return;
  cuda::check(add_bias(x, matrix.bias, rows, config_->hidden_size, stream), "adding a bias");
}

void DecodeSteps::add_branch(const float* bias, const float* norm, std::int64_t rows, cudaStream_t stream) {
  cuda::check(gpu::add_branch({.x = static_cast<float*>(x_.data()),
                               .branch = static_cast<float*>(branch_.data()),
                               .bias = bias,
                               .weight = norm,
                               .rows = rows,
                               .width = config_->hidden_size,
                               .eps = eps_,
                               .factor = static_cast<float>(config_->residual_scale)},
                              stream),
              "adding a branch");
}

/// From the qkv product to the attention's output; K and V go into the pages on the way.
void DecodeSteps::attend(std::int32_t index, Kind kind, cudaStream_t stream) {
  const LayerSpec& spec = config_->layers[static_cast<std::size_t>(index)];
  const GpuLayer& w = model_->weights().layers[static_cast<std::size_t>(index)];
  const auto [rows, probes] = kind;
  const cuda::PagedLayer kv = {.pool = recorded_.pool,
                               .sequences = gpu_control_.sequences(index),
                               .num_sequences = static_cast<std::int32_t>(rows),
                               .num_kv_heads = config_->num_kv_heads,
                               .head_dim = config_->head_dim};
  const TokenHeads heads = {.heads = head_args(*config_, spec, w, *rope_, {wide_, scales_, rows}),
                            .positions = gpu_control_.positions(),
                            .slots = gpu_control_.slots(),
                            .probes = gpu_control_.probes(index),
                            .kv = kv,
                            .q = q_.data()};
  if (spec.norms_heads_as_one()) cuda::check(scale_rows(heads.heads, stream), "normalising");
  cuda::check(split_tokens(heads, stream), "rotating heads");
  const cuda::DecodeArgs args = {.q = q_.data(),
                                 .out = attended_.data(),
                                 .lse = probes ? static_cast<float*>(lse_.data()) : nullptr,
                                 .q_token_stride = q_width_,
                                 .out_token_stride = q_width_,
                                 .kv = kv,
                                 .num_queries = 1,
                                 .num_heads = config_->num_heads,
                                 .scale = 1.0f / std::sqrt(static_cast<float>(config_->head_dim)),
                                 .partial = static_cast<float*>(partial_.data()),
                                 .counters = static_cast<std::int32_t*>(counters_.data()),
                                 .num_splits = num_splits_};
  cuda::check(cuda::decode<__nv_bfloat16>(args, stream), "attending");
  if (!probes) return;
  cuda::check(collect_lse(args.lse, heads.probes, heads.slots, rows, config_->num_heads, stream), "collecting probes");
}

}  // namespace tca::runtime::gpu
