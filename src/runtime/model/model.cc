#include "runtime/model/model.h"

#include <atomic>
#include <cstdint>
#include <utility>
#include <vector>

#include "core/check.h"
#include "core/half.h"
#include "runtime/io/tensor_source.h"
#include "runtime/model/int8.h"
#include "runtime/model/weights.h"

namespace tca::runtime {
namespace {

/// Takes tensors out of a source, checked against the shapes that the configuration promises.
class WeightReader {
 public:
  /// activations: the type that products with them have. unpacked: that of weights that are stored in blocks.
  WeightReader(Weights& weights, DType activations, DType unpacked, WeightType type, ThreadPool& pool)
      : weights_(weights), activations_(activations), unpacked_(unpacked), type_(type), pool_(pool) {}

  const StoredTensor& tensor(const std::string& name, const std::vector<std::int64_t>& shape) const {
    return weights_.source->get(name, shape);
  }

  std::vector<float> vector(const std::string& name, std::int64_t size) {
    const StoredTensor& stored = tensor(name, {size});
    std::vector<float> values(static_cast<std::size_t>(size));
    read_vector(stored, values.data());
    weights_.bytes += values.size() * sizeof(float);
    return values;
  }

  Linear linear(const std::string& name, std::int64_t in, std::int64_t out, bool with_bias) {
    const std::string weight = name + ".weight";
    Linear result = from_stored(weight, tensor(weight, {out, in}));
    weights_.bytes += weight_bytes(result);
    if (with_bias) result.bias = vector(name + ".bias", out);
    return result;
  }

  Linear from_stored(const std::string& name, const StoredTensor& stored) {
    const DType kept = kept_type(stored);
    Linear result{.weight = stored.data, .dtype = kept, .in = stored.shape[1], .out = stored.shape[0]};
    const auto address = reinterpret_cast<std::uintptr_t>(stored.data);
    if (type_ == WeightType::kInt8) {
      quantise(name, stored, result);
    } else if (!stored.is_plain() || stored.dtype != kept || address % dtype_size(kept) != 0) {
      result.weight = convert(stored, kept);
    }
    return result;
  }

  static std::size_t weight_bytes(const Linear& linear) {
    if (linear.scales.empty()) return static_cast<std::size_t>(linear.in * linear.out) * dtype_size(linear.dtype);
    return linear.scales.size() * (static_cast<std::size_t>(linear.in) + sizeof(float));
  }

 private:
  // bf16 products want bf16 weights; others widen them on the way.
  DType kept_type(const StoredTensor& stored) const {
    if (stored.blocks != nullptr) return unpacked_;
    return stored.dtype == DType::kBF16 ? stored.dtype : activations_;
  }

  const void* convert(const StoredTensor& stored, DType dtype) {
    const std::int64_t width = stored.shape[1];
    const std::int64_t out_bytes = width * static_cast<std::int64_t>(dtype_size(dtype));
    std::byte* out = weights_.converted.emplace_back().reserve(static_cast<std::size_t>(stored.shape[0] * out_bytes));
    pool_.parallel_for(stored.shape[0], [&](std::int64_t row, int) {
      std::vector<float> values(static_cast<std::size_t>(width));
      read_rows(stored, row, 1, values.data());
      convert_row(values.data(), out + row * out_bytes, dtype, width);
    });
    weights_.source->drop_pages(stored);
    return out;
  }

  void quantise(const std::string& name, const StoredTensor& stored, Linear& linear) {
    const std::int64_t padded = int8::padded(linear.out);
    std::byte* out = weights_.converted.emplace_back().reserve(static_cast<std::size_t>(padded * linear.in));
    linear.weight = out;
    linear.scales.resize(static_cast<std::size_t>(padded));
    std::atomic<bool> finite{true};
    pool_.parallel_for(padded / int8::kChannels, [&](std::int64_t group, int) {
      const std::int64_t first = group * int8::kChannels, count = std::min(int8::kChannels, linear.out - first);
      auto* const quantised = reinterpret_cast<std::int8_t*>(out) + first * linear.in;
      float* const scales = linear.scales.data() + first;
      bool fine = false;
      if (stored.is_plain()) {
        fine = int8::quantise_group(stored.row(first), stored.dtype, count, linear.in, quantised, scales);
      } else {
        std::vector<float> values(static_cast<std::size_t>(count * linear.in));
        read_rows(stored, first, count, values.data());
        fine = int8::quantise_group(values.data(), DType::kF32, count, linear.in, quantised, scales);
      }
      if (!fine) finite = false;
    });
    check_supported(finite, "tensor \"", name,
                    "\" holds infinities or NaNs, which int8 has none of; use the stored weights");
    weights_.source->drop_pages(stored);
  }

  Weights& weights_;
  DType activations_, unpacked_;
  WeightType type_;
  ThreadPool& pool_;
};

LayerWeights read_layer(WeightReader& reader, const ModelConfig& config, std::int32_t index) {
  const std::string layer = text("model.layers.", index, ".");
  const std::string attention = layer + "self_attn.", mlp = layer + "mlp.";
  const std::int64_t hidden = config.hidden_size, inner = config.intermediate_size;
  const std::int64_t q_width = std::int64_t{config.num_heads} * config.head_dim;
  const std::int64_t kv_width = std::int64_t{config.num_kv_heads} * config.head_dim;
  LayerWeights w;
  w.attention_norm = reader.vector(layer + "input_layernorm.weight", hidden);
  w.q = reader.linear(attention + "q_proj", hidden, q_width, config.qkv_bias);
  w.k = reader.linear(attention + "k_proj", hidden, kv_width, config.qkv_bias);
  w.v = reader.linear(attention + "v_proj", hidden, kv_width, config.qkv_bias);
  if (config.qk_norm) {
    w.q_norm = reader.vector(attention + "q_norm.weight", config.head_dim);
    w.k_norm = reader.vector(attention + "k_norm.weight", config.head_dim);
  }
  w.o = reader.linear(attention + "o_proj", q_width, hidden, config.out_bias);
  w.mlp_norm = reader.vector(layer + "post_attention_layernorm.weight", hidden);
  w.gate = reader.linear(mlp + "gate_proj", hidden, inner, config.mlp_bias);
  w.up = reader.linear(mlp + "up_proj", hidden, inner, config.mlp_bias);
  w.down = reader.linear(mlp + "down_proj", inner, hidden, config.mlp_bias);
  return w;
}

void read_embeddings(WeightReader& reader, const ModelConfig& config, Weights& weights) {
  const std::int64_t hidden = config.hidden_size, vocab = config.vocab_size;
  const EmbeddingNames names = find_embeddings(*weights.source, config.tie_word_embeddings);
  weights.embedding = reader.tensor(names.input + ".weight", {vocab, hidden});
  weights.bytes += weights.embedding.num_bytes();
  const std::string output = names.output + ".weight";
  weights.lm_head = reader.from_stored(output, reader.tensor(output, {vocab, hidden}));
  if (weights.lm_head.weight != weights.embedding.data) {  // a second copy; rows are looked up as they are stored
    weights.bytes += WeightReader::weight_bytes(weights.lm_head);
  }
}

}  // namespace

std::shared_ptr<const Model> Model::load(const std::string& path, ThreadPool& pool, const ModelOptions& options) {
  const std::shared_ptr<Model> model(new Model);
  model->config_ = ModelConfig::load(path);
  model->precision_ = choose_precision(options.compute, has_bf16_products());
  model->weight_type_ = options.weights;
  model->weights_ = std::make_unique<Weights>();
  Weights& weights = *model->weights_;
  weights.source = TensorSource::open(path);
  model->weights_sha256_ = weights.source->fingerprint();
  const auto& warnings = weights.source->warnings();
  model->config_.warnings.insert(model->config_.warnings.end(), warnings.begin(), warnings.end());

  const DType unpacked = options.compute == ComputeType::kF32 ? DType::kF32 : DType::kBF16;
  WeightReader reader(weights, model->precision_.activations, unpacked, options.weights, pool);
  read_embeddings(reader, model->config_, weights);
  for (std::int32_t layer = 0; layer < model->config_.num_layers; ++layer) {
    weights.layers.push_back(read_layer(reader, model->config_, layer));
  }
  weights.final_norm = reader.vector("model.norm.weight", model->config_.hidden_size);
  return model;
}

std::shared_ptr<const Model> Model::create(ModelConfig config, std::string weights_sha256, std::string content_hash,
                                           std::unique_ptr<const DeviceModel> device) {
  const std::shared_ptr<Model> model(new Model);
  model->config_ = std::move(config);
  model->weights_sha256_ = std::move(weights_sha256);
  model->content_hash_ = std::move(content_hash);
  model->device_ = std::move(device);
  return model;
}

Model::~Model() = default;

ModelFingerprint Model::fingerprint() const {
  return {.architecture = config_.architecture,
          .num_layers = config_.num_layers,
          .num_heads = config_.num_heads,
          .num_kv_heads = config_.num_kv_heads,
          .head_dim = config_.head_dim,
          .rope = config_.rope.describe(),
          .vocab_size = config_.vocab_size,
          .weights_sha256 = weights_sha256_};
}

const std::string& Model::content_hash() const {
  // The CPU's weights are hashed when somebody asks: before they are used, their samples may have to come from a disk.
  std::call_once(hashed_, [this] {
    if (weights_ != nullptr) content_hash_ = weights_->source->content_hash();
  });
  return content_hash_;
}

std::size_t Model::weight_bytes() const { return device_ == nullptr ? weights_->bytes : device_->weight_bytes(); }

}  // namespace tca::runtime
