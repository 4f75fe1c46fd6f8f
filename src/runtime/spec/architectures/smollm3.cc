// SmolLM3: Llama, whose every fourth layer has no rotary embedding.
#include "core/check.h"
#include "core/json.h"
#include "runtime/spec/config_fields.h"

namespace tca::runtime {
namespace {

constexpr std::int32_t kRotated = 0, kPlain = 1;

/// no_rope_layers has a 1 for each layer with the embedding; without it every no_rope_layer_interval-th has none.
void choose_ropes(const ConfigFields& config, ModelSpec& model) {
  const auto& [fields, where] = config;
  const auto found = fields.find("no_rope_layers");
  const bool listed = found != fields.end() && !found->is_null();
  const auto count = static_cast<std::size_t>(model.num_layers);
  if (listed && (!found->is_array() || found->size() < count)) {
    fail_field(where, "no_rope_layers", *found, text("an array with a 0 or 1 for each of ", count, " layers"));
  }
  const std::int64_t interval = get_optional_int(fields, "no_rope_layer_interval", where, 1, 1 << 20).value_or(4);
  for (std::size_t layer = 0; layer < count; ++layer) {
    const bool rotates = listed ? (*found)[layer] != 0 : (static_cast<std::int64_t>(layer) + 1) % interval != 0;
    model.layers[layer].rope = rotates ? kRotated : kPlain;
  }
}

}  // namespace

void describe_smollm3(const ConfigFields& config, ModelSpec& model) {
  read_shape(config, {.kv_heads = 4, .max_position = 32768}, model);
  const bool bias = read_flag(config, "attention_bias");
  add_plain_layers(config, {.qkv = bias, .out = bias, .mlp = read_flag(config, "mlp_bias")}, model);
  read_model_rope(config, {.theta = 2e6}, model);
  model.ropes.push_back(RopeConfig::none());
  choose_ropes(config, model);
  if (!read_flag(config, "use_sliding_window")) return;
  const auto slides = [&](std::int32_t layer) { return model.layers[static_cast<std::size_t>(layer)].rope == kPlain; };
  set_window(config, read_window(config, std::nullopt), slides, model);
}

}  // namespace tca::runtime
