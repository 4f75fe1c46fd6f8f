#include "runtime/spec/architecture.h"

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
  fail(ErrorCategory::kUnsupported, text(where, has_list ? ": architectures[0] is \"" : ": model_type is \"",
                                         name.substr(0, 60), "\"; supported: ", architecture_names()));
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

}  // namespace

ModelSpec describe_model(const json& config, const std::string& where) {
  const Architecture& architecture = find_architecture(config, where);
  ModelSpec model;
  model.architecture = architecture.name;
  refuse_quantised(config, where);
  architecture.describe({config, where}, model);
  return model;
}

std::string architecture_names() {
  std::string names;
  for (const Architecture& known : kArchitectures) names += names.empty() ? known.name : text(", ", known.name);
  return names;
}

std::string ModelSpec::describe_ropes() const {
  std::string described;
  for (const RopeConfig& rope : ropes) described += described.empty() ? rope.describe() : text("; ", rope.describe());
  return described;
}

}  // namespace tca::runtime
