#include "runtime/cuda/cuda_model.h"

#include <algorithm>
#include <bit>
#include <utility>

#include "core/check.h"
#include "cuda/device.h"
#include "runtime/cuda/cuda_forward.h"
#include "runtime/cuda/cuda_model_impl.h"
#include "runtime/io/tensor_source.h"

namespace tca::runtime {
namespace gpu {

HeadArgs head_args(const ModelSpec& model, const LayerSpec& layer, const GpuLayer& weights, const RopeTables& rope,
                   const HeadRows& rows) {
  return {.qkv = rows.qkv.data(),
          .bias = weights.qkv.bias,
          .q_norm = weights.q_norm,
          .k_norm = weights.k_norm,
          .row_scales = layer.norms_heads_as_one() ? static_cast<float*>(rows.scales.data()) : nullptr,
          .cos = rope.cosines(layer.rope),
          .sin = rope.sines(layer.rope),
          .rows = rows.rows,
          .num_heads = model.num_heads,
          .num_kv_heads = model.num_kv_heads,
          .head_dim = model.head_dim,
          .eps = static_cast<float>(model.rms_norm_eps),
          .q_factor = static_cast<float>(model.query_scale)};
}

CudaModel::CudaModel(std::shared_ptr<cuda::Device> device, const ModelConfig& config, GpuWeights weights,
                     std::int64_t skinny_rows)
    : device_(std::move(device)),
      weights_(std::move(weights)),
      frequencies_{model_frequencies(config, false), model_frequencies(config, true)},
      products_(*device_, skinny_rows) {}

std::unique_ptr<Forward> CudaModel::create_forward(const Model& model, ThreadPool& pool, std::int64_t chunk_tokens,
                                                   const std::optional<Stream>& stream) const {
  check_argument(!stream || stream->device == number(), "the stream is one of GPU ", stream.value_or(Stream{}).device,
                 ", but the model lies on GPU ", number());
  return std::make_unique<CudaForward>(stream ? cuda::Device::on(*stream) : device_, model.config(), *this, pool,
                                       chunk_tokens);
}

void StreamProducts::multiply(const Matrix& w, const void* x, std::int64_t x_stride, void* out, Output output,
                              std::int64_t rows, cudaStream_t stream) const {
  run({.weight = w.weight,
       .x = x,
       .out = out,
       .rows = rows,
       .in = w.in,
       .columns = w.out,
       .x_stride = x_stride,
       .out_stride = w.out,
       .output = output},
      stream);
}

const RopeTables& CudaModel::rope(std::int64_t positions, bool long_context, ThreadPool& pool) const {
  constexpr std::int64_t kLeast = 4096;
  const std::lock_guard lock(rope_mutex_);
  auto& known = rope_[long_context ? 1 : 0];
  if (!known.empty() && known.back()->positions >= positions) return *known.back();
  auto all = std::make_unique<RopeTables>();
  all->positions = std::max(kLeast, static_cast<std::int64_t>(std::bit_ceil(static_cast<std::uint64_t>(positions))));
  for (const RopeFrequencies& frequencies : frequencies_[long_context ? 1 : 0]) {
    RopeTable values;
    values.fill(frequencies, 0, all->positions, pool);
    RopeTables::Table& table = all->tables.emplace_back();
    const std::size_t bytes = static_cast<std::size_t>(all->positions) * frequencies.inverse.size() * sizeof(float);
    for (const auto& [block, from] : {std::pair{&table.cos, values.cos(0)}, std::pair{&table.sin, values.sin(0)}}) {
      *block = MemoryBlock(memory());
      memory().copy(block->reserve(bytes), from, bytes);  // waits, so that every stream may read it
    }
  }
  known.push_back(std::move(all));
  return *known.back();
}

}  // namespace gpu

namespace {

std::shared_ptr<cuda::Device> checked_device(const ModelConfig& config, const CudaModelOptions& options) {
  check_supported(options.compute != ComputeType::kF32,
                  "compute is fp32, but the GPU computes in bf16 (with fp32 sums); use the CPU for fp32");
  gpu::check_config(config);
  return cuda::Device::get(options.device);
}

}  // namespace

std::shared_ptr<const Model> load_on_gpu(const std::string& path, ThreadPool& pool, const CudaModelOptions& options) {
  ModelConfig config = ModelConfig::load(path);
  const std::shared_ptr<cuda::Device> device = checked_device(config, options);
  const std::unique_ptr<const TensorSource> tensors = TensorSource::open(path);
  auto model = std::make_unique<gpu::CudaModel>(device, config, gpu::load_weights(*device, *tensors, config, pool),
                                                options.skinny_rows);
  const auto& warnings = tensors->warnings();
  config.warnings.insert(config.warnings.end(), warnings.begin(), warnings.end());
  return Model::create(std::move(config), tensors->fingerprint(), tensors->content_hash(), std::move(model));
}

std::shared_ptr<const Model> random_model(const ModelConfig& config, std::uint64_t seed,
                                          const CudaModelOptions& options) {
  const std::shared_ptr<cuda::Device> device = checked_device(config, options);
  auto model =
      std::make_unique<gpu::CudaModel>(device, config, gpu::random_weights(*device, config, seed), options.skinny_rows);
  return Model::create(config, "", "", std::move(model));
}

}  // namespace tca::runtime
