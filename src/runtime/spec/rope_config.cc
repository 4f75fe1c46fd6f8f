#include "runtime/spec/rope_config.h"

#include <algorithm>
#include <cmath>

#include "core/check.h"
#include "core/json.h"
#include "runtime/spec/config_fields.h"

namespace tca::runtime {
namespace {

using nlohmann::json;

constexpr double kMaxTheta = 1e15;
constexpr double kMaxFactor = 1e6;
constexpr double kMaxPosition = 1e12;

// What Python takes for false.
bool is_nothing(const json& value) {
  if (value.is_string()) return value.get_ref<const std::string&>().empty();
  return value == false || value == 0 || value.empty();
}

// The object that describes scaling, and its name for messages; null when there is none.
std::pair<const json*, std::string> find_parameters(const json& config, const std::string& where) {
  for (const char* field : {"rope_scaling", "rope_parameters"}) {
    const auto found = config.find(field);
    if (found == config.end() || is_nothing(*found)) continue;
    if (!found->is_object()) fail_field(where, field, *found, "an object or null");
    return {&*found, text(where, ": ", field, ".")};
  }
  return {nullptr, where};
}

// 4000000 rather than 4e+06: these are read by people.
std::string number(double value) {
  const bool is_whole = value == std::floor(value) && std::abs(value) < 1e15;
  return is_whole ? text(static_cast<std::int64_t>(value)) : text(value);
}

double get_above(const json& object, const char* field, const std::string& where, double low, double high) {
  const double value = get_number(object, field, where, low, high);
  if (value <= low) fail_field(where, field, value, text("a number above ", low));
  return value;
}

std::optional<double> get_optional_above(const json& object, const char* field, const std::string& where, double low,
                                         double high) {
  const auto found = object.find(field);
  if (found == object.end() || found->is_null()) return std::nullopt;
  return get_above(object, field, where, low, high);
}

// Transformers takes 0 for these as "not given".
std::optional<double> get_if_not_zero(const json& object, const char* field, const std::string& where) {
  const auto value = get_optional_number(object, field, where, 0, kMaxFactor);
  return value && *value != 0 ? value : std::nullopt;
}

void read_llama3(const json& rope, const std::string& where, RopeConfig& out) {
  out.factor = get_number(rope, "factor", where, 1, kMaxFactor);
  out.low_freq_factor = get_above(rope, "low_freq_factor", where, 0, kMaxFactor);
  out.high_freq_factor = get_above(rope, "high_freq_factor", where, out.low_freq_factor, kMaxFactor);
}

void read_yarn(const json& rope, std::int64_t max_position, const std::string& where, RopeConfig& out) {
  const bool derived = rope.contains("factor") && rope["factor"].is_null();
  out.factor = derived ? static_cast<double>(max_position) / out.original_max_position
                       : get_number(rope, "factor", where, 1, kMaxFactor);
  out.beta_fast = get_if_not_zero(rope, "beta_fast", where).value_or(32);
  out.beta_slow = get_if_not_zero(rope, "beta_slow", where).value_or(1);
  out.attention_factor = get_optional_above(rope, "attention_factor", where, 0, kMaxFactor);
  out.mscale = get_if_not_zero(rope, "mscale", where);
  out.mscale_all_dim = get_if_not_zero(rope, "mscale_all_dim", where);
  out.truncate = get_optional_bool(rope, "truncate", where).value_or(true);
}

// Of these architectures only those with scaling look at the field.
void refuse_partial_rotation(const json& rope, const std::string& where, const json& config, const std::string& file) {
  const char* const field = "partial_rotary_factor";
  const bool inside = rope.contains(field);
  const double share = get_optional_number(inside ? rope : config, field, inside ? where : file, 0, 1).value_or(1);
  check_supported(share == 1, inside ? where : file + ": ", field, " is ", share, "; supported: 1");
}

}  // namespace

RopeConfig read_rope(const ConfigFields& source, std::int64_t max_position) {
  const auto& [config, file] = source;
  const json none = json::object();
  const auto [parameters, where] = find_parameters(config, file);
  const json& rope = parameters != nullptr ? *parameters : none;
  for (const auto& [key, value] : rope.items()) {
    check_supported(!value.is_object(), where, key.substr(0, 40),
                    " is an object: one rotary embedding for each layer type is not supported");
  }
  RopeConfig out;
  out.theta = get_optional_above(rope, "rope_theta", where, 1, kMaxTheta)
                  .value_or(get_optional_above(config, "rope_theta", file, 1, kMaxTheta).value_or(out.theta));
  const auto named = get_optional_string(rope, "rope_type", where);
  const std::string type = named ? *named : get_optional_string(rope, "type", where).value_or("default");
  if (type == "llama3" || type == "yarn") {
    const double own = get_optional_above(rope, "original_max_position_embeddings", where, 0, kMaxPosition)
                           .value_or(static_cast<double>(max_position));
    out.original_max_position =
        get_optional_above(config, "original_max_position_embeddings", file, 0, kMaxPosition).value_or(own);
  }
  if (type != "default") refuse_partial_rotation(rope, where, config, file);
  if (type == "linear") {
    out.scaling = RopeScaling::kLinear;
    out.factor = get_number(rope, "factor", where, 1, kMaxFactor);
  } else if (type == "llama3") {
    out.scaling = RopeScaling::kLlama3;
    read_llama3(rope, where, out);
  } else if (type == "yarn") {
    out.scaling = RopeScaling::kYarn;
    read_yarn(rope, max_position, where, out);
  } else {
    check_supported(type == "default", where, named ? "rope_type" : "type", " is \"", type.substr(0, 40),
                    "\"; supported: default, linear, llama3, yarn");
  }
  return out;
}

std::optional<std::int64_t> RopeConfig::reach() const {
  if (scaling != RopeScaling::kYarn) return std::nullopt;
  return static_cast<std::int64_t>(std::max(1.0, std::round(original_max_position * factor)));
}

std::string RopeConfig::describe() const {
  const auto field = [](const char* name, double value) { return text(" ", name, "=", number(value)); };
  const auto optional = [&](const char* name, const std::optional<double>& value) {
    return value ? field(name, *value) : std::string();
  };
  std::string scaled;
  switch (scaling) {
    case RopeScaling::kNone:
      scaled = "default";
      break;
    case RopeScaling::kLinear:
      scaled = "linear" + field("factor", factor);
      break;
    case RopeScaling::kLlama3:
      scaled = "llama3" + field("factor", factor) + field("low_freq_factor", low_freq_factor) +
               field("high_freq_factor", high_freq_factor) + field("original_max_position", original_max_position);
      break;
    case RopeScaling::kYarn:
      scaled = "yarn" + field("factor", factor) + field("original_max_position", original_max_position) +
               field("beta_fast", beta_fast) + field("beta_slow", beta_slow) +
               optional("attention_factor", attention_factor) + optional("mscale", mscale) +
               optional("mscale_all_dim", mscale_all_dim) + (truncate ? "" : " truncate=false");
      break;
  }
  return scaled + field("theta", theta);
}

}  // namespace tca::runtime
