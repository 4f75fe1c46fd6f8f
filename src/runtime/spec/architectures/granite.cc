// Granite 3: Llama with four multipliers.
#include <cmath>

#include "core/json.h"
#include "runtime/spec/config_fields.h"

namespace tca::runtime {

void describe_granite(const ConfigFields& config, ModelSpec& model) {
  read_shape(config, {.max_position = 2048}, model);
  const bool bias = read_flag(config, "attention_bias");
  add_plain_layers(config, {.qkv = bias, .out = bias, .mlp = read_flag(config, "mlp_bias")}, model);
  const auto multiplier = [&](const char* field) { return read_positive(config, field, 1); };
  model.embedding_scale = multiplier("embedding_multiplier");
  model.residual_scale = multiplier("residual_multiplier");
  model.query_scale = multiplier("attention_multiplier") * std::sqrt(model.head_dim);
  model.final_norm.factor = 1 / multiplier("logits_scaling");
  read_model_rope(config, {}, model);
}

}  // namespace tca::runtime
