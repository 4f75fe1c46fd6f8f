#include "calibration/choose.h"

#include <algorithm>

namespace tca::calibration {
namespace {

constexpr double kBudgetSlack = 1e-9;  // costs are sums of decimal fractions

// From the head's hull vertex before to candidate `to`.
struct Step {
  std::size_t head = 0;
  std::size_t to = 0;
  double cost = 0;
  double gain = 0;  // risk taken away for one unit of cost
};

// Vertices of the lower convex hull from the cheapest candidate on, as long as risk falls.
std::vector<std::size_t> hull(std::span<const double> risk, std::span<const double> cost) {
  std::vector<std::size_t> vertices;
  for (std::size_t i = 0; i < risk.size(); ++i) {
    if (!vertices.empty() && risk[i] >= risk[vertices.back()]) continue;
    while (vertices.size() >= 2) {
      const std::size_t a = vertices[vertices.size() - 2];
      const std::size_t b = vertices.back();
      // b stays when the way to it is no flatter than the way from it to i.
      if ((risk[a] - risk[b]) * (cost[i] - cost[b]) >= (risk[b] - risk[i]) * (cost[b] - cost[a])) break;
      vertices.pop_back();
    }
    if (vertices.size() == 1 && cost[i] <= cost[vertices[0]]) vertices.clear();  // as cheap and less risky
    vertices.push_back(i);
  }
  return vertices;
}

double mean_cost(std::span<const std::size_t> choice, std::span<const double> cost) {
  double sum = 0;
  for (const std::size_t candidate : choice) sum += cost[candidate];
  return sum / static_cast<double>(choice.size());
}

std::vector<std::size_t> cheapest_within(const CandidateTable& dropped, double most_dropped, std::size_t first) {
  std::vector<std::size_t> choice;
  for (const auto& head : dropped) {
    std::size_t candidate = first;
    while (candidate + 1 < head.size() && head[candidate] > most_dropped) ++candidate;
    choice.push_back(candidate);
  }
  return choice;
}

}  // namespace

std::vector<std::size_t> choose_by_risk(const CandidateTable& risk, std::span<const double> cost, double budget) {
  std::vector<std::size_t> choice;
  std::vector<Step> steps;
  double left = (budget + kBudgetSlack) * static_cast<double>(risk.size());
  for (std::size_t head = 0; head < risk.size(); ++head) {
    const std::vector<std::size_t> vertices = hull(risk[head], cost);
    choice.push_back(vertices.front());
    left -= cost[vertices.front()];
    for (std::size_t i = 1; i < vertices.size(); ++i) {
      const std::size_t a = vertices[i - 1];
      const std::size_t b = vertices[i];
      const double more = cost[b] - cost[a];
      steps.push_back({.head = head, .to = b, .cost = more, .gain = (risk[head][a] - risk[head][b]) / more});
    }
  }
  // Stable: a head's own steps stay in order, since its gains fall.
  std::stable_sort(steps.begin(), steps.end(), [](const Step& a, const Step& b) { return a.gain > b.gain; });
  std::vector<bool> stopped(risk.size(), false);
  for (const Step& step : steps) {
    if (stopped[step.head]) continue;
    if (step.cost > left) {
      stopped[step.head] = true;
      continue;
    }
    left -= step.cost;
    choice[step.head] = step.to;
  }
  return choice;
}

std::vector<std::size_t> choose_by_recall(const CandidateTable& mean_dropped, std::span<const double> cost,
                                          double budget, std::size_t first) {
  double low = 0;   // dropped mass that costs too much
  double high = 1;  // dropped mass that fits, if any does
  if (mean_cost(cheapest_within(mean_dropped, low, first), cost) <= budget + kBudgetSlack) high = low;
  for (int i = 0; i < 60 && high > low; ++i) {
    const double middle = 0.5 * (low + high);
    const bool fits = mean_cost(cheapest_within(mean_dropped, middle, first), cost) <= budget + kBudgetSlack;
    (fits ? high : low) = middle;
  }
  return cheapest_within(mean_dropped, high, first);
}

}  // namespace tca::calibration
