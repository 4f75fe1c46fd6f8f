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
#include "runtime/io/spec_tensors.h"

namespace tca::runtime::gpu {
namespace {

constexpr std::int64_t kConvertedAtOnce = std::int64_t{1} << 25;  // elements: 64 MiB of bf16 on the host

/// Where the values come from.
class Source {
 public:
  Source(cuda::Device& device, GpuWeights& weights) : device_(device), weights_(&weights) {}
  virtual ~Source() = default;

  /// Parts one below the other: [sum of their rows, in].
  Matrix matrix(std::span<const MatrixSpec> parts) {
    Matrix result{.in = parts[0].in};
    for (const MatrixSpec& part : parts) result.out += part.out;
    auto* const elements = static_cast<std::uint16_t*>(allocate(result.out * result.in * 2));
    result.weight = elements;
    std::int64_t row = 0;
    for (const MatrixSpec& part : parts) {
      fill_matrix(part, elements + row * result.in);
      row += part.out;
    }
    if (parts[0].bias) result.bias = bias(parts, result.out);
    return result;
  }
  Matrix matrix(const MatrixSpec& whole) { return matrix(std::span(&whole, 1)); }
  const float* norm(const NormSpec& spec) {
    if (!spec.exists()) return nullptr;
    auto* const values = static_cast<float*>(allocate(spec.size * 4));
    fill_norm(spec, values);
    return values;
  }

 protected:
  /// Into GPU memory: [out, in] bf16, [out] and [size] fp32.
  virtual void fill_matrix(const MatrixSpec& matrix, std::uint16_t* to) = 0;
  virtual void fill_bias(const MatrixSpec& matrix, float* to) = 0;
  virtual void fill_norm(const NormSpec& norm, float* to) = 0;

  cuda::Device& device_;

 private:
  const float* bias(std::span<const MatrixSpec> parts, std::int64_t size) {
    auto* const values = static_cast<float*>(allocate(size * 4));
    std::int64_t row = 0;
    for (const MatrixSpec& part : parts) {
      fill_bias(part, values + row);
      row += part.out;
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
  void fill_matrix(const MatrixSpec& matrix, std::uint16_t* to) override {
    const StoredMatrix stored(tensors_, matrix);
    const std::int64_t rows = stored.rows(), in = stored.width();
    Memory& memory = device_.memory();
    const bool as_is = stored.is_plain() && stored.tensor().dtype == DType::kBF16;
    if (as_is) return memory.copy(to, stored.row(0), static_cast<std::size_t>(rows * in) * 2);
    const std::int64_t step = std::max<std::int64_t>(1, kConvertedAtOnce / in);
    std::vector<std::uint16_t> converted(static_cast<std::size_t>(std::min(step, rows) * in));
    for (std::int64_t begin = 0; begin < rows; begin += step) {
      const std::int64_t count = std::min(step, rows - begin);
      pool_.parallel_for(count, [&](std::int64_t row, int) {
        std::vector<float> values(static_cast<std::size_t>(in));
        stored.read_rows(begin + row, 1, values.data());
        convert_row(values.data(), converted.data() + row * in, DType::kBF16, in);
      });
      memory.copy(to + begin * in, converted.data(), static_cast<std::size_t>(count * in) * 2);
    }
    tensors_.drop_pages(stored.tensor());
  }

  void fill_bias(const MatrixSpec& matrix, float* to) override { copy(read_bias(tensors_, matrix), to); }
  void fill_norm(const NormSpec& norm, float* to) override { copy(read_norm(tensors_, norm), to); }
  void copy(const std::vector<float>& values, float* to) const {
    device_.memory().copy(to, values.data(), values.size() * sizeof(float));
  }

  const TensorSource& tensors_;
  ThreadPool& pool_;
};

class RandomSource final : public Source {
 public:
  RandomSource(cuda::Device& device, GpuWeights& weights, std::uint64_t seed) : Source(device, weights), seed_(seed) {}

 private:
  void fill_matrix(const MatrixSpec& matrix, std::uint16_t* to) override {
    const float deviation = 1.0f / std::sqrt(static_cast<float>(matrix.in));
    const std::uint64_t seed = (seed_ << 20) + count_++;  // each matrix has one of its own
    cuda::check(fill_random(to, matrix.out * matrix.in, deviation, seed, device_.stream()), "drawing weights");
  }
  void fill_bias(const MatrixSpec& matrix, float* to) override { fill_with_ones(to, matrix.out); }
  void fill_norm(const NormSpec& norm, float* to) override { fill_with_ones(to, norm.size); }
  void fill_with_ones(float* to, std::int64_t size) {
    cuda::check(fill_ones(to, size, device_.stream()), "drawing weights");
  }

  std::uint64_t seed_, count_ = 0;
};

GpuLayer read_layer(Source& source, const LayerSpec& spec) {
  GpuLayer w;
  w.attention_norm = source.norm(spec.attention_norm);
  w.qkv = source.matrix(std::array{spec.q, spec.k, spec.v});
  w.q_norm = source.norm(spec.q_norm);
  w.k_norm = source.norm(spec.k_norm);
  w.o = source.matrix(spec.o);
  w.attention_out_norm = source.norm(spec.attention_out_norm);
  w.mlp_norm = source.norm(spec.mlp_norm);
  std::vector<MatrixSpec> opening, closing;
  const auto add = [&](const MlpSpec& mlp) {
    opening.insert(opening.end(), {mlp.gate, mlp.up});
    closing.push_back(mlp.down);
  };
  if (spec.experts) {
    w.router = source.matrix(spec.experts->router);
    for (const MlpSpec& expert : spec.experts->experts) add(expert);
  } else {
    add(spec.mlp);
  }
  w.gate_up = source.matrix(opening);
  w.down = source.matrix(closing);
  w.mlp_out_norm = source.norm(spec.mlp_out_norm);
  return w;
}

void read_weights(Source& source, const ModelConfig& config, const EmbeddingNames& names, GpuWeights& weights) {
  const auto table = [&](const std::string& name) {
    return source.matrix(MatrixSpec{.name = name, .in = config.hidden_size, .out = config.vocab_size});
  };
  const Matrix embedding = table(names.input);
  weights.embedding = embedding.weight;
  weights.lm_head = names.tied() ? embedding : table(names.output);
  for (const LayerSpec& layer : config.layers) weights.layers.push_back(read_layer(source, layer));
  weights.final_norm = source.norm(config.final_norm);
}

}  // namespace

void check_config(const ModelConfig& config) {
  constexpr std::array kHeadDims = {64, 96, 128, 256};
  check_supported(std::find(kHeadDims.begin(), kHeadDims.end(), config.head_dim) != kHeadDims.end(), "head_dim is ",
                  config.head_dim, "; the GPU's kernels take 64, 96, 128 and 256: use the CPU");
  const auto check_width = [](const char* name, std::int64_t value) {
    check_supported(value % 8 == 0, name, " is ", value, "; the GPU's kernels take multiples of 8: use the CPU");
  };
  check_width("hidden_size", config.hidden_size);
  for (const LayerSpec& layer : config.layers) {
    if (!layer.experts) {
      check_width("intermediate_size", layer.mlp.gate.out);
      continue;
    }
    const ExpertsSpec& experts = *layer.experts;
    check_width("the experts' intermediate size", experts.experts[0].gate.out);
    check_width("the number of experts", experts.router.out);
    check_supported(experts.router.out <= kMostExperts && experts.chosen <= kMostChosen, config.architecture, " takes ",
                    experts.chosen, " of ", experts.router.out, " experts; the GPU's kernels go up to ", kMostChosen,
                    " of ", kMostExperts, ": use the CPU");
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
