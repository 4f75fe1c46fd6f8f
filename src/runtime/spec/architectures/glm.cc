// GLM-4: half of every head is rotated, in neighbouring pairs; gate and up are one tensor. Glm4 has norms on both sides
// of attention and MLP.
#include "core/check.h"
#include "core/json.h"
#include "runtime/spec/config_fields.h"

namespace tca::runtime {

void describe_glm(const ConfigFields& config, ModelSpec& model) {
  read_shape(config, {.kv_heads = 2, .head_dim = 128, .max_position = 131072, .rms_norm_eps = 1.5625e-7}, model);
  const bool bias = get_optional_bool(config.json, "attention_bias", config.where).value_or(true);
  add_plain_layers(config, {.qkv = bias}, model);
  fuse_gate_and_up(model);
  read_model_rope(config, {.share = 0.5, .takes_share = true, .interleaved = true}, model);
}

void describe_glm4(const ConfigFields& config, ModelSpec& model) {
  describe_glm(config, model);
  for (std::int32_t index = 0; index < model.num_layers; ++index) {
    LayerSpec& spec = model.layers[static_cast<std::size_t>(index)];
    const std::string layer = text("model.layers.", index, ".");
    spec.attention_out_norm = {.name = layer + "post_self_attn_layernorm.weight", .size = model.hidden_size};
    spec.mlp_out_norm = {.name = layer + "post_mlp_layernorm.weight", .size = model.hidden_size};
  }
}

}  // namespace tca::runtime
