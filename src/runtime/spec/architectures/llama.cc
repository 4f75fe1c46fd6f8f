// Llama 2, 3, 3.1, 3.2 and what is derived from them; Mistral, which differs in what its file may say.
#include "runtime/spec/config_fields.h"

namespace tca::runtime {

void describe_llama(const ConfigFields& config, ModelSpec& model) {
  read_shape(config, {.max_position = 2048}, model);
  const bool attention_bias = read_flag(config, "attention_bias");
  add_plain_layers(config, {.qkv = attention_bias, .out = attention_bias, .mlp = read_flag(config, "mlp_bias")}, model);
  read_model_rope(config, {}, model);
}

void describe_mistral(const ConfigFields& config, ModelSpec& model) {
  constexpr std::int64_t kUsualWindow = 4096;
  read_shape(config, {.kv_heads = 8, .max_position = 131072}, model);
  add_plain_layers(config, {}, model);
  set_window(
      config, read_window(config, kUsualWindow), [](std::int32_t) { return true; }, model);
  read_model_rope(config, {}, model);
}

}  // namespace tca::runtime
