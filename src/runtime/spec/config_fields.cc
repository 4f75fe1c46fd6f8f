#include "runtime/spec/config_fields.h"

#include <algorithm>

#include "core/check.h"
#include "core/json.h"

namespace tca::runtime {
namespace {

using nlohmann::json;

constexpr std::int64_t kMaxExtent = 1 << 24;  // of any one dimension of a weight
constexpr std::int64_t kMaxPositions = std::int64_t{1} << 31;

std::int32_t get_extent(const ConfigFields& config, const char* field) {
  return static_cast<std::int32_t>(get_int(config.json, field, config.where, 1, kMaxExtent));
}

bool is_null(const ConfigFields& config, const char* field) {
  const auto found = config.json.find(field);
  return found != config.json.end() && found->is_null();
}

void read_heads(const ConfigFields& config, const ShapeDefaults& defaults, ModelSpec& model) {
  const std::int32_t usual = defaults.kv_heads.value_or(model.num_heads);
  model.num_kv_heads =
      static_cast<std::int32_t>(get_optional_int(config.json, "num_key_value_heads", config.where, 1, model.num_heads)
                                    .value_or(is_null(config, "num_key_value_heads") ? model.num_heads : usual));
  if (model.num_kv_heads > model.num_heads || model.num_heads % model.num_kv_heads != 0) {
    fail(ErrorCategory::kBadFile, text(config.where, ": num_key_value_heads is ", model.num_kv_heads,
                                       "; expected a divisor of num_attention_heads, ", model.num_heads));
  }
  const auto head_dim = get_optional_int(config.json, "head_dim", config.where, 2, 1024);
  if (!head_dim && !defaults.head_dim && model.hidden_size % model.num_heads != 0) {
    fail(ErrorCategory::kBadFile,
         text(config.where, ": hidden_size ", model.hidden_size, " is no multiple of num_attention_heads ",
              model.num_heads, ", and head_dim is missing"));
  }
  model.head_dim =
      static_cast<std::int32_t>(head_dim.value_or(defaults.head_dim.value_or(model.hidden_size / model.num_heads)));
  if (model.head_dim % 2 != 0) {
    fail(ErrorCategory::kBadFile, text(config.where, ": head_dim is ", model.head_dim, "; expected an even number"));
  }
}

}  // namespace

void read_shape(const ConfigFields& config, const ShapeDefaults& defaults, ModelSpec& model) {
  const auto& [fields, where] = config;
  model.hidden_size = get_extent(config, "hidden_size");
  model.num_layers = static_cast<std::int32_t>(get_int(fields, "num_hidden_layers", where, 1, 4096));
  model.num_heads = static_cast<std::int32_t>(get_int(fields, "num_attention_heads", where, 1, 4096));
  model.intermediate_size = get_extent(config, "intermediate_size");
  model.vocab_size = get_extent(config, "vocab_size");
  read_heads(config, defaults, model);
  model.max_position =
      get_optional_int(fields, "max_position_embeddings", where, 1, kMaxPositions).value_or(defaults.max_position);
  model.rms_norm_eps = get_optional_number(fields, "rms_norm_eps", where, 0, 1).value_or(defaults.rms_norm_eps);
  const auto tied = fields.find("tie_word_embeddings");
  model.tie_word_embeddings = tied != fields.end() && tied->is_boolean() && tied->get<bool>();
}

void read_model_rope(const ConfigFields& config, const RopeDefaults& defaults, ModelSpec& model) {
  model.ropes = {read_rope(config, defaults, model.max_position, model.head_dim)};
  model.max_position = std::min(model.ropes[0].reach().value_or(model.max_position), kMaxPositions);
}

Activation read_activation(const ConfigFields& config, const char* field, const char* usual) {
  const std::string name = get_optional_string(config.json, field, config.where).value_or(usual);
  if (name == "gelu_pytorch_tanh") return Activation::kGeluTanh;
  check_supported(name == "silu" || name == "swish", config.where, ": ", field, " is \"", name.substr(0, 40),
                  "\"; supported: silu, gelu_pytorch_tanh");
  return Activation::kSilu;
}

bool read_flag(const ConfigFields& config, const char* field) {
  return get_optional_bool(config.json, field, config.where).value_or(false);
}

double read_positive(const ConfigFields& config, const char* field, double usual) {
  const double value = get_optional_number(config.json, field, config.where, 0, 1e12).value_or(usual);
  if (value == 0) fail_field(config.where, field, value, "a number above 0");
  return value;
}

std::optional<std::int64_t> read_window(const ConfigFields& config, std::optional<std::int64_t> usual) {
  const auto window = get_optional_int(config.json, "sliding_window", config.where, 1, std::int64_t{1} << 31);
  return window || is_null(config, "sliding_window") ? window : usual;
}

std::optional<std::vector<bool>> sliding_layers(const ConfigFields& config, const ModelSpec& model) {
  const auto& [fields, where] = config;
  const auto types = fields.find("layer_types");
  if (types == fields.end() || types->is_null()) return std::nullopt;
  if (!types->is_array() || types->size() != static_cast<std::size_t>(model.num_layers)) {
    fail_field(where, "layer_types", *types, text("an array with one name for each of ", model.num_layers, " layers"));
  }
  std::vector<bool> slide;
  for (const json& type : *types) {
    const std::string name = type.is_string() ? type.get<std::string>() : type.dump();
    check_supported(name == "full_attention" || name == "sliding_attention", where, ": layer_types has \"",
                    name.substr(0, 40), "\"; supported: full_attention, sliding_attention");
    slide.push_back(name == "sliding_attention");
  }
  return slide;
}

void set_window(const ConfigFields& config, std::optional<std::int64_t> window,
                const std::function<bool(std::int32_t)>& slides, ModelSpec& model) {
  const auto listed = sliding_layers(config, model);
  for (std::int32_t layer = 0; layer < model.num_layers; ++layer) {
    const auto at = static_cast<std::size_t>(layer);
    if (listed ? (*listed)[at] : slides(layer)) model.layers[at].window = window;
  }
}

void offset_norms(ModelSpec& model) {
  model.final_norm.offset = 1;
  for (LayerSpec& layer : model.layers) {
    for (NormSpec* norm : {&layer.attention_norm, &layer.attention_out_norm, &layer.q_norm, &layer.k_norm,
                           &layer.mlp_norm, &layer.mlp_out_norm}) {
      norm->offset = 1;
    }
  }
}

void add_plain_layers(const ConfigFields& config, const PlainBiases& biases, ModelSpec& model) {
  const Activation activation = read_activation(config, "hidden_act", "silu");
  const std::int64_t hidden = model.hidden_size, inner = model.intermediate_size;
  const auto matrix = [](std::string name, std::int64_t in, std::int64_t out, bool bias) {
    return MatrixSpec{.name = std::move(name), .in = in, .out = out, .bias = bias};
  };
  for (std::int32_t index = 0; index < model.num_layers; ++index) {
    const std::string layer = text("model.layers.", index, ".");
    const std::string attention = layer + "self_attn.", mlp = layer + "mlp.";
    LayerSpec& spec = model.layers.emplace_back();
    spec.attention_norm = {.name = layer + "input_layernorm.weight", .size = hidden};
    spec.q = matrix(attention + "q_proj", hidden, model.q_width(), biases.qkv);
    spec.k = matrix(attention + "k_proj", hidden, model.kv_width(), biases.qkv);
    spec.v = matrix(attention + "v_proj", hidden, model.kv_width(), biases.qkv);
    spec.o = matrix(attention + "o_proj", model.q_width(), hidden, biases.out);
    spec.mlp_norm = {.name = layer + "post_attention_layernorm.weight", .size = hidden};
    spec.activation = activation;
    spec.mlp.gate = matrix(mlp + "gate_proj", hidden, inner, biases.mlp);
    spec.mlp.up = matrix(mlp + "up_proj", hidden, inner, biases.mlp);
    spec.mlp.down = matrix(mlp + "down_proj", inner, hidden, biases.mlp);
  }
  model.final_norm = {.name = "model.norm.weight", .size = hidden};
}

void fuse_gate_and_up(ModelSpec& model) {
  for (std::int32_t index = 0; index < model.num_layers; ++index) {
    MlpSpec& mlp = model.layers[static_cast<std::size_t>(index)].mlp;
    mlp.gate.name = mlp.up.name = text("model.layers.", index, ".mlp.gate_up_proj");
    mlp.up.first_row = mlp.gate.out;
    mlp.gate.stored_rows = mlp.up.stored_rows = mlp.gate.out + mlp.up.out;
  }
}

void add_head_norms(ModelSpec& model) {
  for (std::int32_t index = 0; index < model.num_layers; ++index) {
    LayerSpec& spec = model.layers[static_cast<std::size_t>(index)];
    const std::string attention = text("model.layers.", index, ".self_attn.");
    spec.q_norm = {.name = attention + "q_norm.weight", .size = model.head_dim};
    spec.k_norm = {.name = attention + "k_norm.weight", .size = model.head_dim};
  }
}

}  // namespace tca::runtime
