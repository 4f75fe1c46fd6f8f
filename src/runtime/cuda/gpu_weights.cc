#include "runtime/cuda/gpu_weights.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <span>
#include <string>

#include "core/check.h"
#include "core/half.h"
#include "cuda/device.h"
#include "runtime/cuda/kernels.h"

namespace tca::runtime::gpu {
namespace {

constexpr std::int64_t kConvertedAtOnce = std::int64_t{1} << 25;  // elements: 64 MiB of bf16 on the host

/// Rows of a matrix that come from one stored tensor.
struct Part {
  std::string name;  // without ".weight" and ".bias"
  std::int64_t rows;
};

/// Where the values come from.
class Source {
 public:
  Source(cuda::Device& device, GpuWeights& weights) : device_(device), weights_(&weights) {}
  virtual ~Source() = default;

  /// Parts one below the other: [sum of rows, in].
  Matrix matrix(std::span<const Part> parts, std::int64_t in, bool with_bias) {
    Matrix result{.in = in};
    for (const Part& part : parts) result.out += part.rows;
    auto* const elements = static_cast<std::uint16_t*>(allocate(result.out * in * 2));
    result.weight = elements;
    std::int64_t row = 0;
    for (const Part& part : parts) {
      fill_matrix(part.name + ".weight", part.rows, in, elements + row * in);
      row += part.rows;
    }
    if (with_bias) result.bias = bias(parts, result.out);
    return result;
  }
  const float* vector(const std::string& name, std::int64_t size) {
    auto* const values = static_cast<float*>(allocate(size * 4));
    fill_vector(name, size, values);
    return values;
  }

 protected:
  /// Into GPU memory: [rows, in] bf16, [size] fp32.
  virtual void fill_matrix(const std::string& name, std::int64_t rows, std::int64_t in, std::uint16_t* to) = 0;
  virtual void fill_vector(const std::string& name, std::int64_t size, float* to) = 0;

  cuda::Device& device_;

 private:
  const float* bias(std::span<const Part> parts, std::int64_t size) {
    auto* const values = static_cast<float*>(allocate(size * 4));
    std::int64_t row = 0;
    for (const Part& part : parts) {
      fill_vector(part.name + ".bias", part.rows, values + row);
      row += part.rows;
    }
    return values;
  }
  void* allocate(std::int64_t bytes) {
    weights_->bytes += static_cast<std::size_t>(bytes);
    return weights_->blocks.emplace_back(device_.memory()).reserve(static_cast<std::size_t>(bytes));
  }

  GpuWeights* weights_;
};

class StoredSource final : public Source {
 public:
  StoredSource(cuda::Device& device, GpuWeights& weights, const TensorSource& tensors, ThreadPool& pool)
      : Source(device, weights), tensors_(tensors), pool_(pool) {}

 private:
  void fill_matrix(const std::string& name, std::int64_t rows, std::int64_t in, std::uint16_t* to) override {
    const StoredTensor& stored = tensors_.get(name, {rows, in});
    Memory& memory = device_.memory();
    const bool as_is = stored.is_plain() && stored.dtype == DType::kBF16;
    if (as_is) return memory.copy(to, stored.data, static_cast<std::size_t>(rows * in) * 2);
    const std::int64_t step = std::max<std::int64_t>(1, kConvertedAtOnce / in);
    std::vector<std::uint16_t> converted(static_cast<std::size_t>(std::min(step, rows) * in));
    for (std::int64_t begin = 0; begin < rows; begin += step) {
      const std::int64_t count = std::min(step, rows - begin);
      pool_.parallel_for(count, [&](std::int64_t row, int) {
        std::vector<float> values(static_cast<std::size_t>(in));
        read_rows(stored, begin + row, 1, values.data());
        convert_row(values.data(), converted.data() + row * in, DType::kBF16, in);
      });
      memory.copy(to + begin * in, converted.data(), static_cast<std::size_t>(count * in) * 2);
    }
    tensors_.drop_pages(stored);
  }

  void fill_vector(const std::string& name, std::int64_t size, float* to) override {
    const StoredTensor& stored = tensors_.get(name, {size});
    std::vector<float> values(static_cast<std::size_t>(size));
    read_vector(stored, values.data());
    device_.memory().copy(to, values.data(), values.size() * sizeof(float));
  }

  const TensorSource& tensors_;
  ThreadPool& pool_;
};

class RandomSource final : public Source {
 public:
  RandomSource(cuda::Device& device, GpuWeights& weights, std::uint64_t seed) : Source(device, weights), seed_(seed) {}

 private:
  void fill_matrix(const std::string&, std::int64_t rows, std::int64_t in, std::uint16_t* to) override {
    const float deviation = 1.0f / std::sqrt(static_cast<float>(in));
    const std::uint64_t seed = (seed_ << 20) + count_++;  // each matrix has one of its own
    cuda::check(fill_random(to, rows * in, deviation, seed, device_.stream()), "drawing weights");
  }
  void fill_vector(const std::string&, std::int64_t size, float* to) override {
    cuda::check(fill_ones(to, size, device_.stream()), "drawing weights");
  }

  std::uint64_t seed_, count_ = 0;
};

GpuLayer read_layer(Source& source, const ModelConfig& config, std::int32_t index) {
  const std::string layer = text("model.layers.", index, ".");
  const std::string attention = layer + "self_attn.", mlp = layer + "mlp.";
  const std::int64_t hidden = config.hidden_size, inner = config.intermediate_size, d = config.head_dim;
  const std::int64_t q_width = config.num_heads * d, kv_width = config.num_kv_heads * d;
  GpuLayer w;
  w.attention_norm = source.vector(layer + "input_layernorm.weight", hidden);
  const std::array<Part, 3> qkv = {Part{attention + "q_proj", q_width}, Part{attention + "k_proj", kv_width},
                                   Part{attention + "v_proj", kv_width}};
  w.qkv = source.matrix(qkv, hidden, config.qkv_bias);
  if (config.qk_norm) {
    w.q_norm = source.vector(attention + "q_norm.weight", d);
    w.k_norm = source.vector(attention + "k_norm.weight", d);
  }
  w.o = source.matrix(std::array{Part{attention + "o_proj", hidden}}, q_width, config.out_bias);
  w.mlp_norm = source.vector(layer + "post_attention_layernorm.weight", hidden);
  const std::array<Part, 2> gate_up = {Part{mlp + "gate_proj", inner}, Part{mlp + "up_proj", inner}};
  w.gate_up = source.matrix(gate_up, hidden, config.mlp_bias);
  w.down = source.matrix(std::array{Part{mlp + "down_proj", hidden}}, inner, config.mlp_bias);
  return w;
}

void read_weights(Source& source, const ModelConfig& config, const EmbeddingNames& names, GpuWeights& weights) {
  const std::int64_t hidden = config.hidden_size, vocab = config.vocab_size;
  const Matrix embedding = source.matrix(std::array{Part{names.input, vocab}}, hidden, false);
  weights.embedding = embedding.weight;
  weights.lm_head = names.tied() ? embedding : source.matrix(std::array{Part{names.output, vocab}}, hidden, false);
  for (std::int32_t layer = 0; layer < config.num_layers; ++layer) {
    weights.layers.push_back(read_layer(source, config, layer));
  }
  weights.final_norm = source.vector("model.norm.weight", hidden);
}

}  // namespace

void check_config(const ModelConfig& config) {
  constexpr std::array kHeadDims = {64, 96, 128, 256};
  check_supported(std::find(kHeadDims.begin(), kHeadDims.end(), config.head_dim) != kHeadDims.end(), "head_dim is ",
                  config.head_dim, "; the GPU's kernels take 64, 96, 128 and 256: use the CPU");
  for (const auto& [name, value] :
       {std::pair{"hidden_size", config.hidden_size}, std::pair{"intermediate_size", config.intermediate_size}}) {
    check_supported(value % 8 == 0, name, " is ", value, "; the GPU's kernels take multiples of 8: use the CPU");
  }
}

GpuWeights load_weights(cuda::Device& device, const TensorSource& tensors, const ModelConfig& config,
                        ThreadPool& pool) {
  const cuda::DeviceGuard guard(device.ordinal());
  GpuWeights weights;
  StoredSource source(device, weights, tensors, pool);
  read_weights(source, config, find_embeddings(tensors, config.tie_word_embeddings), weights);
  return weights;
}

GpuWeights random_weights(cuda::Device& device, const ModelConfig& config, std::uint64_t seed) {
  const cuda::DeviceGuard guard(device.ordinal());
  GpuWeights weights;
  RandomSource source(device, weights, seed);
  EmbeddingNames names;
  if (config.tie_word_embeddings) names.output = names.input;
  read_weights(source, config, names, weights);
  device.synchronize();  // forward passes run on streams of their own
  return weights;
}

}  // namespace tca::runtime::gpu
