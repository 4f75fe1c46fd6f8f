#include "core/answer_risk_json.h"

#include <cmath>
#include <cstring>
#include <utility>
#include <vector>

#include "core/base64.h"
#include "core/check.h"
#include "core/half.h"
#include "core/json.h"
#include "core/profile_json.h"
#include "core/sha256.h"

namespace tca {
namespace {

using nlohmann::json;

constexpr std::size_t kMaxChoices = 64;         // windows, or shares, of a curve
constexpr std::int64_t kMaxBankQueries = 1024;  // the work of scoring grows with them
constexpr std::int64_t kMaxDistance = 1 << 20;
constexpr double kMaxRisk = 1e9;

std::size_t bank_row(const ModelFingerprint& model) {
  return static_cast<std::size_t>(model.num_heads) * static_cast<std::size_t>(model.head_dim);
}

std::vector<std::int32_t> parse_windows(const json& object, const std::string& where) {
  const json& array = get_array(object, "windows", where);
  if (array.empty() || array.size() > kMaxChoices) fail_field(where, "windows", array, "1 to 64 window widths");
  std::vector<std::int32_t> windows;
  for (std::size_t i = 0; i < array.size(); ++i) {
    const bool is_width =
        array[i].is_number_integer() && array[i].get<double>() >= 1 && array[i].get<double>() <= INT32_MAX;
    if (!is_width || (i > 0 && array[i].get<std::int64_t>() <= windows.back())) {
      fail_field(where, text("windows[", i, "]"), array[i], "ascending integers from 1 on");
    }
    windows.push_back(array[i].get<std::int32_t>());
  }
  return windows;
}

std::vector<double> parse_kept_shares(const json& object, const std::string& where) {
  const json& array = get_array(object, "shares", where);
  if (array.size() < 2 || array.size() > kMaxChoices) fail_field(where, "shares", array, "2 to 64 shares from 0 to 1");
  std::vector<double> shares;
  for (std::size_t i = 0; i < array.size(); ++i) {
    const double least = i == 0 ? 0 : shares.back();
    const double share = array[i].is_number() ? array[i].get<double>() : -1;
    const bool last = i + 1 == array.size();
    if ((i == 0 ? share != 0 : !(share > least)) || (last ? share != 1 : !(share < 1))) {
      fail_field(where, text("shares[", i, "]"), array[i], "ascending numbers, the first 0 and the last 1");
    }
    shares.push_back(share);
  }
  return shares;
}

std::vector<double> parse_risks(const json& array, const std::string& where, const std::string& field,
                                std::size_t count) {
  if (!array.is_array() || array.size() != count) {
    fail_field(where, field, array, text(count, " risks: one for each window and share"));
  }
  std::vector<double> risks;
  for (std::size_t i = 0; i < count; ++i) {
    const bool is_risk = array[i].is_number() && array[i].get<double>() >= 0 && array[i].get<double>() <= kMaxRisk;
    if (!is_risk) fail_field(where, text(field, "[", i, "]"), array[i], "a number in [0, 1e9]");
    risks.push_back(array[i].get<double>());
  }
  return risks;
}

RiskCurves parse_curves(const json& object, const std::string& where, const ModelFingerprint& model) {
  refuse_unknown(object, where, {"windows", "shares", "heads"});
  RiskCurves curves{.windows = parse_windows(object, where), .shares = parse_kept_shares(object, where), .heads = {}};
  const std::size_t count = curves.windows.size() * curves.shares.size();
  const json& layers = get_array(object, "heads", where);
  if (layers.size() != static_cast<std::size_t>(model.num_layers)) {
    fail_field(where, "heads", layers, text("one array for each of the model's ", model.num_layers, " layers"));
  }
  for (std::size_t l = 0; l < layers.size(); ++l) {
    if (!layers[l].is_array() || layers[l].size() != static_cast<std::size_t>(model.num_kv_heads)) {
      fail_field(where, text("heads[", l, "]"), layers[l],
                 text("an array with one entry for each of the model's ", model.num_kv_heads, " KV heads"));
    }
    auto& heads = curves.heads.emplace_back();
    for (std::size_t h = 0; h < layers[l].size(); ++h) {
      heads.push_back(parse_risks(layers[l][h], where, text("heads[", l, "][", h, "]"), count));
    }
  }
  return curves;
}

QueryBank parse_bank(const json& object, const std::string& where, const ModelFingerprint& model) {
  refuse_unknown(object, where, {"queries", "distance", "reduce", "sha256", "layers"});
  QueryBank bank;
  bank.queries = static_cast<std::int32_t>(get_int(object, "queries", where, 1, kMaxBankQueries));
  bank.distance = static_cast<std::int32_t>(get_int(object, "distance", where, 1, kMaxDistance));
  if (object.contains("reduce")) {  // of those who wrote none, the mean
    const std::string reduce = get_string(object, "reduce", where);
    if (reduce != "mean" && reduce != "max") fail_field(where, "reduce", reduce, "\"mean\" or \"max\"");
    bank.reduce = reduce == "max" ? ProbeReduce::kMax : ProbeReduce::kMean;
  }
  const json& layers = get_array(object, "layers", where);
  if (layers.size() != static_cast<std::size_t>(model.num_layers)) {
    fail_field(where, "layers", layers, text("one text for each of the model's ", model.num_layers, " layers"));
  }
  const std::size_t elements = static_cast<std::size_t>(bank.queries) * bank_row(model);
  std::string all;
  for (std::size_t l = 0; l < layers.size(); ++l) {
    const auto bytes = layers[l].is_string() ? from_base64(layers[l].get_ref<const std::string&>()) : std::nullopt;
    if (!bytes || bytes->size() != elements * 2) {
      fail_field(where, text("layers[", l, "]"), layers[l],
                 text("base64 of ", bank.queries, " queries of ", model.num_heads, " heads of ", model.head_dim,
                      " bf16 elements: ", elements * 2, " bytes"));
    }
    all.append(reinterpret_cast<const char*>(bytes->data()), bytes->size());
    for (std::size_t i = 0; i < elements; ++i) {
      std::uint16_t bits = 0;
      std::memcpy(&bits, bytes->data() + 2 * i, 2);
      bank.values.push_back(bf16_to_float(bits));
      if (!std::isfinite(bank.values.back())) {
        fail(ErrorCategory::kBadFile, text(where, "layers[", l, "] holds NaN or infinity at element ", i));
      }
    }
  }
  const std::string sha256 = get_string(object, "sha256", where);
  if (sha256_hex(all) != sha256) fail_field(where, "sha256", sha256, "that of the layers' bytes; the file is damaged");
  return bank;
}

std::vector<MeasuredAnswers> parse_measured(const json& array, const std::string& where) {
  std::vector<MeasuredAnswers> measured;
  for (std::size_t i = 0; i < array.size(); ++i) {
    const std::string at = text(where, "measured[", i, "].");
    if (!array[i].is_object()) fail_field(where, text("measured[", i, "]"), array[i], "an object");
    refuse_unknown(array[i], at, {"keep", "answers_kept", "questions"});
    measured.push_back({.keep = get_number(array[i], "keep", at, 0, 1),
                        .answers_kept = get_number(array[i], "answers_kept", at, 0, 1),
                        .questions = get_int(array[i], "questions", at, 1, std::int64_t{1} << 53)});
    if (i > 0 && measured[i].keep <= measured[i - 1].keep) fail_field(at, "keep", array[i]["keep"], "ascending shares");
  }
  return measured;
}

// Six digits: the estimate has fewer.
std::string number(double value) {
  char digits[32];
  std::snprintf(digits, sizeof(digits), "%.6g", value);
  return digits;
}

std::string curves_text(const RiskCurves& curves, const char* name) {
  std::string out = text("  \"", name, "\": {\"windows\": ", json(curves.windows).dump(),
                         ", \"shares\": ", json(curves.shares).dump(), ", \"heads\": [");
  for (std::size_t l = 0; l < curves.heads.size(); ++l) {
    out += l == 0 ? "\n   [" : ",\n   [";
    for (std::size_t h = 0; h < curves.heads[l].size(); ++h) {
      out += h == 0 ? "\n    [" : ",\n    [";
      const std::vector<double>& risks = curves.heads[l][h];
      for (std::size_t i = 0; i < risks.size(); ++i) out += text(i == 0 ? "" : ",", number(risks[i]));
      out += ']';
    }
    out += "\n   ]";
  }
  return out + "\n  ]}";
}

std::string bank_text(const QueryBank& bank, const ModelFingerprint& model) {
  const std::size_t elements = static_cast<std::size_t>(bank.queries) * bank_row(model);
  std::string all, layers;
  for (std::size_t l = 0; l * elements < bank.values.size(); ++l) {
    std::vector<std::byte> bytes(elements * 2);
    for (std::size_t i = 0; i < elements; ++i) {
      const std::uint16_t bits = float_to_bf16(bank.values[l * elements + i]);
      std::memcpy(bytes.data() + 2 * i, &bits, 2);
    }
    all.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    layers += text(l == 0 ? "\n   \"" : ",\n   \"", to_base64(bytes), '"');
  }
  return text("  \"bank\": {\"queries\": ", bank.queries, ", \"distance\": ", bank.distance,
              ", \"reduce\": ", bank.reduce == ProbeReduce::kMax ? "\"max\"" : "\"mean\"", ", \"sha256\": \"",
              sha256_hex(all), "\", \"layers\": [", layers, "\n  ]}");
}

}  // namespace

AnswerRisk parse_answer_risk(const json& object, const std::string& where, const ModelFingerprint& model,
                             std::int32_t block_size) {
  refuse_unknown(object, where, {"rule", "keep", "attend", "bank", "measured"});
  AnswerRisk answers;
  answers.rule = parse_rule(get_object(object, "rule", where), where + "rule.");
  if (answers.rule.order != BlockOrder::kTokens) {
    fail_field(where + "rule.", "order", get_object(object, "rule", where)["order"], "\"tokens\"");
  }
  if (answers.rule.block_size != block_size) {
    fail_field(where + "rule.", "block_size", answers.rule.block_size, text("the profile's: ", block_size));
  }
  answers.keep = parse_curves(get_object(object, "keep", where), where + "keep.", model);
  if (object.contains("attend")) {
    answers.attend = parse_curves(get_object(object, "attend", where), where + "attend.", model);
  }
  answers.bank = parse_bank(get_object(object, "bank", where), where + "bank.", model);
  answers.measured = parse_measured(get_array(object, "measured", where), where);
  return answers;
}

std::string answer_risk_text(const AnswerRisk& answers, const ModelFingerprint& model) {
  std::string out = text("{\n  \"rule\": ", rule_text(answers.rule), ",\n", curves_text(answers.keep, "keep"), ",\n");
  if (answers.attend) out += text(curves_text(*answers.attend, "attend"), ",\n");
  out += text(bank_text(answers.bank, model), ",\n  \"measured\": [");
  for (std::size_t i = 0; i < answers.measured.size(); ++i) {
    const MeasuredAnswers& measured = answers.measured[i];
    out += text(i == 0 ? "\n   " : ",\n   ", "{\"keep\": ", number(measured.keep),
                ", \"answers_kept\": ", number(measured.answers_kept), ", \"questions\": ", measured.questions, '}');
  }
  return out + "]\n }";
}

}  // namespace tca
