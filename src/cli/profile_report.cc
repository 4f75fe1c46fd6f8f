#include "cli/profile_report.h"

#include <fmt/format.h>

#include <algorithm>

#include "cli/format.h"
#include "cli/keep.h"
#include "cli/text_table.h"
#include "cli/wrap.h"

namespace tca::cli {

namespace {

// As many numbers of four columns as fit behind the other columns.
constexpr std::size_t kMostNumbersInRow = 10;

// Layers that one number stands for, so that all of them fit.
std::size_t layers_in_number(std::size_t num_layers) {
  return std::max<std::size_t>(1, (num_layers + kMostNumbersInRow - 1) / kMostNumbersInRow);
}

// " 37 100 ...": percent, the mean over each range of layers.
std::string by_ranges(const std::vector<double>& shares) {
  const std::size_t range = layers_in_number(shares.size());
  std::string text;
  for (std::size_t begin = 0; begin < shares.size(); begin += range) {
    const std::size_t end = std::min(begin + range, shares.size());
    double sum = 0;
    for (std::size_t l = begin; l < end; ++l) sum += shares[l];
    text += fmt::format("{:>3.0f} ", sum / static_cast<double>(end - begin) * 100);
  }
  return text;
}

struct HeadCounts {
  int full = 0, window = 0, all = 0;
};

HeadCounts count_heads(const ProfileBudget& budget) {
  HeadCounts counts;
  for (const auto& layer : budget.layers) {
    for (const HeadProfile& head : layer) {
      counts.full += head.keep.is_full();
      counts.window += head.keep.is_window();
      ++counts.all;
    }
  }
  return counts;
}

const char* order_name(BlockOrder order) {
  constexpr const char* kNames[] = {"mass_dispersion", "simpson", "tokens"};
  return kNames[static_cast<std::size_t>(order)];
}

Json rule_json(const SelectionRule& rule) {
  return {{"block_size", rule.block_size},       {"window", rule.window},         {"sinks", rule.sinks},
          {"probe_queries", rule.probe_queries}, {"pool_width", rule.pool_width}, {"order", order_name(rule.order)}};
}

}  // namespace

std::string budgets_table(const Profile& profile, const Style& style) {
  const std::size_t range = layers_in_number(static_cast<std::size_t>(profile.model.num_layers));
  TextTable table({{"objective", false, false, true},
                   {"budget", true, false, true},
                   {"kept", true},
                   {"full heads", true},
                   {"window heads", true},
                   {"others", true},
                   {range == 1 ? "kept by layer" : fmt::format("kept by {} layers", range)}});
  std::string objective;
  for (const ProfileBudget& budget : profile.budgets) {
    if (!objective.empty() && objective != budget.objective) table.add_rule();
    objective = budget.objective;
    const HeadCounts counts = count_heads(budget);
    table.add_row({{budget.objective},
                   {fmt::format("{:.2f}", budget.budget)},
                   {format_percent(budget.kept_share)},
                   {fmt::format("{}", counts.full)},
                   {fmt::format("{}", counts.window)},
                   {fmt::format("{}", counts.all - counts.full - counts.window)},
                   {by_ranges(kept_by_layer(budget)), CellStyle::kDim}});
  }
  std::string text = table.render(style);
  if (range > 1) {
    text +=
        style.dim(fill(fmt::format("Kept by {} layers: percent, the mean of layers 0-{}, {}-{} and so on; --json has "
                                   "every layer.",
                                   range, range - 1, range, 2 * range - 1),
                       style.width(), 2));
  }
  return text;
}

std::string answers_table(const AnswerRisk& answers, const Style& style) {
  constexpr double kCells = 40;
  TextTable table({{"keep", true}, {"answers kept", true}, {"of questions", true}, {""}});
  for (const MeasuredAnswers& measured : answers.measured) {
    table.add_row(
        {{fmt::format("{:g}", measured.keep)},
         {format_percent(measured.answers_kept)},
         {fmt::format("{}", measured.questions)},
         {std::string(static_cast<std::size_t>(std::lround(kCells * measured.answers_kept)), '#'), CellStyle::kDim}});
  }
  return answers.measured.empty() ? "" : table.render(style);
}

HeatMap answer_risk_map(const AnswerRisk& answers, double keep, std::int64_t num_tokens) {
  const SegmentAllocation allocation = allocate(answers.keep, answers.rule, keep, num_tokens);
  HeatMap map;
  map.title = fmt::format("answer-risk {:g}", keep);
  const auto tokens = static_cast<double>(num_tokens);
  for (std::size_t l = 0; l < allocation.shares.size(); ++l) {
    std::vector<double>& heads = map.shares.emplace_back();
    for (std::size_t h = 0; h < allocation.shares[l].size(); ++h) {
      const double always =
          std::min(tokens, static_cast<double>(answers.rule.sinks) + static_cast<double>(allocation.windows[l][h]));
      heads.push_back((always + allocation.shares[l][h].kept_share() * (tokens - always)) / tokens);
    }
  }
  return map;
}

HeatMap budget_map(const ProfileBudget& budget) {
  HeatMap map;
  map.title = fmt::format("{} {:.2f}", budget.objective, budget.budget);
  for (const auto& layer : budget.layers) {
    std::vector<double> shares;
    for (const HeadProfile& head : layer) shares.push_back(head.keep.kept_share());
    map.shares.push_back(std::move(shares));
  }
  return map;
}

std::vector<HeatMap> profile_maps(const Profile& profile, const std::vector<double>& shares,
                                  const std::string& objective, std::int64_t tokens) {
  std::vector<HeatMap> maps;
  if (objective == kAnswerRisk && profile.answer_risk) {
    const std::vector<double> usual = {0.1, 0.2, profile.usual_keep(kAnswerRisk)};
    for (const double keep : shares.empty() ? usual : shares) {
      maps.push_back(answer_risk_map(*profile.answer_risk, keep, tokens));
    }
    return maps;
  }
  std::vector<const ProfileBudget*> budgets;
  for (const double keep : shares) {
    const auto* const budget = pick_keep(profile, keep, objective, fmt::format("--keep {:g}", keep)).configuration;
    if (std::find(budgets.begin(), budgets.end(), budget) == budgets.end()) budgets.push_back(budget);
  }
  for (const ProfileBudget& budget : profile.budgets) {
    if (shares.empty() && budget.objective == objective) budgets.push_back(&budget);
  }
  // Lists the objectives there are.
  if (budgets.empty()) (void)profile.pick(kUnmeasuredKeep, objective);
  for (const ProfileBudget* const budget : budgets) maps.push_back(budget_map(*budget));
  return maps;
}

std::vector<double> kept_by_layer(const ProfileBudget& budget) {
  std::vector<double> shares;
  for (const auto& layer : budget.layers) {
    double sum = 0;
    for (const HeadProfile& head : layer) sum += head.keep.kept_share();
    shares.push_back(layer.empty() ? 0 : sum / static_cast<double>(layer.size()));
  }
  return shares;
}

Json budget_json(const ProfileBudget& budget) {
  const HeadCounts counts = count_heads(budget);
  return {{"objective", budget.objective},         {"budget", budget.budget},
          {"kept_share", budget.kept_share},       {"full_heads", counts.full},
          {"window_heads", counts.window},         {"heads", counts.all},
          {"kept_by_layer", kept_by_layer(budget)}};
}

Json fingerprint_json(const ModelFingerprint& model) {
  return {{"architecture", model.architecture}, {"num_layers", model.num_layers},
          {"num_heads", model.num_heads},       {"num_kv_heads", model.num_kv_heads},
          {"head_dim", model.head_dim},         {"rope", model.rope},
          {"vocab_size", model.vocab_size},     {"weights_sha256", model.weights_sha256}};
}

Json answer_risk_json(const AnswerRisk& answers) {
  Json measured = Json::array();
  for (const MeasuredAnswers& share : answers.measured) {
    measured.push_back({{"keep", share.keep}, {"answers_kept", share.answers_kept}, {"questions", share.questions}});
  }
  return {{"rule", rule_json(answers.rule)},
          {"windows", answers.keep.windows},
          {"shares", answers.keep.shares},
          {"bank_queries", answers.bank.queries},
          {"measured", std::move(measured)}};
}

Json profile_json(const Profile& profile) {
  Json budgets = Json::array();
  for (const ProfileBudget& budget : profile.budgets) {
    Json object = budget_json(budget);
    object["rule"] = rule_json(profile.rule_of(budget));
    Json layers = Json::array();
    for (const auto& layer : budget.layers) {
      Json heads = Json::array();
      for (const HeadProfile& head : layer) {
        heads.push_back({{"keep", head.keep.kept_share()},
                         {"attend", head.attended().kept_share()},
                         {"risk", head.risk},
                         {"mean_dropped", head.mean_dropped}});
      }
      layers.push_back(std::move(heads));
    }
    object["layers"] = std::move(layers);
    budgets.push_back(std::move(object));
  }
  Json measured;
  if (profile.default_keep) {
    measured = {{"objective", profile.default_keep->objective},
                {"keep", profile.default_keep->keep},
                {"measured_on", profile.default_keep->measured_on}};
  }
  return {{"model", fingerprint_json(profile.model)},
          {"calibration_tokens", profile.calibration_tokens},
          {"text_sha256", profile.text_sha256},
          {"seed", profile.seed},
          {"written_by", profile.version},
          {"date", profile.date},
          {"default", std::move(measured)},
          {"answer_risk", profile.answer_risk ? answer_risk_json(*profile.answer_risk) : Json()},
          {"budgets", std::move(budgets)}};
}

}  // namespace tca::cli
