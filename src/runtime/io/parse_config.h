// What a configuration says, wherever it comes from.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

#include "runtime/io/model_config.h"

namespace tca::runtime {

/// From the object of a config.json, as Transformers reads it: fields that it does not use may be anything. where: its
/// name in messages. Throws tca::Error naming file, field, value and what is supported.
ModelConfig parse_config(const nlohmann::json& config, const std::string& where);

}  // namespace tca::runtime
