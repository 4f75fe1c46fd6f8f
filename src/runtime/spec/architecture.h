// The architectures this program knows, each a file of architectures/ and a line of architectures/list.inc.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

#include "runtime/spec/model_spec.h"

namespace tca::runtime {

/// From an object like config.json's; `where` is what errors call it. Fields that Transformers does not use may be
/// anything. Throws tca::Error naming field, value and what is supported.
ModelSpec describe_model(const nlohmann::json& config, const std::string& where);

/// "LlamaForCausalLM, MistralForCausalLM, ..."
std::string architecture_names();

}  // namespace tca::runtime
