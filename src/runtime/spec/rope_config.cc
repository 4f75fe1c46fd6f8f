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

// 1*2,2.5,8*3: runs of equal ones are counted.
std::string describe_factors(const std::vector<double>& factors) {
  std::string out;
  for (std::size_t begin = 0, end = 0; begin < factors.size(); begin = end) {
    while (end < factors.size() && factors[end] == factors[begin]) ++end;
    out += text(begin == 0 ? "" : ",", number(factors[begin]));
    if (end - begin > 1) out += text("*", end - begin);
  }
  return out;
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

std::vector<double> read_factors(const json& rope, const char* field, const std::string& where, std::size_t count) {
  std::vector<double> factors;
  const json& listed = get_array(rope, field, where);
  for (const json& factor : listed) {
    const bool fits = factor.is_number() && factor.get<double>() > 0 && factor.get<double>() <= kMaxFactor;
    if (!fits) fail_field(where, field, listed, text("an array of numbers above 0, at most ", kMaxFactor));
    factors.push_back(factor.get<double>());
  }
  if (factors.size() != count) fail_field(where, field, listed, text("an array of ", count, " numbers"));
  return factors;
}

void read_longrope(const json& rope, std::int64_t max_position, std::int32_t turned, const std::string& where,
                   RopeConfig& out) {
  const auto count = static_cast<std::size_t>(turned / 2);
  out.short_factors = read_factors(rope, "short_factor", where, count);
  out.long_factors = read_factors(rope, "long_factor", where, count);
  out.factor = get_optional_number(rope, "factor", where, 0, kMaxFactor)
                   .value_or(static_cast<double>(max_position) / out.original_max_position);
  out.attention_factor = get_optional_above(rope, "attention_factor", where, 0, kMaxFactor);
}

// Of the other architectures only those with scaling look at the field.
void refuse_partial_rotation(const json& rope, const std::string& where, const json& config, const std::string& file) {
  const char* const field = "partial_rotary_factor";
  const bool inside = rope.contains(field);
  const double share = get_optional_number(inside ? rope : config, field, inside ? where : file, 0, 1).value_or(1);
  check_supported(share == 1, inside ? where : file + ": ", field, " is ", share, "; supported: 1");
}

/// Tells lists of factors apart: their sum, weighted by place.
double checksum_of(const std::vector<double>& factors) {
  double sum = 0;
  for (std::size_t i = 0; i < factors.size(); ++i) sum += static_cast<double>(i + 1) * factors[i];
  return sum;
}

}  // namespace

RopeConfig read_rope(const ConfigFields& source, const RopeDefaults& defaults, std::int64_t max_position,
                     std::int32_t head_dim) {
  const auto& [config, file] = source;
  const json none = json::object();
  const auto [parameters, where] = find_parameters(config, file);
  const json& rope = parameters != nullptr ? *parameters : none;
  for (const auto& [key, value] : rope.items()) {
    check_supported(!value.is_object(), where, key.substr(0, 40),
                    " is an object: one rotary embedding for each layer type is not supported");
  }
  RopeConfig out{.theta = defaults.theta, .interleaved = defaults.interleaved};
  out.theta = get_optional_above(rope, "rope_theta", where, 1, kMaxTheta)
                  .value_or(get_optional_above(config, "rope_theta", file, 1, kMaxTheta).value_or(out.theta));
  const auto named = get_optional_string(rope, "rope_type", where);
  std::string type = named ? *named : get_optional_string(rope, "type", where).value_or("default");
  if (defaults.longrope && (type == "su" || type == "yarn")) type = "longrope";  // earlier names of it
  if (type == "llama3" || type == "yarn" || type == "longrope") {
    const double own = get_optional_above(rope, "original_max_position_embeddings", where, 0, kMaxPosition)
                           .value_or(static_cast<double>(max_position));
    out.original_max_position =
        get_optional_above(config, "original_max_position_embeddings", file, 0, kMaxPosition).value_or(own);
  }
  if (defaults.takes_share) {
    const char* const field = "partial_rotary_factor";
    const bool inside = rope.contains(field);
    out.share =
        get_optional_number(inside ? rope : config, field, inside ? where : file, 0, 1).value_or(defaults.share);
    check_supported(out.turned(head_dim) % 2 == 0, inside ? where : file + ": ", field, " is ", out.share,
                    ": of a head's ", head_dim, " dimensions ", out.turned(head_dim),
                    " would turn; supported: an even number");
  } else if (type != "default") {
    refuse_partial_rotation(rope, where, config, file);
  }
  if (type == "linear") {
    out.scaling = RopeScaling::kLinear;
    out.factor = get_number(rope, "factor", where, 1, kMaxFactor);
  } else if (type == "llama3") {
    out.scaling = RopeScaling::kLlama3;
    read_llama3(rope, where, out);
  } else if (type == "yarn") {
    out.scaling = RopeScaling::kYarn;
    read_yarn(rope, max_position, where, out);
  } else if (type == "factors") {  // as GGUF files have llama3's scaling
    out.scaling = RopeScaling::kFactors;
    out.factors = read_factors(rope, "factors", where, static_cast<std::size_t>(out.turned(head_dim) / 2));
  } else if (type == "longrope" && defaults.longrope) {
    out.scaling = RopeScaling::kLongRope;
    read_longrope(rope, max_position, out.turned(head_dim), where, out);
  } else {
    check_supported(type == "default", where, named ? "rope_type" : "type", " is \"", type.substr(0, 40),
                    "\"; supported: default, linear, llama3, yarn", defaults.longrope ? ", longrope" : "");
  }
  return out;
}

std::optional<std::int64_t> RopeConfig::reach() const {
  if (scaling != RopeScaling::kYarn) return std::nullopt;
  return static_cast<std::int64_t>(std::max(1.0, std::round(original_max_position * factor)));
}

RopeConfig RopeConfig::none() {
  RopeConfig rope;
  rope.share = 0;
  return rope;
}

std::int32_t RopeConfig::turned(std::int32_t head_dim) const { return static_cast<std::int32_t>(head_dim * share); }

std::vector<std::int32_t> RopeConfig::head_order(std::int32_t head_dim) const {
  const std::int32_t turn = turned(head_dim), half = head_dim / 2;
  if (turn == 0 || (turn == head_dim && !interleaved)) return {};
  std::vector<std::int32_t> order(static_cast<std::size_t>(head_dim));
  const auto at = [&](std::int32_t i) -> std::int32_t& { return order[static_cast<std::size_t>(i)]; };
  for (std::int32_t i = 0; i < turn / 2; ++i) {
    at(i) = interleaved ? 2 * i : i;
    at(half + i) = interleaved ? 2 * i + 1 : i + turn / 2;
  }
  std::int32_t rest = turn;
  for (std::int32_t begin : {turn / 2, half + turn / 2}) {
    for (std::int32_t i = begin; i < (begin < half ? half : head_dim); ++i) at(i) = rest++;
  }
  return order;
}

std::string RopeConfig::describe() const {
  if (share == 0) return "none";
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
    case RopeScaling::kFactors:
      scaled = text("factors=", describe_factors(factors));
      break;
    case RopeScaling::kLongRope:
      scaled = "longrope" + field("factor", factor) + field("original_max_position", original_max_position) +
               optional("attention_factor", attention_factor) + field("short_factors", checksum_of(short_factors)) +
               field("long_factors", checksum_of(long_factors));
      break;
  }
  if (share != 1) scaled += field("partial_rotary_factor", share);
  if (interleaved) scaled += " interleaved";
  return scaled + field("theta", theta);
}

}  // namespace tca::runtime
