// The rotary embedding's part of config.json.
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <string>

#include "runtime/io/model_config.h"

namespace tca::runtime {

/// Reads rope_theta with rope_scaling (Transformers 4) or rope_parameters (Transformers 5). Throws tca::Error naming
/// what is broken or not supported.
RopeConfig read_rope(const nlohmann::json& config, std::int64_t max_position, const std::string& where);

}  // namespace tca::runtime
