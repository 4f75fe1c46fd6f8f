#include "runtime/gguf/gguf_config.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <numbers>
#include <optional>

#include "core/check.h"
#include "core/half.h"
#include "runtime/gguf/token_types.h"

namespace tca::runtime {
namespace {

using nlohmann::json;

constexpr std::int64_t kMaxInt = std::numeric_limits<std::int64_t>::max();

struct Architecture {
  const char* name;
  const char* transformers;
  bool paired_rows;
};
constexpr Architecture kArchitectures[] = {
    {"llama", "LlamaForCausalLM", true},
    {"qwen2", "Qwen2ForCausalLM", false},
    {"qwen3", "Qwen3ForCausalLM", false},
};

const Architecture& find_architecture(const Metadata& metadata) {
  const auto name = metadata.string("general.architecture");
  if (!name) fail(ErrorCategory::kBadFile, metadata.path() + ": general.architecture is missing from the metadata");
  std::string known;
  for (const Architecture& architecture : kArchitectures) {
    if (*name == architecture.name) return architecture;
    known += text(known.empty() ? "" : ", ", architecture.name);
  }
  fail(ErrorCategory::kUnsupported,
       text(metadata.path(), ": general.architecture is \"", name->substr(0, 60), "\"; supported: ", known));
}

/// Fills a configuration from one file's keys and tensors.
class ConfigWriter {
 public:
  ConfigWriter(const GgufFile& file, json& config)
      : file_(file), metadata_(file.metadata()), config_(config), architecture_(find_architecture(metadata_)) {}

  void write() {
    config_["architectures"] = json::array();
    config_["architectures"].push_back(architecture_.transformers);
    write_shape();
    write_biases();
    write_window();
    write_rope();
    json& stops = config_["eos_token_id"] = json::array();
    for (const std::int32_t id : gguf_stop_tokens(metadata_)) stops.push_back(static_cast<std::uint32_t>(id));
  }

 private:
  std::string key(const char* name) const { return text(architecture_.name, ".", name); }
  std::int64_t integer(const char* name) const { return metadata_.needed_integer(key(name), 0, kMaxInt); }
  std::optional<std::int64_t> optional_integer(const char* name) const {
    return metadata_.integer(key(name), 0, kMaxInt);
  }
  bool has_bias(const char* name) const { return file_.find(text("blk.0.", name, ".bias")) != nullptr; }

  void write_shape() {
    const std::int64_t experts = optional_integer("expert_count").value_or(0);
    check_supported(experts == 0, metadata_.path(), ": ", key("expert_count"), " is ", experts,
                    ": mixtures of experts are not supported");
    config_["num_hidden_layers"] = integer("block_count");
    config_["hidden_size"] = integer("embedding_length");
    config_["intermediate_size"] = integer("feed_forward_length");
    const std::int64_t heads = metadata_.needed_integer(key("attention.head_count"), 1, kMaxInt);
    config_["num_attention_heads"] = heads;
    config_["num_key_value_heads"] = optional_integer("attention.head_count_kv").value_or(heads);
    config_["max_position_embeddings"] = integer("context_length");
    config_["vocab_size"] = vocabulary_size();
    config_["tie_word_embeddings"] = file_.find("output.weight") == nullptr;
    const auto epsilon = metadata_.number(key("attention.layer_norm_rms_epsilon"));
    if (epsilon) config_["rms_norm_eps"] = *epsilon;
    const auto width = optional_integer("attention.key_length");
    if (width) config_["head_dim"] = *width;
    const auto value_width = optional_integer("attention.value_length");
    check_supported(!width || value_width.value_or(*width) == *width, metadata_.path(), ": ",
                    key("attention.value_length"), " is ", value_width.value_or(0), ", but ",
                    key("attention.key_length"), " ", width.value_or(0), "; supported: one length for both");
    if (!width) config_["head_dim"] = integer("embedding_length") / heads;
  }

  // Rows of the embedding: files may have more of them than tokens.
  std::int64_t vocabulary_size() const {
    const GgufTensor* const embedding = file_.find("token_embd.weight");
    if (embedding != nullptr && embedding->shape.size() == 2) return embedding->shape[0];
    return static_cast<std::int64_t>(metadata_.strings("tokenizer.ggml.tokens").size());
  }

  void write_biases() {
    config_["attention_bias"] = has_bias("attn_output");
    config_["mlp_bias"] = has_bias("ffn_down");
  }

  // Every layer has the window, where there is one.
  void write_window() {
    const std::int64_t window = optional_integer("attention.sliding_window").value_or(0);
    if (window == 0) return;
    config_["sliding_window"] = window;
    if (architecture_.paired_rows) {
      config_["architectures"][0] = "MistralForCausalLM";
    } else {
      config_["use_sliding_window"] = true;
      config_["max_window_layers"] = 0;
    }
  }

  void write_rope() {
    if (const auto base = metadata_.number(key("rope.freq_base"))) config_["rope_theta"] = *base;
    const auto rotated = optional_integer("rope.dimension_count");
    const json& width = config_["head_dim"];
    check_supported(!rotated || *rotated == width, metadata_.path(), ": ", key("rope.dimension_count"), " is ",
                    rotated.value_or(0), ", but heads have ", width.dump(), "; supported: rotation of whole heads");
    json& scaling = config_["rope_scaling"] = json::object();
    const std::string type = metadata_.string(key("rope.scaling.type")).value_or("none");
    const auto factor = scaling_factor();
    if (type == "yarn") {
      write_yarn(scaling, factor);
    } else if (type == "linear" || (type == "none" && factor && *factor != 1)) {
      scaling["rope_type"] = "linear";
      scaling["factor"] = factor.value_or(1);
    } else {
      check_supported(type == "none", metadata_.path(), ": ", key("rope.scaling.type"), " is \"", type.substr(0, 40),
                      "\"; supported: none, linear, yarn");
    }
    write_frequency_factors(scaling);
    if (scaling.empty()) config_["rope_scaling"] = nullptr;
  }

  // Older files have one key for linear scaling.
  std::optional<double> scaling_factor() const {
    const auto factor = metadata_.number(key("rope.scaling.factor"));
    return factor ? factor : metadata_.number(key("rope.scale_linear"));
  }

  void write_yarn(json& scaling, const std::optional<double>& factor) {
    scaling["rope_type"] = "yarn";
    scaling["factor"] = factor.value_or(1);
    const auto original = optional_integer("rope.scaling.original_context_length");
    if (original) scaling["original_max_position_embeddings"] = *original;
    // Here it multiplies what the factor comes to, there it stands for all of it.
    if (const auto own = metadata_.number(key("rope.scaling.attn_factor"))) {
      scaling["attention_factor"] = *own * (0.1 * std::log(std::max(1.0, factor.value_or(1))) + 1);
    }
    for (const auto& [field, name] : {std::pair{"beta_fast", "rope.scaling.yarn_beta_fast"},
                                      std::pair{"beta_slow", "rope.scaling.yarn_beta_slow"}}) {
      if (const auto value = metadata_.number(key(name))) scaling[field] = *value;
    }
  }

  // Llama 3.1's scaling comes as what each frequency is divided by. Where that is what a known set of its parameters
  // gives, they are named, so that the model is the same one as its checkpoint.
  void write_frequency_factors(json& scaling) {
    const GgufTensor* const tensor = file_.find("rope_freqs.weight");
    if (tensor == nullptr) return;
    const json& width = config_["head_dim"];
    const bool fits = tensor->data != nullptr && tensor->blocks == nullptr && tensor->dtype == DType::kF32 &&
                      tensor->shape.size() == 1 && width == 2 * tensor->shape[0];
    check_supported(fits, metadata_.path(), ": rope_freqs.weight is ", tensor->type,
                    "; supported: F32, one value for each two of a head's ", width.dump());
    check_supported(scaling.empty(), metadata_.path(), ": rope_freqs.weight comes with rope.scaling as well");
    std::vector<float> factors(static_cast<std::size_t>(tensor->shape[0]));
    convert_row(tensor->data, DType::kF32, factors.data(), tensor->shape[0]);
    if (std::all_of(factors.begin(), factors.end(), [](float f) { return f == 1; })) return;
    if (write_llama3(factors, scaling)) return;
    scaling["rope_type"] = "factors";
    json& list = scaling["factors"] = json::array();
    for (const float factor : factors) list.push_back(factor);
  }

  bool write_llama3(const std::vector<float>& factors, json& scaling) const {
    constexpr double kLow = 1, kHigh = 4, kOriginal = 8192;
    constexpr double kNear = 1e-5;  // they were computed in fp32
    const double most = *std::max_element(factors.begin(), factors.end());
    const double theta = config_.value("rope_theta", 10000.0);
    for (std::size_t i = 0; i < factors.size(); ++i) {
      const double exponent = static_cast<double>(i) / static_cast<double>(factors.size());
      const double wavelength = 2 * std::numbers::pi * std::pow(theta, exponent);
      const double share = std::clamp((kOriginal / wavelength - kLow) / (kHigh - kLow), 0.0, 1.0);
      const double error = std::abs(factors[i] * ((1 - share) / most + share) - 1);
      if (!(error <= kNear)) return false;  // a NaN is not near
    }
    scaling["rope_type"] = "llama3";
    scaling["factor"] = most;
    scaling["low_freq_factor"] = kLow;
    scaling["high_freq_factor"] = kHigh;
    scaling["original_max_position_embeddings"] = kOriginal;
    return true;
  }

  const GgufFile& file_;
  const Metadata& metadata_;
  json& config_;
  const Architecture& architecture_;
};

}  // namespace

JsonDocument gguf_config(const GgufFile& file) {
  JsonDocument config;
  ConfigWriter(file, *config).write();
  return config;
}

bool has_paired_rows(const GgufFile& file) { return find_architecture(file.metadata()).paired_rows; }

std::vector<std::int32_t> gguf_stop_tokens(const Metadata& metadata) {
  constexpr std::array<std::string_view, 9> kEnds = {"<|eot_id|>",    "<|eom_id|>",      "<|im_end|>",
                                                     "<|end|>",       "<end_of_turn>",   "<EOT>",
                                                     "<|endoftext|>", "<|end_of_text|>", "<｜end▁of▁sentence｜>"};
  std::vector<std::int32_t> ids;
  const auto add = [&](std::int64_t id) {
    const auto token = static_cast<std::int32_t>(id);
    if (std::find(ids.begin(), ids.end(), token) == ids.end()) ids.push_back(token);
  };
  for (const char* key :
       {"tokenizer.ggml.eos_token_id", "tokenizer.ggml.eot_token_id", "tokenizer.ggml.eom_token_id"}) {
    if (const auto id = metadata.integer(key, 0, std::numeric_limits<std::int32_t>::max())) add(*id);
  }
  const auto tokens = metadata.strings("tokenizer.ggml.tokens");
  const std::vector<TokenType> types = token_types(metadata, tokens.size());
  for (std::size_t i = 0; i < tokens.size(); ++i) {
    const bool found = types[i] == TokenType::kControl || types[i] == TokenType::kUserDefined;
    if (found && std::find(kEnds.begin(), kEnds.end(), tokens[i]) != kEnds.end()) add(static_cast<std::int64_t>(i));
  }
  return ids;
}

}  // namespace tca::runtime
