// The part of a profile's text form that calibration by answers writes (docs/profile.md).
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>

#include "tca/profile.h"

namespace tca {

/// `where` ends in a dot: "p.json: answer_risk.". `model` gives the shapes. Throws kBadFile naming the field.
AnswerRisk parse_answer_risk(const nlohmann::json& object, const std::string& where, const ModelFingerprint& model,
                             std::int32_t block_size);
/// One KV head a line.
std::string answer_risk_text(const AnswerRisk& answers, const ModelFingerprint& model);

}  // namespace tca
