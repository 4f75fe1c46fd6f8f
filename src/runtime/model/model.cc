#include "runtime/model/model.h"

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <cstring>
#include <utility>
#include <vector>

#include "core/check.h"
#include "core/half.h"
#include "runtime/io/safetensors.h"
#include "runtime/model/int8.h"
#include "runtime/model/weights.h"

namespace tca::runtime {
namespace {

/// Takes tensors out of a checkpoint, checked against the shapes that config.json promises.
class WeightReader {
 public:
  /// activations: the type that products with them have.
  WeightReader(Weights& weights, DType activations, WeightType type, ThreadPool& pool)
      : weights_(weights), activations_(activations), type_(type), pool_(pool) {}

  const StoredTensor& tensor(const std::string& name, const std::vector<std::int64_t>& shape) const {
    return weights_.checkpoint->get(name, shape);
  }

  std::vector<float> vector(const std::string& name, std::int64_t size, std::int64_t first = 0,
                            std::int64_t stored_size = 0) {
    const StoredTensor& stored = tensor(name, {stored_size == 0 ? size : stored_size});
    std::vector<float> values(static_cast<std::size_t>(size));
    convert_row(
        static_cast<const std::byte*>(stored.data) + first * static_cast<std::int64_t>(dtype_size(stored.dtype)),
        stored.dtype, values.data(), size);
    weights_.bytes += values.size() * sizeof(float);
    return values;
  }

  std::vector<float> norm(const NormSpec& spec) {
    if (!spec.exists()) return {};
    std::vector<float> values = vector(spec.name, spec.size);
    if (spec.offset != 0 || spec.factor != 1) {
      for (float& value : values) value = static_cast<float>((value + spec.offset) * spec.factor);
    }
    return in_order(std::move(values), spec.head_order);
  }

  Linear linear(const MatrixSpec& spec) { return linear(spec, type_); }
  /// As stored, whatever the model's weights are kept as.
  Linear stored_linear(const MatrixSpec& spec) { return linear(spec, WeightType::kStored); }

  Linear from_stored(const std::string& name, const StoredTensor& stored) { return from_stored(name, stored, type_); }

  static std::size_t weight_bytes(const Linear& linear) {
    if (linear.scales.empty()) return static_cast<std::size_t>(linear.in * linear.out) * dtype_size(linear.dtype);
    return linear.scales.size() * (static_cast<std::size_t>(linear.in) + sizeof(float));
  }

 private:
  Linear linear(const MatrixSpec& spec, WeightType type) {
    const std::string weight = spec.name + ".weight";
    StoredTensor stored = tensor(weight, {spec.rows(), spec.in});
    const std::size_t row_bytes = stored.num_bytes() / static_cast<std::size_t>(spec.rows());
    stored.data = static_cast<const std::byte*>(stored.data) + static_cast<std::size_t>(spec.first_row) * row_bytes;
    stored.shape[0] = spec.out;
    if (!spec.head_order.empty()) stored.data = rows_in_order(stored, spec.head_order);
    Linear result = from_stored(weight, stored, type);
    weights_.bytes += weight_bytes(result);
    if (spec.bias) {
      result.bias = in_order(vector(spec.name + ".bias", spec.out, spec.first_row, spec.rows()), spec.head_order);
    }
    return result;
  }

  /// Row or element i of a head is its order[i]-th.
  static std::int64_t source_of(std::int64_t i, const std::vector<std::int32_t>& order) {
    const std::int64_t size = std::ssize(order);
    return i / size * size + order[static_cast<std::size_t>(i % size)];
  }
  static std::vector<float> in_order(std::vector<float> values, const std::vector<std::int32_t>& order) {
    if (order.empty()) return values;
    std::vector<float> ordered(values.size());
    for (std::size_t i = 0; i < values.size(); ++i) {
      ordered[i] = values[static_cast<std::size_t>(source_of(static_cast<std::int64_t>(i), order))];
    }
    return ordered;
  }
  const void* rows_in_order(const StoredTensor& stored, const std::vector<std::int32_t>& order) {
    const std::size_t row_bytes = stored.num_bytes() / static_cast<std::size_t>(stored.shape[0]);
    std::byte* const out = weights_.converted.emplace_back().reserve(stored.num_bytes());
    for (std::int64_t row = 0; row < stored.shape[0]; ++row) {
      std::memcpy(
          out + static_cast<std::size_t>(row) * row_bytes,
          static_cast<const std::byte*>(stored.data) + static_cast<std::size_t>(source_of(row, order)) * row_bytes,
          row_bytes);
    }
    weights_.checkpoint->drop_pages(stored);
    return out;
  }

  Linear from_stored(const std::string& name, const StoredTensor& stored, WeightType type) {
    // bf16 products want bf16 weights; others widen them on the way.
    const DType kept = stored.dtype == DType::kBF16 ? stored.dtype : activations_;
    Linear result{.weight = stored.data, .dtype = kept, .in = stored.shape[1], .out = stored.shape[0]};
    const auto address = reinterpret_cast<std::uintptr_t>(stored.data);
    if (type == WeightType::kInt8) {
      quantise(name, stored, result);
    } else if (stored.dtype != kept || address % dtype_size(kept) != 0) {
      result.weight = convert(stored, kept);
    }
    return result;
  }

  const void* convert(const StoredTensor& stored, DType dtype) {
    const std::int64_t width = stored.shape[1];
    const std::int64_t row_bytes = width * static_cast<std::int64_t>(dtype_size(stored.dtype));
    const std::int64_t out_bytes = width * static_cast<std::int64_t>(dtype_size(dtype));
    std::byte* out = weights_.converted.emplace_back().reserve(static_cast<std::size_t>(stored.shape[0] * out_bytes));
    pool_.parallel_for(stored.shape[0], [&](std::int64_t row, int) {
      std::vector<float> values(static_cast<std::size_t>(width));
      convert_row(static_cast<const std::byte*>(stored.data) + row * row_bytes, stored.dtype, values.data(), width);
      convert_row(values.data(), out + row * out_bytes, dtype, width);
    });
    weights_.checkpoint->drop_pages(stored);
    return out;
  }

  void quantise(const std::string& name, const StoredTensor& stored, Linear& linear) {
    const std::int64_t padded = int8::padded(linear.out);
    const std::int64_t row_bytes = linear.in * static_cast<std::int64_t>(dtype_size(stored.dtype));
    std::byte* out = weights_.converted.emplace_back().reserve(static_cast<std::size_t>(padded * linear.in));
    linear.weight = out;
    linear.scales.resize(static_cast<std::size_t>(padded));
    std::atomic<bool> finite{true};
    pool_.parallel_for(padded / int8::kChannels, [&](std::int64_t group, int) {
      const std::int64_t first = group * int8::kChannels, count = std::min(int8::kChannels, linear.out - first);
      if (!int8::quantise_group(static_cast<const std::byte*>(stored.data) + first * row_bytes, stored.dtype, count,
                                linear.in, reinterpret_cast<std::int8_t*>(out) + first * linear.in,
                                linear.scales.data() + first)) {
        finite = false;
      }
    });
    check_supported(finite, "tensor \"", name,
                    "\" holds infinities or NaNs, which int8 has none of; use the stored weights");
    weights_.checkpoint->drop_pages(stored);
  }

  Weights& weights_;
  DType activations_;
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
  const EmbeddingNames names = find_embeddings(*weights.checkpoint, config.tie_word_embeddings);
  weights.embedding = reader.tensor(names.input + ".weight", {vocab, hidden});
  weights.bytes += weights.embedding.num_bytes();
  const std::string output = names.output + ".weight";
  weights.lm_head = reader.from_stored(output, reader.tensor(output, {vocab, hidden}));
  if (weights.lm_head.weight != weights.embedding.data) {  // a second copy; rows are looked up as they are stored
    weights.bytes += WeightReader::weight_bytes(weights.lm_head);
  }
}

}  // namespace

std::shared_ptr<const Model> Model::load(const std::string& dir, ThreadPool& pool, const ModelOptions& options) {
  const std::shared_ptr<Model> model(new Model);
  model->config_ = ModelConfig::load(dir);
  model->precision_ = choose_precision(options.compute, has_bf16_products());
  model->weight_type_ = options.weights;
  model->weights_ = std::make_unique<Weights>();
  Weights& weights = *model->weights_;
  weights.checkpoint = Checkpoint::open(dir);
  model->weights_sha256_ = weights.checkpoint->fingerprint();
  const auto& warnings = weights.checkpoint->warnings();
  model->config_.warnings.insert(model->config_.warnings.end(), warnings.begin(), warnings.end());

  WeightReader reader(weights, model->precision_.activations, options.weights, pool);
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
    if (weights_ != nullptr) content_hash_ = weights_->checkpoint->content_hash();
  });
  return content_hash_;
}

std::size_t Model::weight_bytes() const { return device_ == nullptr ? weights_->bytes : device_->weight_bytes(); }

}  // namespace tca::runtime
