#include "runtime/model/model.h"

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <utility>
#include <vector>

#include "core/check.h"
#include "core/half.h"
#include "runtime/io/spec_tensors.h"
#include "runtime/model/int8.h"
#include "runtime/model/weights.h"

namespace tca::runtime {
namespace {

/// Takes tensors out of a source, checked against the shapes that the model's description has.
class WeightReader {
 public:
  /// activations: the type that products with them have. unpacked: that of weights that are stored in blocks.
  WeightReader(Weights& weights, DType activations, DType unpacked, WeightType type, ThreadPool& pool)
      : weights_(weights), activations_(activations), unpacked_(unpacked), type_(type), pool_(pool) {}

  std::vector<float> norm(const NormSpec& spec) {
    if (!spec.exists()) return {};
    return counted(read_norm(*weights_.source, spec));
  }

  Linear linear(const MatrixSpec& spec) { return linear(spec, type_); }
  /// As stored, whatever the model's weights are kept as.
  Linear stored_linear(const MatrixSpec& spec) { return linear(spec, WeightType::kStored); }

  /// Without the bias, and not counted among the bytes.
  Linear weight(const MatrixSpec& spec, WeightType type) {
    const StoredMatrix stored(*weights_.source, spec);
    const DType kept = kept_type(stored.tensor());
    Linear result{.weight = stored.row(0), .dtype = kept, .in = stored.width(), .out = stored.rows()};
    const auto address = reinterpret_cast<std::uintptr_t>(result.weight);
    if (type == WeightType::kInt8) {
      quantise(stored, result);
    } else if (!stored.is_plain() || stored.tensor().dtype != kept || address % dtype_size(kept) != 0) {
      result.weight = convert(stored, kept);
    }
    return result;
  }
  Linear weight(const MatrixSpec& spec) { return weight(spec, type_); }

  static std::size_t weight_bytes(const Linear& linear) {
    if (linear.scales.empty()) return static_cast<std::size_t>(linear.in * linear.out) * dtype_size(linear.dtype);
    return linear.scales.size() * (static_cast<std::size_t>(linear.in) + sizeof(float));
  }

 private:
  Linear linear(const MatrixSpec& spec, WeightType type) {
    Linear result = weight(spec, type);
    weights_.bytes += weight_bytes(result);
    if (spec.bias) result.bias = counted(read_bias(*weights_.source, spec));
    return result;
  }

  std::vector<float> counted(std::vector<float> values) {
    weights_.bytes += values.size() * sizeof(float);
    return values;
  }

  // bf16 products want bf16 weights; others widen them on the way.
  DType kept_type(const StoredTensor& stored) const {
    if (stored.blocks != nullptr) return unpacked_;
    return stored.dtype == DType::kBF16 ? stored.dtype : activations_;
  }

  const void* convert(const StoredMatrix& stored, DType dtype) {
    const std::int64_t width = stored.width();
    const std::int64_t out_bytes = width * static_cast<std::int64_t>(dtype_size(dtype));
    std::byte* out = weights_.converted.emplace_back().reserve(static_cast<std::size_t>(stored.rows() * out_bytes));
    pool_.parallel_for(stored.rows(), [&](std::int64_t row, int) {
      std::vector<float> values(static_cast<std::size_t>(width));
      stored.read_rows(row, 1, values.data());
      convert_row(values.data(), out + row * out_bytes, dtype, width);
    });
    weights_.source->drop_pages(stored.tensor());
    return out;
  }

  void quantise(const StoredMatrix& stored, Linear& linear) {
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
        fine = int8::quantise_group(stored.row(first), stored.tensor().dtype, count, linear.in, quantised, scales);
      } else {
        std::vector<float> values(static_cast<std::size_t>(count * linear.in));
        stored.read_rows(first, count, values.data());
        fine = int8::quantise_group(values.data(), DType::kF32, count, linear.in, quantised, scales);
      }
      if (!fine) finite = false;
    });
    check_supported(finite, "tensor \"", stored.name(),
                    "\" holds infinities or NaNs, which int8 has none of; use the stored weights");
    weights_.source->drop_pages(stored.tensor());
  }

  Weights& weights_;
  DType activations_, unpacked_;
  WeightType type_;
  ThreadPool& pool_;
};

MlpWeights read_mlp(WeightReader& reader, const MlpSpec& spec) {
  return {.gate = reader.linear(spec.gate), .up = reader.linear(spec.up), .down = reader.linear(spec.down)};
}

LayerWeights read_layer(WeightReader& reader, const LayerSpec& spec) {
  LayerWeights w;
  w.attention_norm = reader.norm(spec.attention_norm);
  w.attention_out_norm = reader.norm(spec.attention_out_norm);
  w.q = reader.linear(spec.q);
  w.k = reader.linear(spec.k);
  w.v = reader.linear(spec.v);
  w.q_norm = reader.norm(spec.q_norm);
  w.k_norm = reader.norm(spec.k_norm);
  w.o = reader.linear(spec.o);
  w.mlp_norm = reader.norm(spec.mlp_norm);
  w.mlp_out_norm = reader.norm(spec.mlp_out_norm);
  if (!spec.experts) {
    w.mlp = read_mlp(reader, spec.mlp);
    return w;
  }
  w.experts.router = reader.stored_linear(spec.experts->router);
  for (const MlpSpec& expert : spec.experts->experts) w.experts.experts.push_back(read_mlp(reader, expert));
  return w;
}

void read_embeddings(WeightReader& reader, const ModelConfig& config, Weights& weights) {
  const std::int64_t hidden = config.hidden_size, vocab = config.vocab_size;
  const EmbeddingNames names = find_embeddings(*weights.source, config.tie_word_embeddings);
  weights.embedding = weights.source->get(names.input + ".weight", {vocab, hidden});
  weights.bytes += weights.embedding.num_bytes();
  weights.lm_head = reader.weight(MatrixSpec{.name = names.output, .in = hidden, .out = vocab});
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
  for (const LayerSpec& layer : model->config_.layers) weights.layers.push_back(read_layer(reader, layer));
  weights.final_norm = reader.norm(model->config_.final_norm);
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

std::int64_t Model::longest_context() const {
  const std::int64_t longest = config_.max_position;
  return device_ == nullptr ? longest : std::min(longest, config_.sliding_window.value_or(longest));
}

ModelFingerprint Model::fingerprint() const {
  return {.architecture = config_.architecture,
          .num_layers = config_.num_layers,
          .num_heads = config_.num_heads,
          .num_kv_heads = config_.num_kv_heads,
          .head_dim = config_.head_dim,
          .rope = config_.describe_ropes(),
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
