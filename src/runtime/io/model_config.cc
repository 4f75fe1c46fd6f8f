#include "runtime/io/model_config.h"

#include <algorithm>
#include <utility>

#include "core/check.h"
#include "core/file.h"
#include "core/json.h"
#include "runtime/gguf/gguf_config.h"
#include "runtime/io/model_folder.h"
#include "runtime/io/parse_config.h"
#include "runtime/io/rope_config.h"

namespace tca::runtime {
namespace {

using nlohmann::json;

constexpr std::size_t kMaxFileBytes = std::size_t{16} << 20;
constexpr std::int64_t kMaxExtent = 1 << 24;  // of any one dimension of a weight
constexpr std::int64_t kMaxPositions = std::int64_t{1} << 31;

enum class Family { kLlama, kMistral, kQwen2, kQwen3 };
struct Architecture {
  const char* name;
  const char* model_type;
  Family family;
};
constexpr Architecture kArchitectures[] = {
    {"LlamaForCausalLM", "llama", Family::kLlama},
    {"MistralForCausalLM", "mistral", Family::kMistral},
    {"Qwen2ForCausalLM", "qwen2", Family::kQwen2},
    {"Qwen3ForCausalLM", "qwen3", Family::kQwen3},
};

const Architecture& find_architecture(const json& config, const std::string& where) {
  const auto listed = config.find("architectures");
  const bool has_list = listed != config.end() && !listed->is_null();
  std::string name;
  if (has_list) {
    const bool usable = listed->is_array() && !listed->empty() && (*listed)[0].is_string();
    if (!usable) fail_field(where, "architectures", *listed, "an array with a name");
    name = (*listed)[0].get<std::string>();
  } else {
    name = get_string(config, "model_type", where);
  }
  for (const Architecture& known : kArchitectures) {
    if (name == (has_list ? known.name : known.model_type)) return known;
  }
  fail(ErrorCategory::kUnsupported,
       text(where, has_list ? ": architectures[0] is \"" : ": model_type is \"", name.substr(0, 60),
            "\"; supported: LlamaForCausalLM, MistralForCausalLM, Qwen2ForCausalLM, Qwen3ForCausalLM"));
}

std::int32_t get_extent(const json& config, const char* field, const std::string& where) {
  return static_cast<std::int32_t>(get_int(config, field, where, 1, kMaxExtent));
}

void refuse_what_is_not_computed(const json& config, const std::string& where) {
  for (const char* field : {"quantization_config", "compression_config"}) {
    const auto found = config.find(field);
    if (found == config.end() || found->is_null()) continue;
    const auto method = found->is_object() ? found->find("quant_method") : found->end();
    const bool named = found->is_object() && method != found->end() && method->is_string();
    fail(ErrorCategory::kUnsupported,
         text(where, ": ", field, " (quant_method ", named ? method->get<std::string>().substr(0, 40) : "not named",
              "): quantised weights are not supported; use the bf16, fp16 or fp32 checkpoint"));
  }
  const std::string activation = get_optional_string(config, "hidden_act", where).value_or("silu");
  check_supported(activation == "silu" || activation == "swish", where, ": hidden_act is \"", activation.substr(0, 40),
                  "\"; supported: silu");
}

void read_shape(const json& config, Family family, const std::string& where, ModelConfig& out) {
  out.hidden_size = get_extent(config, "hidden_size", where);
  out.num_layers = static_cast<std::int32_t>(get_int(config, "num_hidden_layers", where, 1, 4096));
  out.num_heads = static_cast<std::int32_t>(get_int(config, "num_attention_heads", where, 1, 4096));
  out.intermediate_size = get_extent(config, "intermediate_size", where);
  out.vocab_size = get_extent(config, "vocab_size", where);

  // The defaults are those of the architectures' configuration classes in Transformers.
  const std::int32_t default_kv_heads = family == Family::kMistral ? 8 : family == Family::kLlama ? out.num_heads : 32;
  const bool is_null = config.contains("num_key_value_heads") && config["num_key_value_heads"].is_null();
  out.num_kv_heads = static_cast<std::int32_t>(get_optional_int(config, "num_key_value_heads", where, 1, out.num_heads)
                                                   .value_or(is_null ? out.num_heads : default_kv_heads));
  if (out.num_kv_heads > out.num_heads || out.num_heads % out.num_kv_heads != 0) {
    fail(ErrorCategory::kBadFile, text(where, ": num_key_value_heads is ", out.num_kv_heads,
                                       "; expected a divisor of num_attention_heads, ", out.num_heads));
  }

  const auto head_dim = get_optional_int(config, "head_dim", where, 2, 1024);
  if (!head_dim && family != Family::kQwen3 && out.hidden_size % out.num_heads != 0) {
    fail(ErrorCategory::kBadFile,
         text(where, ": hidden_size ", out.hidden_size, " is no multiple of num_attention_heads ", out.num_heads,
              ", and head_dim is missing"));
  }
  out.head_dim =
      static_cast<std::int32_t>(head_dim.value_or(family == Family::kQwen3 ? 128 : out.hidden_size / out.num_heads));
  if (out.head_dim % 2 != 0) {
    fail(ErrorCategory::kBadFile, text(where, ": head_dim is ", out.head_dim, "; expected an even number"));
  }
  const std::int64_t default_max = family == Family::kMistral ? 131072 : family == Family::kLlama ? 2048 : 32768;
  out.max_position = get_optional_int(config, "max_position_embeddings", where, 1, kMaxPositions).value_or(default_max);
  out.rms_norm_eps = get_optional_number(config, "rms_norm_eps", where, 0, 1).value_or(1e-6);
  const auto tied = config.find("tie_word_embeddings");
  out.tie_word_embeddings = tied != config.end() && tied->is_boolean() && tied->get<bool>();
}

void read_biases(const json& config, Family family, const std::string& where, ModelConfig& out) {
  const bool has_option = family == Family::kLlama || family == Family::kQwen3;
  out.out_bias = has_option && get_optional_bool(config, "attention_bias", where).value_or(false);
  out.qkv_bias = family == Family::kQwen2 || out.out_bias;
  out.mlp_bias = family == Family::kLlama && get_optional_bool(config, "mlp_bias", where).value_or(false);
  out.qk_norm = family == Family::kQwen3;
}

// Whether layer_types has layers with a sliding window; nothing when it is not there.
std::optional<bool> layers_slide(const json& config, const ModelConfig& model, const std::string& where) {
  const auto types = config.find("layer_types");
  if (types == config.end() || types->is_null()) return std::nullopt;
  if (!types->is_array() || types->size() != static_cast<std::size_t>(model.num_layers)) {
    fail_field(where, "layer_types", *types, text("an array with one name for each of ", model.num_layers, " layers"));
  }
  bool slide = false;
  for (const json& type : *types) {
    const std::string name = type.is_string() ? type.get<std::string>() : type.dump();
    check_supported(name == "full_attention" || name == "sliding_attention", where, ": layer_types has \"",
                    name.substr(0, 40), "\"; supported: full_attention, sliding_attention");
    slide |= name == "sliding_attention";
  }
  return slide;
}

// Without layer_types, layers from this one on slide.
std::int64_t first_sliding_layer(const json& config, const std::string& where) {
  return get_optional_int(config, "max_window_layers", where, 0, 1 << 20).value_or(28);
}

void read_sliding_window(const json& config, Family family, const std::string& where, ModelConfig& out) {
  constexpr std::int64_t kDefault = 4096;
  if (family == Family::kLlama) return;
  const bool has_switch = family != Family::kMistral;
  if (has_switch && !get_optional_bool(config, "use_sliding_window", where).value_or(false)) return;
  const bool is_null = config.contains("sliding_window") && config["sliding_window"].is_null();
  auto window = get_optional_int(config, "sliding_window", where, 1, std::int64_t{1} << 31);
  if (!window && !is_null) window = kDefault;
  const auto by_type = layers_slide(config, out, where);
  if (by_type ? !*by_type : has_switch && first_sliding_layer(config, where) >= out.num_layers) return;
  out.sliding_window = window;
}

// Adds the stop tokens of a field that holds one id, several or none. Numbers that are no token's, such as -1 for
// "none", can never be produced.
void add_eos_tokens(const json& config, const std::string& where, ModelConfig& out) {
  const char* const field = "eos_token_id";
  const auto value = config.find(field);
  if (value == config.end() || value->is_null()) return;
  const bool several = value->is_array();
  for (std::size_t i = 0; i < (several ? value->size() : 1); ++i) {
    const json& id = several ? (*value)[i] : *value;
    if (!id.is_number_integer()) fail_field(where, field, id, "a token's id, or an array of such");
    if (id.is_number_unsigned() && id.get<std::uint64_t>() < static_cast<std::uint64_t>(out.vocab_size)) {
      const auto token = id.get<std::int32_t>();
      if (std::find(out.eos_tokens.begin(), out.eos_tokens.end(), token) == out.eos_tokens.end()) {
        out.eos_tokens.push_back(token);
      }
    } else if (id != -1) {
      out.warnings.push_back(
          text(where, ": ", field, " has ", id.dump(), ", but ids go up to ", out.vocab_size - 1, "; it is left out"));
    }
  }
}

JsonDocument read_object(const std::string& path) {
  JsonDocument config(parse_python_json(read_file(path, kMaxFileBytes), path));
  if (!config->is_object()) fail(ErrorCategory::kBadFile, path + ": expected a JSON object");
  return config;
}

// The model can be used without this file, whatever is wrong with it.
void read_generation_config(const std::string& path, ModelConfig& out) {
  if (!has_entry(path)) return;
  ModelConfig with = out;
  try {
    add_eos_tokens(*read_object(path), path, with);
    out = std::move(with);
  } catch (const Error& error) {
    out.warnings.push_back(text(error.what(), "; the file is left out, and its stop tokens with it"));
  }
}

}  // namespace

ModelConfig parse_config(const json& config, const std::string& where) {
  const Architecture& architecture = find_architecture(config, where);
  ModelConfig result;
  result.architecture = architecture.name;
  refuse_what_is_not_computed(config, where);
  read_shape(config, architecture.family, where, result);
  read_biases(config, architecture.family, where, result);
  read_sliding_window(config, architecture.family, where, result);
  result.rope = read_rope(config, result.max_position, where);
  const auto frequencies = static_cast<std::size_t>(result.head_dim / 2);
  if (result.rope.scaling == RopeScaling::kFactors && result.rope.factors.size() != frequencies) {
    fail(ErrorCategory::kBadFile, text(where, ": the rope's scaling has ", result.rope.factors.size(),
                                       " factors; head_dim ", result.head_dim, " needs ", frequencies));
  }
  result.max_position = std::min(result.rope.reach().value_or(result.max_position), kMaxPositions);
  add_eos_tokens(config, where, result);
  return result;
}

ModelConfig ModelConfig::load(const std::string& path) {
  if (const std::string gguf = find_gguf(path); !gguf.empty()) {
    return parse_config(*gguf_config(GgufFile::open(gguf)), gguf);
  }
  const std::string file = path + "/config.json";
  if (!has_entry(file)) fail_without(path, ModelPart::kConfig);
  ModelConfig result = parse_config(*read_object(file), file);
  read_generation_config(path + "/generation_config.json", result);
  return result;
}

}  // namespace tca::runtime
