// One candidate for every head under a budget for all heads together.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

namespace tca::calibration {

/// [heads][candidates]; candidates ascend by cost.
using CandidateTable = std::vector<std::vector<double>>;

/// Minimises the sum of risks with a mean cost of at most budget. A Lagrange multiplier would stop at vertices of the
/// heads' lower convex hulls and leave part of the budget; this walks the same vertices, steepest step first, and goes
/// on with smaller steps where the next one does not fit. Every head starts at its cheapest candidate.
std::vector<std::size_t> choose_by_risk(const CandidateTable& risk, std::span<const double> cost, double budget);

/// The paper's rule: for each head the cheapest candidate whose mean dropped mass is at most 1 - tau, with the largest
/// tau whose mean cost is at most budget. `first`: candidates before this one are not used.
std::vector<std::size_t> choose_by_recall(const CandidateTable& mean_dropped, std::span<const double> cost,
                                          double budget, std::size_t first);

}  // namespace tca::calibration
