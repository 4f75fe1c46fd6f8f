#include <algorithm>
#include <cmath>
#include <functional>
#include <utility>

#include "calibration/answer_risk.h"
#include "core/check.h"

namespace tca::calibration {
namespace {

// Of plain text beside the answers: what a profile must not lose where nobody looks anything up.
constexpr double kPlainWeight = 0.3;

/// [windows x shares]: an option that keeps less than another is given at least that one's risk. What the gradient
/// foretells of dropping nearly everything is the least to be trusted, and taken at its word it would starve a head
/// whose margin it expects to rise.
void expect_no_gain(std::vector<double>& curve, std::size_t shares) {
  for (std::size_t option = curve.size(); option-- > 0;) {
    if ((option + 1) % shares > 0) curve[option] = std::max(curve[option], curve[option + 1]);
    if (option + shares < curve.size()) curve[option] = std::max(curve[option], curve[option + shares]);
  }
}

}  // namespace

void check_risk_options(const RiskOptions& options) {
  check_argument(options.sinks >= 0, "sinks is ", options.sinks, "; expected 0 or more");
  check_argument(!options.windows.empty() && options.windows.size() < 255, "there are ", options.windows.size(),
                 " windows; expected 1 to 254");
  check_argument(options.windows.front() >= 1, "windows begin with ", options.windows.front(), "; expected 1 or more");
  check_argument(std::adjacent_find(options.windows.begin(), options.windows.end(), std::greater_equal<>()) ==
                     options.windows.end(),
                 "windows do not ascend; give each once, smallest first");
  check_argument(!options.shares.empty(), "there are no shares; expected some from 0 to 1");
  for (std::size_t i = 0; i < options.shares.size(); ++i) {
    const double least = i == 0 ? 0 : options.shares[i - 1];
    check_argument(options.shares[i] >= least && options.shares[i] <= 1, "share ", i, " is ", options.shares[i],
                   "; expected shares ascending from 0 to 1");
  }
}

AnswerRiskSums::AnswerRiskSums(RiskOptions options, std::int32_t num_layers, std::int32_t num_kv_heads)
    : options_(std::move(options)), num_layers_(num_layers), num_kv_heads_(num_kv_heads) {
  check_risk_options(options_);
  const auto layers = static_cast<std::size_t>(num_layers);
  for (Kind* kind : {&answer_, &plain_}) {
    kind->sums.resize(layers * static_cast<std::size_t>(num_kv_heads) * options_.count());
    kind->count.resize(layers);
  }
}

void AnswerRiskSums::add(std::int32_t layer, std::span<const double> changes, std::span<const QuestionKind> kinds) {
  const std::size_t options = options_.count(), heads = static_cast<std::size_t>(num_kv_heads_);
  check_argument(changes.size() == heads * kinds.size() * options, "there are ", changes.size(),
                 " changes of margins; expected ", heads * kinds.size() * options);
  for (std::size_t question = 0; question < kinds.size(); ++question) {
    Kind& into = kind(kinds[question]);
    ++into.count[static_cast<std::size_t>(layer)];
    for (std::size_t head = 0; head < heads; ++head) {
      const auto of = changes.subspan((head * kinds.size() + question) * options, options);
      double* const sums = into.sums.data() + (static_cast<std::size_t>(layer) * heads + head) * options;
      for (std::size_t option = 0; option < options; ++option) {
        sums[option] += kinds[question] == QuestionKind::kAnswer ? std::max(0.0, -of[option]) : std::abs(of[option]);
      }
    }
  }
}

RiskCurves AnswerRiskSums::curves() const {
  const std::size_t options = options_.count(), heads = static_cast<std::size_t>(num_kv_heads_);
  for (std::size_t layer = 0; layer < answer_.count.size(); ++layer) {
    check_argument(answer_.count[layer] > 0, "layer ", layer, " has no answers to estimate risks by; add some");
  }
  const auto mean = [&](const Kind& kind, std::size_t layer, std::size_t at) {
    const auto count = static_cast<double>(std::max<std::int64_t>(1, kind.count[layer]));
    return kind.sums[at] / count;
  };
  double answers = 0, plain = 0;  // with the least that can be kept
  for (std::size_t layer = 0; layer < answer_.count.size(); ++layer) {
    for (std::size_t head = 0; head < heads; ++head) {
      answers += mean(answer_, layer, (layer * heads + head) * options);
      plain += mean(plain_, layer, (layer * heads + head) * options);
    }
  }
  const double weight = plain > 0 ? kPlainWeight * answers / plain : 0;
  RiskCurves curves{.windows = options_.windows, .shares = options_.shares, .heads = {}};
  for (std::size_t layer = 0; layer < answer_.count.size(); ++layer) {
    auto& of_layer = curves.heads.emplace_back();
    for (std::size_t head = 0; head < heads; ++head) {
      std::vector<double>& curve = of_layer.emplace_back(options);
      for (std::size_t option = 0; option < options; ++option) {
        const std::size_t at = (layer * heads + head) * options + option;
        curve[option] = mean(answer_, layer, at) + weight * mean(plain_, layer, at);
      }
      expect_no_gain(curve, options_.shares.size());
    }
  }
  return curves;
}

}  // namespace tca::calibration
