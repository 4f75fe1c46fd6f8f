// Mixtral and Qwen3-MoE: Mistral and Qwen3 with experts in place of the MLP.
#include <algorithm>

#include "core/check.h"
#include "core/json.h"
#include "runtime/spec/config_fields.h"

namespace tca::runtime {
namespace {

constexpr std::int64_t kMostExperts = 4096;

struct ExpertNames {
  const char* block;  // of the layer
  const char *gate, *up, *down;
};

/// In place of the layer's MLP.
void add_experts(const ExpertNames& names, std::int64_t number, std::int64_t width, const ExpertsSpec& common,
                 std::int32_t index, LayerSpec& spec) {
  const std::int64_t hidden = spec.mlp.gate.in;
  const std::string block = text("model.layers.", index, ".", names.block, ".");
  spec.mlp = {};
  spec.experts = common;
  spec.experts->router = {.name = block + "gate", .in = hidden, .out = number};
  for (std::int64_t e = 0; e < number; ++e) {
    const std::string expert = text(block, "experts.", e, ".");
    spec.experts->experts.push_back({.gate = {.name = expert + names.gate, .in = hidden, .out = width},
                                     .up = {.name = expert + names.up, .in = hidden, .out = width},
                                     .down = {.name = expert + names.down, .in = width, .out = hidden}});
  }
}

/// num_local_experts, in older files num_experts.
std::int64_t read_number(const ConfigFields& config, std::int64_t usual) {
  const auto read = [&](const char* field) {
    return get_optional_int(config.json, field, config.where, 1, kMostExperts);
  };
  const auto number = read("num_local_experts");
  return number ? *number : read("num_experts").value_or(usual);
}

std::int32_t read_chosen(const ConfigFields& config, std::int64_t number, std::int32_t usual) {
  return static_cast<std::int32_t>(
      get_optional_int(config.json, "num_experts_per_tok", config.where, 1, number).value_or(usual));
}

}  // namespace

void describe_mixtral(const ConfigFields& config, ModelSpec& model) {
  constexpr ExpertNames kNames = {"block_sparse_moe", "w1", "w3", "w2"};
  read_shape(config, {.kv_heads = 8, .max_position = 131072, .rms_norm_eps = 1e-5}, model);
  add_plain_layers(config, {}, model);
  const std::int64_t number = read_number(config, 8);
  const ExpertsSpec common{.chosen = read_chosen(config, number, 2), .renormalise = true, .router = {}, .experts = {}};
  for (std::int32_t index = 0; index < model.num_layers; ++index) {
    add_experts(kNames, number, model.intermediate_size, common, index, model.layers[static_cast<std::size_t>(index)]);
  }
  read_model_rope(config, {.theta = 1e6}, model);
  for (LayerSpec& layer : model.layers) layer.window = read_window(config, std::nullopt);
}

void describe_qwen3_moe(const ConfigFields& config, ModelSpec& model) {
  constexpr ExpertNames kNames = {"mlp", "gate_proj", "up_proj", "down_proj"};
  const auto& [fields, where] = config;
  read_shape(config, {.kv_heads = 4, .max_position = 32768}, model);
  const bool bias = read_flag(config, "attention_bias");
  add_plain_layers(config, {.qkv = bias, .out = bias}, model);
  add_head_norms(model);
  const std::int64_t number = read_number(config, 128);
  const std::int64_t width = get_optional_int(fields, "moe_intermediate_size", where, 1, 1 << 24).value_or(768);
  const std::int64_t step = get_optional_int(fields, "decoder_sparse_step", where, 1, 4096).value_or(1);
  const ExpertsSpec common{.chosen = read_chosen(config, number, 8),
                           .renormalise = read_flag(config, "norm_topk_prob"),
                           .router = {},
                           .experts = {}};
  const auto plain = fields.find("mlp_only_layers");  // indices
  const bool listed = plain != fields.end() && plain->is_array();
  for (std::int32_t index = 0; index < model.num_layers; ++index) {
    if ((index + 1) % step != 0 || (listed && std::find(plain->begin(), plain->end(), index) != plain->end())) continue;
    add_experts(kNames, number, width, common, index, model.layers[static_cast<std::size_t>(index)]);
  }
  read_model_rope(config, {}, model);
  if (!read_flag(config, "use_sliding_window")) return;
  for (LayerSpec& layer : model.layers) layer.window = read_window(config, 4096);
}

}  // namespace tca::runtime
