// How much each head keeps of a segment, from calibration's curves.
#include <algorithm>
#include <bit>
#include <cmath>
#include <cstddef>
#include <span>
#include <vector>

#include "core/check.h"
#include "tca/profile.h"

namespace tca {
namespace {

constexpr double kBudgetSlack = 1e-9;  // costs are sums of rounded fractions

/// One configuration of a head at the length at hand.
struct Option {
  std::int32_t window = 0;
  double share = 0;
  double cost = 0;  // share of all tokens that the head holds
  double risk = 0;
};

/// From one hull vertex of a head to the next.
struct Step {
  std::size_t head = 0;
  Option to;
  double cost = 0;
  double gain = 0;  // risk taken away for one unit of cost
};

class Costs {
 public:
  Costs(const SelectionRule& rule, std::int64_t num_tokens)
      : tokens_(static_cast<double>(num_tokens)), sinks_(static_cast<double>(rule.sinks)) {}

  double of(std::int32_t window, double share) const {
    const double always = std::min(tokens_, sinks_ + static_cast<double>(window));
    return (always + share * (tokens_ - always)) / tokens_;
  }
  /// The share with which a head of this window costs `cost`; below 0 where the window alone costs more.
  double share_at(std::int32_t window, double cost) const {
    const double always = std::min(tokens_, sinks_ + static_cast<double>(window));
    return always == tokens_ ? 1.0 : (cost * tokens_ - always) / (tokens_ - always);
  }

 private:
  double tokens_, sinks_;
};

/// Vertices of the lower convex hull of (cost, risk), cheapest first, as long as risk falls.
std::vector<Option> hull(const RiskCurves& curves, const std::vector<double>& risk, const Costs& costs) {
  std::vector<Option> options;
  for (std::size_t w = 0; w < curves.windows.size(); ++w) {
    for (std::size_t s = 0; s < curves.shares.size(); ++s) {
      const std::int32_t window = curves.windows[w];
      const double share = curves.shares[s];
      options.push_back({window, share, costs.of(window, share), risk[w * curves.shares.size() + s]});
    }
  }
  std::stable_sort(options.begin(), options.end(), [](const Option& a, const Option& b) {
    return a.cost != b.cost ? a.cost < b.cost : a.risk < b.risk;
  });
  std::vector<Option> vertices;
  for (const Option& option : options) {
    if (!vertices.empty() && option.risk >= vertices.back().risk) continue;
    while (vertices.size() >= 2) {
      const Option& a = vertices[vertices.size() - 2];
      const Option& b = vertices.back();
      // b stays when the way to it is steeper than the way from it.
      if ((a.risk - b.risk) * (option.cost - b.cost) > (b.risk - option.risk) * (b.cost - a.cost)) break;
      vertices.pop_back();
    }
    vertices.push_back(option);
  }
  return vertices;
}

/// The way along the hulls, steepest step first, as far as the budget `left` goes and then until at most max_risk is
/// left; the first step that is not wanted whole is gone in part, as far as the wider window leaves anything of it.
std::vector<Option> walk(const std::vector<std::vector<Option>>& hulls, const Costs& costs, double left,
                         double max_risk) {
  std::vector<Option> choice;
  std::vector<Step> steps;
  double risk = 0;
  for (std::size_t head = 0; head < hulls.size(); ++head) {
    const std::vector<Option>& vertices = hulls[head];
    choice.push_back(vertices.front());
    left -= vertices.front().cost;
    risk += vertices.front().risk;
    for (std::size_t i = 1; i < vertices.size(); ++i) {
      const double more = vertices[i].cost - vertices[i - 1].cost;
      steps.push_back({head, vertices[i], more, (vertices[i - 1].risk - vertices[i].risk) / more});
    }
  }
  // Stable: a head's own steps stay in order, since its gains fall.
  std::stable_sort(steps.begin(), steps.end(), [](const Step& a, const Step& b) { return a.gain > b.gain; });
  std::vector<bool> stopped(hulls.size(), false);
  for (const Step& step : steps) {
    Option& at = choice[step.head];
    const double wanted = std::max(left, (risk - max_risk) / step.gain);
    if (wanted <= 0 || stopped[step.head]) continue;
    // Between two vertices risk lies on their line: with the window of the richer one, if that is paid for.
    const double share = costs.share_at(step.to.window, at.cost + wanted);
    if (step.cost <= wanted + kBudgetSlack || (share < 0 && risk > max_risk)) {
      left -= step.cost;
      risk -= step.cost * step.gain;
      at = step.to;
      continue;
    }
    stopped[step.head] = true;
    if (share < 0) continue;
    at = {step.to.window, share, at.cost + wanted, at.risk - step.gain * wanted};
    left -= wanted;
    risk -= wanted * step.gain;
  }
  return choice;
}

BlockShares shares_of(double kept_share, std::int32_t block_size) {
  BlockShares shares = BlockShares::window(block_size);
  shares.share.front() = 1 - kept_share;
  shares.share.back() = kept_share;
  return shares;
}

}  // namespace

SegmentAllocation allocate(const RiskCurves& curves, const SelectionRule& rule, double keep, std::int64_t num_tokens,
                           double max_risk) {
  check_argument(keep >= 0 && keep <= 1, "keep is ", keep, "; expected a share in [0, 1]");
  check_argument(num_tokens >= 1, "num_tokens is ", num_tokens, "; expected 1 or more");
  check_argument(max_risk >= 0, "max_risk is ", max_risk, "; expected nats, 0 or more");
  const Costs costs(rule, num_tokens);
  std::vector<std::vector<Option>> hulls;
  for (const auto& layer : curves.heads) {
    for (const std::vector<double>& risk : layer) hulls.push_back(hull(curves, risk, costs));
  }
  const std::vector<Option> choice = walk(hulls, costs, keep * static_cast<double>(hulls.size()), max_risk);
  SegmentAllocation allocation;
  std::size_t next = 0;
  for (const auto& layer : curves.heads) {
    auto& shares = allocation.shares.emplace_back();
    auto& windows = allocation.windows.emplace_back();
    for (std::size_t h = 0; h < layer.size(); ++h, ++next) {
      const Option& option = choice[next];
      shares.push_back(shares_of(option.share, rule.block_size));
      windows.push_back(option.window);
      allocation.held_share += option.cost / static_cast<double>(choice.size());
      allocation.risk += option.risk;
    }
  }
  return allocation;
}

}  // namespace tca
