#include "runtime/cuda/cuda_model.h"

#include <algorithm>
#include <bit>
#include <utility>

#include "core/check.h"
#include "cuda/device.h"
#include "runtime/cuda/cuda_forward.h"
#include "runtime/cuda/cuda_model_impl.h"
#include "runtime/io/safetensors.h"

namespace tca::runtime {
namespace gpu {

CudaModel::CudaModel(std::shared_ptr<cuda::Device> device, const ModelConfig& config, GpuWeights weights,
                     std::int64_t skinny_rows)
    : device_(std::move(device)),
      weights_(std::move(weights)),
      frequencies_(rope_frequencies(config.ropes[0], config.head_dim)),
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

const RopeTables& CudaModel::rope(std::int64_t positions, ThreadPool& pool) const {
  constexpr std::int64_t kLeast = 4096;
  const std::lock_guard lock(rope_mutex_);
  if (!rope_.empty() && rope_.back()->positions >= positions) return *rope_.back();
  auto tables = std::make_unique<RopeTables>();
  tables->positions = std::max(kLeast, static_cast<std::int64_t>(std::bit_ceil(static_cast<std::uint64_t>(positions))));
  RopeTable values;
  values.fill(frequencies_, 0, tables->positions, pool);
  const std::size_t bytes = static_cast<std::size_t>(tables->positions) * frequencies_.inverse.size() * sizeof(float);
  for (const auto& [block, from] : {std::pair{&tables->cos, values.cos(0)}, std::pair{&tables->sin, values.sin(0)}}) {
    *block = MemoryBlock(memory());
    memory().copy(block->reserve(bytes), from, bytes);  // waits, so that every stream may read it
  }
  rope_.push_back(std::move(tables));
  return *rope_.back();
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

std::shared_ptr<const Model> load_on_gpu(const std::string& dir, ThreadPool& pool, const CudaModelOptions& options) {
  ModelConfig config = ModelConfig::load(dir);
  const std::shared_ptr<cuda::Device> device = checked_device(config, options);
  const Checkpoint checkpoint = Checkpoint::open(dir);
  auto model = std::make_unique<gpu::CudaModel>(device, config, gpu::load_weights(*device, checkpoint, config, pool),
                                                options.skinny_rows);
  const auto& warnings = checkpoint.warnings();
  config.warnings.insert(config.warnings.end(), warnings.begin(), warnings.end());
  return Model::create(std::move(config), checkpoint.fingerprint(), checkpoint.content_hash(), std::move(model));
}

std::shared_ptr<const Model> random_model(const ModelConfig& config, std::uint64_t seed,
                                          const CudaModelOptions& options) {
  const std::shared_ptr<cuda::Device> device = checked_device(config, options);
  auto model =
      std::make_unique<gpu::CudaModel>(device, config, gpu::random_weights(*device, config, seed), options.skinny_rows);
  return Model::create(config, "", "", std::move(model));
}

}  // namespace tca::runtime
