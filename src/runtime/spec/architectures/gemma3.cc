// Gemma 3, text: of six layers five have a sliding window and a rotary embedding of their own; norms on both sides,
// whose weights are stored less 1; the embedding times sqrt(hidden_size).
#include <cmath>

#include "core/check.h"
#include "core/json.h"
#include "runtime/spec/config_fields.h"

namespace tca::runtime {
namespace {

using nlohmann::json;

constexpr std::int32_t kGlobal = 0, kLocal = 1;
constexpr double kGlobalTheta = 1e6, kLocalTheta = 1e4;

void refuse_what_is_not_computed(const ConfigFields& config) {
  for (const char* field : {"attn_logit_softcapping", "final_logit_softcapping"}) {
    const auto found = config.json.find(field);
    check_supported(found == config.json.end() || found->is_null(), config.where, ": ", field,
                    " is given; supported: null");
  }
  check_supported(!read_flag(config, "use_bidirectional_attention"), config.where,
                  ": use_bidirectional_attention is true; supported: false");
}

/// rope_parameters by kind of layer (Transformers 5), or rope_theta, rope_scaling and rope_local_base_freq.
void read_ropes(const ConfigFields& config, ModelSpec& model) {
  const json* const by_kind = get_optional_object(config.json, "rope_parameters", config.where);
  const auto read = [&](const char* kind, double theta) {
    const json* const own = by_kind == nullptr ? nullptr : get_optional_object(*by_kind, kind, config.where);
    JsonDocument fields;
    if (own != nullptr) (*fields)["rope_parameters"] = *own;
    return read_rope({*fields, config.where}, {.theta = theta}, model.max_position, model.head_dim);
  };
  if (by_kind != nullptr && (by_kind->contains("full_attention") || by_kind->contains("sliding_attention"))) {
    model.ropes = {read("full_attention", kGlobalTheta), read("sliding_attention", kLocalTheta)};
    return;
  }
  RopeConfig local;
  local.theta = read_positive(config, "rope_local_base_freq", kLocalTheta);
  model.ropes = {read_rope(config, {.theta = kGlobalTheta}, model.max_position, model.head_dim), local};
}

}  // namespace

void describe_gemma3(const ConfigFields& config, ModelSpec& model) {
  const auto& [fields, where] = config;
  refuse_what_is_not_computed(config);
  read_shape(config, {.kv_heads = 4, .head_dim = 256, .max_position = 131072}, model);
  const bool bias = read_flag(config, "attention_bias");
  add_plain_layers(config, {.qkv = bias, .out = bias}, model);
  add_head_norms(model);
  const Activation activation = read_activation(config, "hidden_activation", "gelu_pytorch_tanh");
  for (std::int32_t index = 0; index < model.num_layers; ++index) {
    LayerSpec& spec = model.layers[static_cast<std::size_t>(index)];
    const std::string layer = text("model.layers.", index, ".");
    spec.attention_out_norm = {.name = layer + "post_attention_layernorm.weight", .size = model.hidden_size};
    spec.mlp_norm = {.name = layer + "pre_feedforward_layernorm.weight", .size = model.hidden_size};
    spec.mlp_out_norm = {.name = layer + "post_feedforward_layernorm.weight", .size = model.hidden_size};
    spec.activation = activation;
  }
  offset_norms(model);
  model.embedding_scale = std::sqrt(model.hidden_size);
  model.query_scale = std::sqrt(model.head_dim / read_positive(config, "query_pre_attn_scalar", 256));
  const std::int64_t pattern = get_optional_int(fields, "sliding_window_pattern", where, 1, 4096).value_or(6);
  set_window(
      config, read_window(config, 4096), [&](std::int32_t layer) { return (layer + 1) % pattern != 0; }, model);
  read_ropes(config, model);
  for (LayerSpec& layer : model.layers) layer.rope = layer.window ? kLocal : kGlobal;
}

}  // namespace tca::runtime
