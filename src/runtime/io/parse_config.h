// A model's configuration from JSON that lies in memory.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

#include "runtime/io/model_config.h"

namespace tca::runtime {

/// As ModelConfig::load() reads config.json, of an object with the same fields that errors call `where`.
ModelConfig parse_config(const nlohmann::json& config, const std::string& where);

}  // namespace tca::runtime
