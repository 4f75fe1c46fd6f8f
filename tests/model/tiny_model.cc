#include "model/tiny_model.h"

#include <unistd.h>

#include <atomic>
#include <fstream>
#include <nlohmann/json.hpp>
#include <vector>

#include "model/test_data.h"

namespace tca::test {
namespace {

using nlohmann::json;

struct Tensor {
  std::string name;
  std::vector<std::int64_t> shape;
  float offset = 0;  // norms lie around 1
  float scale = 1;
};

std::vector<Tensor> tensors_of(const TinyModelOptions& o) {
  const std::int64_t q_width = std::int64_t{o.heads} * o.head_dim, kv_width = std::int64_t{o.kv_heads} * o.head_dim;
  const bool qwen2 = o.architecture == "Qwen2ForCausalLM", qwen3 = o.architecture == "Qwen3ForCausalLM";
  std::vector<Tensor> all = {{"model.norm.weight", {o.hidden}, 1, 0.3f}};
  if (o.store_embedding) all.insert(all.begin(), {"model.embed_tokens.weight", {o.vocab, o.hidden}, 0, 1});
  if (o.store_lm_head.value_or(!o.tied)) all.push_back({"lm_head.weight", {o.vocab, o.hidden}, 0, 0.3f});
  for (std::int32_t l = 0; l < o.layers; ++l) {
    const std::string layer = "model.layers." + std::to_string(l) + ".", attention = layer + "self_attn.";
    all.push_back({layer + "input_layernorm.weight", {o.hidden}, 1, 0.3f});
    all.push_back({layer + "post_attention_layernorm.weight", {o.hidden}, 1, 0.3f});
    all.push_back({attention + "q_proj.weight", {q_width, o.hidden}, 0, 0.4f});
    all.push_back({attention + "k_proj.weight", {kv_width, o.hidden}, 0, 0.4f});
    all.push_back({attention + "v_proj.weight", {kv_width, o.hidden}, 0, 0.3f});
    all.push_back({attention + "o_proj.weight", {o.hidden, q_width}, 0, 0.2f});
    all.push_back({layer + "mlp.gate_proj.weight", {o.inner, o.hidden}, 0, 0.3f});
    all.push_back({layer + "mlp.up_proj.weight", {o.inner, o.hidden}, 0, 0.3f});
    all.push_back({layer + "mlp.down_proj.weight", {o.hidden, o.inner}, 0, 0.3f});
    if (qwen2) {
      all.push_back({attention + "q_proj.bias", {q_width}, 0, 0.3f});
      all.push_back({attention + "k_proj.bias", {kv_width}, 0, 0.3f});
      all.push_back({attention + "v_proj.bias", {kv_width}, 0, 0.3f});
    }
    if (qwen3) {
      all.push_back({attention + "q_norm.weight", {o.head_dim}, 1.2f, 0.5f});
      all.push_back({attention + "k_norm.weight", {o.head_dim}, 1.2f, 0.5f});
    }
  }
  return all;
}

std::string dtype_code(DType dtype) { return dtype == DType::kF32 ? "F32" : dtype == DType::kBF16 ? "BF16" : "F16"; }

void write_safetensors(const std::string& path, const json& header, const std::string& data) {
  std::string text = header.dump();
  text.append((8 - text.size() % 8) % 8, ' ');
  const std::uint64_t size = text.size();
  std::ofstream out(path, std::ios::binary);
  out.write(reinterpret_cast<const char*>(&size), sizeof(size));
  out << text << data;
}

void write_weights(const std::filesystem::path& dir, const TinyModelOptions& options) {
  const int num_files = options.sharded ? 2 : 1;
  std::vector<json> headers(static_cast<std::size_t>(num_files));
  std::vector<std::string> contents(headers.size());
  json index = {{"metadata", {{"total_size", 0}}}, {"weight_map", json::object()}};
  std::uint64_t seed = options.seed * 1000;
  std::size_t next = 0;  // tensors go to the files in turn
  for (const Tensor& tensor : tensors_of(options)) {
    std::int64_t count = 1;
    for (const std::int64_t size : tensor.shape) count *= size;
    std::vector<float> values = random_floats(count, ++seed, tensor.scale);
    for (float& value : values) value += tensor.offset;
    const Elements elements(values, options.dtype);
    const std::size_t file = next++ % headers.size();
    std::string& data = contents[file];
    headers[file][tensor.name] = {{"dtype", dtype_code(options.dtype)},
                                  {"shape", tensor.shape},
                                  {"data_offsets", {data.size(), data.size() + elements.bytes.size()}}};
    data.append(reinterpret_cast<const char*>(elements.bytes.data()), elements.bytes.size());
    index["weight_map"][tensor.name] = "model-" + std::to_string(file) + ".safetensors";
  }
  if (!options.sharded) return write_safetensors(dir / "model.safetensors", headers[0], contents[0]);
  for (std::size_t i = 0; i < headers.size(); ++i) {
    write_safetensors(dir / ("model-" + std::to_string(i) + ".safetensors"), headers[i], contents[i]);
  }
  std::ofstream(dir / "model.safetensors.index.json") << index.dump(1);
}

void write_config(const std::string& path, const TinyModelOptions& o) {
  const std::string type = o.architecture == "LlamaForCausalLM"     ? "llama"
                           : o.architecture == "MistralForCausalLM" ? "mistral"
                           : o.architecture == "Qwen2ForCausalLM"   ? "qwen2"
                                                                    : "qwen3";
  json config = {{"architectures", {o.architecture}},
                 {"model_type", type},
                 {"hidden_act", "silu"},
                 {"hidden_size", o.hidden},
                 {"num_hidden_layers", o.layers},
                 {"num_attention_heads", o.heads},
                 {"num_key_value_heads", o.kv_heads},
                 {"head_dim", o.head_dim},
                 {"intermediate_size", o.inner},
                 {"vocab_size", o.vocab},
                 {"max_position_embeddings", o.max_position},
                 {"rms_norm_eps", 1e-6},
                 {"rope_theta", 10000.0},
                 {"tie_word_embeddings", o.tied},
                 {"bos_token_id", 0},
                 {"eos_token_id", 1},
                 {"torch_dtype", o.dtype == DType::kF32    ? "float32"
                                 : o.dtype == DType::kBF16 ? "bfloat16"
                                                           : "float16"}};
  if (o.sliding_window > 0) {
    config["sliding_window"] = o.sliding_window;
    config["use_sliding_window"] = true;
  }
  std::ofstream(path) << config.dump(1);
}

}  // namespace

TinyModel::TinyModel(const TinyModelOptions& options) {
  static std::atomic<int> count{0};
  dir_ = std::filesystem::temp_directory_path() /
         ("tca_tiny_model_" + std::to_string(::getpid()) + "_" + std::to_string(count.fetch_add(1)));
  std::filesystem::create_directories(dir_);
  write_config(file("config.json"), options);
  write_weights(dir_, options);
}

TinyModel::~TinyModel() {
  std::error_code ignored;
  std::filesystem::remove_all(dir_, ignored);
}

}  // namespace tca::test
