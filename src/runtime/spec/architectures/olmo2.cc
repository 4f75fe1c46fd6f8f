// OLMo 2: norms of what attention and MLP add, not of what they read, and of all heads of q and k as one.
#include "core/check.h"
#include "runtime/spec/config_fields.h"

namespace tca::runtime {

void describe_olmo2(const ConfigFields& config, ModelSpec& model) {
  read_shape(config, {.max_position = 2048, .rms_norm_eps = 1e-5}, model);
  const bool bias = read_flag(config, "attention_bias");
  add_plain_layers(config, {.qkv = bias, .out = bias}, model);
  for (std::int32_t index = 0; index < model.num_layers; ++index) {
    LayerSpec& spec = model.layers[static_cast<std::size_t>(index)];
    const std::string layer = text("model.layers.", index, "."), attention = layer + "self_attn.";
    spec.attention_norm = spec.mlp_norm = {};
    spec.attention_out_norm = {.name = layer + "post_attention_layernorm.weight", .size = model.hidden_size};
    spec.mlp_out_norm = {.name = layer + "post_feedforward_layernorm.weight", .size = model.hidden_size};
    spec.q_norm = {.name = attention + "q_norm.weight", .size = model.q_width()};
    spec.k_norm = {.name = attention + "k_norm.weight", .size = model.kv_width()};
  }
  read_model_rope(config, {}, model);
}

}  // namespace tca::runtime
