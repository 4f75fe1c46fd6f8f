#include "runtime/spec/architecture.h"

#include <algorithm>

#include "core/check.h"
#include "core/json.h"
#include "runtime/spec/config_fields.h"

namespace tca::runtime {

#define TCA_ARCHITECTURE(name, model_type, describe) void describe(const ConfigFields& config, ModelSpec& model);
#include "runtime/spec/architectures/list.inc"
#undef TCA_ARCHITECTURE

namespace {

using nlohmann::json;

struct Architecture {
  const char* name;
  const char* model_type;
  void (*describe)(const ConfigFields& config, ModelSpec& model);
};
#define TCA_ARCHITECTURE(name, model_type, describe) {name, model_type, describe},
constexpr Architecture kArchitectures[] = {
#include "runtime/spec/architectures/list.inc"
};
#undef TCA_ARCHITECTURE

/// Of names that are asked for: what keeps them out.
constexpr struct {
  const char* begins_with;
  const char* reason;
} kRefused[] = {
    {"Gemma2", "attention with soft caps"},
    {"gemma2", "attention with soft caps"},
    {"GptOss", "learned attention sinks"},
    {"gpt_oss", "learned attention sinks"},
    {"DeepseekV2", "multi-head latent attention"},
    {"DeepseekV3", "multi-head latent attention"},
    {"deepseek_v2", "multi-head latent attention"},
    {"deepseek_v3", "multi-head latent attention"},
    {"MiniCPM3", "multi-head latent attention"},
    {"minicpm3", "multi-head latent attention"},
    {"Kimi", "multi-head latent attention"},
    {"kimi", "multi-head latent attention"},
    {"Qwen3Next", "layers with linear attention"},
    {"qwen3_next", "layers with linear attention"},
    {"Qwen3_5", "layers with linear attention"},
    {"qwen3_5", "layers with linear attention"},
    {"OlmoHybrid", "layers with linear attention"},
    {"olmo_hybrid", "layers with linear attention"},
    {"Jamba", "state-space layers"},
    {"jamba", "state-space layers"},
    {"FalconH1", "state-space layers"},
    {"falcon_h1", "state-space layers"},
    {"GraniteMoeHybrid", "state-space layers"},
    {"granitemoehybrid", "state-space layers"},
    {"Mamba", "state-space layers"},
    {"mamba", "state-space layers"},
};

std::string reason_against(const std::string& name) {
  for (const auto& [begins_with, reason] : kRefused) {
    if (name.starts_with(begins_with)) return text(", which has ", reason, ": not supported");
  }
  return "";
}

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
       text(where, has_list ? ": architectures[0] is \"" : ": model_type is \"", name.substr(0, 60), "\"",
            reason_against(name), "; supported: ", architecture_names()));
}

void refuse_quantised(const json& config, const std::string& where) {
  for (const char* field : {"quantization_config", "compression_config"}) {
    const auto found = config.find(field);
    if (found == config.end() || found->is_null()) continue;
    const auto method = found->is_object() ? found->find("quant_method") : found->end();
    const bool named = found->is_object() && method != found->end() && method->is_string();
    fail(ErrorCategory::kUnsupported,
         text(where, ": ", field, " (quant_method ", named ? method->get<std::string>().substr(0, 40) : "not named",
              "): quantised weights are not supported; use the bf16, fp16 or fp32 checkpoint"));
  }
}

/// What follows from the rest: queries and keys come in the order in which the program turns them, and norms of what is
/// added take its factor along.
void complete(ModelSpec& model) {
  for (LayerSpec& layer : model.layers) {
    if (layer.window) {
      model.sliding_window = std::min(*layer.window, model.sliding_window.value_or(*layer.window));
    }
    layer.attention_out_norm.factor *= model.residual_scale;
    layer.mlp_out_norm.factor *= model.residual_scale;
    const auto order = model.ropes[static_cast<std::size_t>(layer.rope)].head_order(model.head_dim);
    layer.q.head_order = layer.k.head_order = layer.q_norm.head_order = layer.k_norm.head_order = order;
  }
}

}  // namespace

ModelSpec describe_model(const json& config, const std::string& where) {
  const Architecture& architecture = find_architecture(config, where);
  ModelSpec model;
  model.architecture = architecture.name;
  refuse_quantised(config, where);
  architecture.describe({config, where}, model);
  complete(model);
  return model;
}

std::string architecture_names() {
  std::string names;
  for (const Architecture& known : kArchitectures) names += names.empty() ? known.name : text(", ", known.name);
  return names;
}

std::int64_t ModelSpec::widest_mlp() const {
  std::int64_t widest = 0;
  for (const LayerSpec& layer : layers) widest = std::max(widest, layer.mlp.gate.out);
  return widest;
}

bool ModelSpec::has_branches() const {
  return residual_scale != 1 || std::any_of(layers.begin(), layers.end(), [](const LayerSpec& layer) {
           return layer.attention_out_norm.exists() || layer.mlp_out_norm.exists();
         });
}

double ModelSpec::mean_inner() const {
  double sum = 0;
  for (const LayerSpec& layer : layers) {
    sum += layer.experts ? static_cast<double>(layer.experts->chosen * layer.experts->experts[0].gate.out)
                         : static_cast<double>(layer.mlp.gate.out);
  }
  return sum / static_cast<double>(layers.size());
}

std::optional<std::int64_t> ModelSpec::short_context() const {
  std::optional<std::int64_t> shortest;
  for (const RopeConfig& rope : ropes) {
    if (!rope.depends_on_context()) continue;
    const auto reach = static_cast<std::int64_t>(rope.original_max_position);
    shortest = std::min(shortest.value_or(reach), reach);
  }
  return shortest;
}

std::string ModelSpec::describe_ropes() const {
  std::string described;
  for (const RopeConfig& rope : ropes) described += described.empty() ? rope.describe() : text("; ", rope.describe());
  return described;
}

}  // namespace tca::runtime
