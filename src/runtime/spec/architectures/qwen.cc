// Qwen2 and 2.5: biases of q, k and v. Qwen3: norms of every head of q and k.
#include "core/json.h"
#include "runtime/spec/config_fields.h"

namespace tca::runtime {
namespace {

constexpr std::int64_t kUsualContext = 32768;

void read_sliding_window(const ConfigFields& config, ModelSpec& model) {
  constexpr std::int64_t kUsualWindow = 4096, kUsualFirst = 28;
  if (!read_flag(config, "use_sliding_window")) return;
  // Without layer_types, layers from this one on slide.
  const auto slides = [&](std::int32_t layer) {
    return layer >= get_optional_int(config.json, "max_window_layers", config.where, 0, 1 << 20).value_or(kUsualFirst);
  };
  set_window(config, read_window(config, kUsualWindow), slides, model);
}

}  // namespace

void describe_qwen2(const ConfigFields& config, ModelSpec& model) {
  read_shape(config, {.kv_heads = 32, .max_position = kUsualContext}, model);
  add_plain_layers(config, {.qkv = true}, model);
  read_sliding_window(config, model);
  read_model_rope(config, {}, model);
}

void describe_qwen3(const ConfigFields& config, ModelSpec& model) {
  read_shape(config, {.kv_heads = 32, .head_dim = 128, .max_position = kUsualContext}, model);
  const bool bias = read_flag(config, "attention_bias");
  add_plain_layers(config, {.qkv = bias, .out = bias}, model);
  add_head_norms(model);
  read_sliding_window(config, model);
  read_model_rope(config, {}, model);
}

}  // namespace tca::runtime
