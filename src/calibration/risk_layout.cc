#include "calibration/risk_layout.h"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace tca::calibration {
namespace {

using Positions = std::vector<std::int32_t>;

/// Positions from `begin` on, highest score first.
Positions by_score(std::span<const float> scores, std::size_t begin) {
  const auto value = [&](std::int32_t position) {
    const float score = scores[static_cast<std::size_t>(position)];
    return std::isnan(score) ? 0.0f : score;
  };
  Positions positions(scores.size() - begin);
  std::iota(positions.begin(), positions.end(), static_cast<std::int32_t>(begin));
  std::stable_sort(positions.begin(), positions.end(),
                   [&](std::int32_t a, std::int32_t b) { return value(a) > value(b); });
  return positions;
}

/// Puts tokens into classes; class i is what windows[i] adds to the windows before it, the last class is of none.
class Classes {
 public:
  Classes(std::int64_t tokens, std::int64_t sinks, const std::vector<std::int32_t>& windows) {
    for (const std::int32_t window : windows) begins_.push_back(std::max(sinks, tokens - window));
  }
  std::size_t count() const { return begins_.size() + 1; }
  std::size_t of(std::int32_t position) const {
    std::size_t index = 0;
    while (index < begins_.size() && position < begins_[index]) ++index;
    return index;
  }

 private:
  std::vector<std::int64_t> begins_;
};

/// How many tokens of each class an option keeps, going by score until `wanted` of those outside of its window are.
std::vector<std::int64_t> kept_of_classes(std::span<const std::uint8_t> class_by_rank, std::size_t window,
                                          std::int64_t wanted, std::span<const std::int64_t> sizes) {
  std::vector<std::int64_t> kept(sizes.size());
  for (const std::uint8_t index : class_by_rank) {
    if (wanted == 0) break;
    if (index <= window) continue;
    ++kept[index];
    --wanted;
  }
  std::copy_n(sizes.begin(), window + 1, kept.begin());
  return kept;
}

}  // namespace

RiskLayout lay_out(std::span<const float> scores, const RiskOptions& options, std::int64_t tile) {
  const std::int64_t tokens = std::ssize(scores), sinks = std::min<std::int64_t>(options.sinks, tokens);
  const Classes classes(tokens, sinks, options.windows);
  const Positions ranked = by_score(scores, static_cast<std::size_t>(sinks));
  std::vector<Positions> members(classes.count());
  std::vector<std::uint8_t> class_by_rank;
  for (const std::int32_t position : ranked) {
    const std::size_t index = classes.of(position);
    members[index].push_back(position);
    class_by_rank.push_back(static_cast<std::uint8_t>(index));
  }

  RiskLayout layout;
  layout.order.resize(static_cast<std::size_t>(sinks));
  std::iota(layout.order.begin(), layout.order.end(), 0);
  std::vector<std::int64_t> begins, sizes;
  for (const Positions& positions : members) {
    begins.push_back(std::ssize(layout.order));
    sizes.push_back(std::ssize(positions));
    layout.order.insert(layout.order.end(), positions.begin(), positions.end());
  }

  // Ranges of tokens that each option keeps, neighbours joined.
  std::vector<std::vector<RiskLayout::Run>> ranges;
  for (std::size_t window = 0; window < options.windows.size(); ++window) {
    const std::int64_t others =
        std::accumulate(sizes.begin() + static_cast<std::ptrdiff_t>(window) + 1, sizes.end(), std::int64_t{0});
    for (const double share : options.shares) {
      const auto wanted = static_cast<std::int64_t>(std::floor(share * static_cast<double>(others) + 0.5));
      const std::vector<std::int64_t> kept = kept_of_classes(class_by_rank, window, wanted, sizes);
      std::vector<RiskLayout::Run>& option = ranges.emplace_back();
      option.push_back({0, static_cast<std::int32_t>(sinks)});
      for (std::size_t i = 0; i < kept.size(); ++i) {
        const auto begin = static_cast<std::int32_t>(begins[i]), end = static_cast<std::int32_t>(begins[i] + kept[i]);
        if (option.back().end == begin) {
          option.back().end = end;
        } else if (begin < end) {
          option.push_back({begin, end});
        }
      }
    }
  }

  for (std::int64_t end = tile; end < tokens; end += tile) layout.ends.push_back(static_cast<std::int32_t>(end));
  for (const auto& option : ranges) {
    for (const RiskLayout::Run& range : option) layout.ends.insert(layout.ends.end(), {range.begin, range.end});
  }
  layout.ends.push_back(static_cast<std::int32_t>(tokens));
  std::sort(layout.ends.begin(), layout.ends.end());
  layout.ends.erase(std::unique(layout.ends.begin(), layout.ends.end()), layout.ends.end());
  if (layout.ends.front() == 0) layout.ends.erase(layout.ends.begin());
  const auto run_at = [&](std::int32_t token) {  // the run that begins there
    if (token == 0) return 0;
    return static_cast<std::int32_t>(std::lower_bound(layout.ends.begin(), layout.ends.end(), token) -
                                     layout.ends.begin()) +
           1;
  };
  for (const auto& option : ranges) {
    std::vector<RiskLayout::Run>& runs = layout.kept.emplace_back();
    for (const RiskLayout::Run& range : option) {
      if (range.begin < range.end) runs.push_back({run_at(range.begin), run_at(range.end)});
    }
  }
  return layout;
}

}  // namespace tca::calibration
