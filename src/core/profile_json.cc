#include "core/profile_json.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <initializer_list>
#include <string_view>

#include "core/answer_risk_json.h"
#include "core/check.h"
#include "core/json.h"
#include "tca/profile.h"

namespace tca {

bool is_sha256(const std::string& text) {
  return text.size() == 64 && text.find_first_not_of("0123456789abcdef") == std::string::npos;
}

namespace {

using nlohmann::json;
using nlohmann::ordered_json;

constexpr std::int64_t kMaxInt32 = INT32_MAX;

// By BlockOrder.
constexpr std::array<std::string_view, 3> kOrderNames = {"mass_dispersion", "simpson", "tokens"};

std::string dump(const ordered_json& value) {
  return value.dump(-1, ' ', false, ordered_json::error_handler_t::replace);
}

// Shown in terminals, so nothing but printable text.
std::string get_label(const json& object, const char* field, const std::string& where, bool may_be_empty = false) {
  const std::string label = get_string(object, field, where);
  const auto is_control = [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; };
  const bool printable = std::none_of(label.begin(), label.end(), is_control) && label.size() <= 256;
  if (!printable || (label.empty() && !may_be_empty)) {
    fail_field(where, field, object.at(field), "up to 256 bytes of printable text");
  }
  return label;
}

std::string get_sha256(const json& object, const char* field, const std::string& where, bool may_be_empty) {
  const std::string hash = get_string(object, field, where);
  if (!is_sha256(hash) && !(hash.empty() && may_be_empty)) {
    fail_field(where, field, object.at(field), "a SHA-256 in lower-case hex");
  }
  return hash;
}

std::int32_t get_int32(const json& object, const char* field, const std::string& where, std::int64_t min,
                       std::int64_t max) {
  return static_cast<std::int32_t>(get_int(object, field, where, min, max));
}

ModelFingerprint parse_model(const json& object, const std::string& where) {
  refuse_unknown(
      object, where,
      {"architecture", "num_layers", "num_heads", "num_kv_heads", "head_dim", "rope", "vocab_size", "weights_sha256"});
  ModelFingerprint model;
  model.architecture = get_label(object, "architecture", where);
  model.num_layers = get_int32(object, "num_layers", where, 1, 4096);
  model.num_heads = get_int32(object, "num_heads", where, 1, 4096);
  model.num_kv_heads = get_int32(object, "num_kv_heads", where, 1, model.num_heads);
  if (model.num_heads % model.num_kv_heads != 0) {
    fail_field(where, "num_kv_heads", model.num_kv_heads, text("a divisor of num_heads = ", model.num_heads));
  }
  model.head_dim = get_int32(object, "head_dim", where, 1, 4096);
  model.rope = get_label(object, "rope", where);
  model.vocab_size = get_int32(object, "vocab_size", where, 1, kMaxInt32);
  model.weights_sha256 = get_sha256(object, "weights_sha256", where, false);
  return model;
}

}  // namespace

void refuse_unknown(const json& object, const std::string& where, std::initializer_list<std::string_view> known) {
  for (const auto& [key, value] : object.items()) {
    if (std::find(known.begin(), known.end(), key) == known.end()) {
      fail_field(where, key, value, text("no such field in ", kProfileFormat));
    }
  }
}

SelectionRule parse_rule(const json& object, const std::string& where) {
  refuse_unknown(object, where, {"block_size", "window", "sinks", "probe_queries", "pool_width", "order"});
  SelectionRule rule;
  rule.block_size = get_int32(object, "block_size", where, 8, 256);
  if (!is_block_size(rule.block_size)) fail_field(where, "block_size", rule.block_size, "a power of two in [8, 256]");
  rule.window = get_int32(object, "window", where, 1, kMaxInt32);
  rule.sinks = get_int32(object, "sinks", where, 0, kMaxInt32);
  // The work of scoring grows with both: a file must not make a run endless.
  rule.probe_queries = get_int32(object, "probe_queries", where, 1, 1024);
  rule.pool_width = get_int32(object, "pool_width", where, 1, 255);
  if (rule.pool_width % 2 == 0) fail_field(where, "pool_width", rule.pool_width, "an odd number in [1, 255]");
  const std::string order = get_string(object, "order", where);
  const auto* const name = std::find(kOrderNames.begin(), kOrderNames.end(), order);
  if (name == kOrderNames.end()) {
    fail_field(where, "order", order, "\"mass_dispersion\", \"simpson\" or \"tokens\"");
  }
  rule.order = static_cast<BlockOrder>(name - kOrderNames.begin());
  return rule;
}

std::string rule_text(const SelectionRule& rule) {
  const ordered_json object = {
      {"block_size", rule.block_size}, {"window", rule.window},
      {"sinks", rule.sinks},           {"probe_queries", rule.probe_queries},
      {"pool_width", rule.pool_width}, {"order", kOrderNames[static_cast<std::size_t>(rule.order)]}};
  return dump(object);
}

namespace {

BlockShares parse_shares(const json& head, const char* field, const std::string& where, std::int32_t block_size) {
  const json& array = get_array(head, field, where);
  const auto size = static_cast<std::size_t>(std::bit_width(static_cast<std::uint32_t>(block_size))) + 1;
  if (array.size() != size) {
    fail_field(where, field, array, text(size, " shares: of 0, 1, 2, 4, ..., ", block_size, " tokens kept"));
  }
  BlockShares shares;
  double sum = 0;
  for (std::size_t i = 0; i < size; ++i) {
    const bool is_share = array[i].is_number() && array[i].get<double>() >= 0 && array[i].get<double>() <= 1;
    if (!is_share) fail_field(where, text(field, "[", i, "]"), array[i], "a number in [0, 1]");
    shares.share.push_back(array[i].get<double>());
    sum += shares.share.back();
  }
  if (std::abs(sum - 1) > kShareTolerance) {
    fail(ErrorCategory::kBadFile, text(where, field, " sums to ", sum, "; expected 1 within 1e-6"));
  }
  return shares;
}

HeadProfile parse_head(const json& object, const std::string& where, std::int32_t block_size) {
  if (!object.is_object()) fail(ErrorCategory::kBadFile, text(where, " is not an object"));
  const std::string path = where + ".";
  refuse_unknown(object, path, {"keep", "attend", "risk_p95", "mean_dropped", "kept_share"});
  HeadProfile head;
  head.keep = parse_shares(object, "keep", path, block_size);
  if (object.contains("attend")) head.attend = parse_shares(object, "attend", path, block_size);
  head.risk = get_number(object, "risk_p95", path, 0, 1);
  head.mean_dropped = get_number(object, "mean_dropped", path, 0, 1);
  const double kept = get_number(object, "kept_share", path, 0, 1);
  if (std::abs(kept - head.keep.kept_share()) > kShareTolerance) {
    fail_field(path, "kept_share", kept, text("what keep says: ", head.keep.kept_share()));
  }
  return head;
}

std::vector<std::vector<HeadProfile>> parse_layers(const json& layers, const std::string& where, const Profile& shape) {
  const std::int32_t num_layers = shape.model.num_layers;
  const std::int32_t num_kv_heads = shape.model.num_kv_heads;
  if (layers.size() != static_cast<std::size_t>(num_layers)) {
    fail_field(where, "layers", layers, text("one entry for each of the model's ", num_layers, " layers"));
  }
  std::vector<std::vector<HeadProfile>> parsed(layers.size());
  for (std::size_t l = 0; l < layers.size(); ++l) {
    const json& heads = layers[l];
    if (!heads.is_array() || heads.size() != static_cast<std::size_t>(num_kv_heads)) {
      fail_field(where, text("layers[", l, "]"), heads,
                 text("an array with one entry for each of the model's ", num_kv_heads, " KV heads"));
    }
    for (std::size_t h = 0; h < heads.size(); ++h) {
      parsed[l].push_back(parse_head(heads[h], text(where, "layers[", l, "][", h, "]"), shape.rule.block_size));
    }
  }
  return parsed;
}

ProfileBudget parse_budget(const json& object, const std::string& where, const Profile& shape) {
  if (!object.is_object()) fail(ErrorCategory::kBadFile, text(where, " is not an object"));
  const std::string path = where + ".";
  refuse_unknown(object, path, {"objective", "budget", "kept_share", "rule", "layers"});
  ProfileBudget budget;
  budget.objective = get_string(object, "objective", path);
  if (budget.objective.empty() || budget.objective.size() > 32 ||
      budget.objective.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789-") != std::string::npos) {
    fail_field(path, "objective", budget.objective, "a name of 1 to 32 of the characters a-z, 0-9 and -");
  }
  budget.budget = get_number(object, "budget", path, 0, 1);
  budget.kept_share = get_number(object, "kept_share", path, 0, 1);
  if (object.contains("rule")) {
    budget.rule = parse_rule(get_object(object, "rule", path), path + "rule.");
    if (budget.rule->block_size != shape.rule.block_size) {
      fail_field(path + "rule.", "block_size", budget.rule->block_size, text("the profile's: ", shape.rule.block_size));
    }
  }
  budget.layers = parse_layers(get_array(object, "layers", path), path, shape);
  double sum = 0;
  for (const auto& layer : budget.layers) {
    for (const HeadProfile& head : layer) sum += head.keep.kept_share();
  }
  const double mean = sum / (double{1} * shape.model.num_layers * shape.model.num_kv_heads);
  if (std::abs(mean - budget.kept_share) > kShareTolerance) {
    fail_field(path, "kept_share", budget.kept_share, text("the mean over layers and heads: ", mean));
  }
  return budget;
}

// Something must be kept by it: a default that no budget can hold would be another one in silence.
MeasuredKeep parse_default(const json& object, const std::string& where, const Profile& profile) {
  refuse_unknown(object, where, {"objective", "keep", "measured_on"});
  MeasuredKeep measured;
  measured.objective = get_string(object, "objective", where);
  measured.keep = get_number(object, "keep", where, 0, 1);
  measured.measured_on = get_label(object, "measured_on", where);
  const auto holds = [&](const ProfileBudget& budget) {
    return budget.objective == measured.objective && budget.kept_share <= measured.keep;
  };
  if (std::none_of(profile.budgets.begin(), profile.budgets.end(), holds)) {
    fail_field(where, "keep", measured.keep, text("a share that a budget of '", measured.objective, "' stays below"));
  }
  return measured;
}

std::string get_date(const json& object, const std::string& where) {
  const std::string date = get_string(object, "date", where);
  constexpr std::string_view kPattern = "0000-00-00";
  bool ok = date.empty() || date.size() == kPattern.size();
  for (std::size_t i = 0; ok && i < date.size(); ++i) {
    ok = kPattern[i] == '-' ? date[i] == '-' : date[i] >= '0' && date[i] <= '9';
  }
  if (!ok) fail_field(where, "date", date, "YYYY-MM-DD");
  return date;
}

void parse_provenance(const json& object, const std::string& where, Profile* profile) {
  refuse_unknown(object, where, {"text_sha256", "calibration_tokens", "seed", "version", "date"});
  profile->text_sha256 = get_sha256(object, "text_sha256", where, true);
  profile->calibration_tokens = get_int(object, "calibration_tokens", where, 0, std::int64_t{1} << 53);
  const json& seed = get_field(object, "seed", where);
  if (!seed.is_number_unsigned()) fail_field(where, "seed", seed, "an integer in [0, 2^64)");
  profile->seed = seed.get<std::uint64_t>();
  profile->version = get_label(object, "version", where, true);
  profile->date = get_date(object, where);
}

ordered_json head_json(const HeadProfile& head) {
  ordered_json object = {{"keep", head.keep.share}};
  if (head.attend) object["attend"] = head.attend->share;
  object["risk_p95"] = head.risk;
  object["mean_dropped"] = head.mean_dropped;
  object["kept_share"] = head.keep.kept_share();
  return object;
}

// One head a line, so that profiles can be read and compared line by line.
std::string budget_text(const ProfileBudget& budget) {
  std::string out = text("  {\"objective\": ", dump(budget.objective), ", \"budget\": ", dump(budget.budget),
                         ", \"kept_share\": ", dump(budget.kept_share));
  if (budget.rule) out += text(",\n   \"rule\": ", rule_text(*budget.rule));
  out += ", \"layers\": [";
  for (std::size_t l = 0; l < budget.layers.size(); ++l) {
    out += l == 0 ? "\n   [" : ",\n   [";
    for (std::size_t h = 0; h < budget.layers[l].size(); ++h) {
      out += text(h == 0 ? "\n    " : ",\n    ", dump(head_json(budget.layers[l][h])));
    }
    out += "\n   ]";
  }
  return out + "\n  ]}";
}

}  // namespace

std::string Profile::to_json() const {
  const ordered_json model_json = {{"architecture", model.architecture}, {"num_layers", model.num_layers},
                                   {"num_heads", model.num_heads},       {"num_kv_heads", model.num_kv_heads},
                                   {"head_dim", model.head_dim},         {"rope", model.rope},
                                   {"vocab_size", model.vocab_size},     {"weights_sha256", model.weights_sha256}};
  const ordered_json provenance = {{"text_sha256", text_sha256},
                                   {"calibration_tokens", calibration_tokens},
                                   {"seed", seed},
                                   {"version", version},
                                   {"date", date}};
  std::string out = text("{\n \"format\": \"", kProfileFormat, "\",\n \"model\": ", dump(model_json),
                         ",\n \"rule\": ", rule_text(rule), ",\n \"provenance\": ", dump(provenance));
  if (default_keep) {
    const ordered_json measured = {{"objective", default_keep->objective},
                                   {"keep", default_keep->keep},
                                   {"measured_on", default_keep->measured_on}};
    out += text(",\n \"default\": ", dump(measured));
  }
  if (answer_risk) out += text(",\n \"answer_risk\": ", answer_risk_text(*answer_risk, model));
  out += ",\n \"budgets\": [";
  for (std::size_t i = 0; i < budgets.size(); ++i) {
    out += text(i == 0 ? "\n" : ",\n", budget_text(budgets[i]));
  }
  return out + "\n ]\n}\n";
}

Profile Profile::parse(const std::string& input, const std::string& name_for_errors) {
  const std::string& name = name_for_errors;
  const json document = parse_json(input, name);
  // First, so that a file of another format or version is refused for that and not for what it lacks.
  const std::string format = get_string(document, "format", name);
  if (format != kProfileFormat && format != kOldProfileFormat) {
    fail_field(name, "format", format, text("\"", kProfileFormat, "\" or \"", kOldProfileFormat, "\""));
  }
  for (const char* field : {"default", "answer_risk"}) {
    if (format != kOldProfileFormat || !document.contains(field)) continue;
    fail_field(name, field, document[field], text("no such field in ", kOldProfileFormat));
  }
  refuse_unknown(document, name, {"format", "model", "rule", "provenance", "default", "answer_risk", "budgets"});
  Profile profile;
  profile.model = parse_model(get_object(document, "model", name), name + ": model.");
  profile.rule = parse_rule(get_object(document, "rule", name), name + ": rule.");
  parse_provenance(get_object(document, "provenance", name), name + ": provenance.", &profile);
  const json& budgets = get_array(document, "budgets", name);
  if (document.contains("answer_risk")) {
    profile.answer_risk = parse_answer_risk(get_object(document, "answer_risk", name), name + ": answer_risk.",
                                            profile.model, profile.rule.block_size);
  }
  if (budgets.empty() && !profile.answer_risk) fail_field(name, "budgets", budgets, "at least one entry");
  for (std::size_t i = 0; i < budgets.size(); ++i) {
    const std::string where = text(name, ": budgets[", i, "]");
    profile.budgets.push_back(parse_budget(budgets[i], where, profile));
    if (i == 0) continue;
    const ProfileBudget& before = profile.budgets[i - 1];
    const ProfileBudget& now = profile.budgets[i];
    if (now.objective < before.objective || (now.objective == before.objective && now.budget <= before.budget)) {
      fail_field(where + ".", "budget", now.budget, "budgets in ascending order of objective, then budget");
    }
  }
  if (document.contains("default")) {
    profile.default_keep = parse_default(get_object(document, "default", name), name + ": default.", profile);
  }
  return profile;
}

}  // namespace tca
