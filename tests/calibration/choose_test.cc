// Choices on risk tables small enough to solve by eye, and against all combinations.
#include "calibration/choose.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <random>

namespace tca::calibration {
namespace {

using Choice = std::vector<std::size_t>;

const std::vector<double> kCost = {0, 0.25, 0.5, 1};

double sum_of(const CandidateTable& table, const Choice& choice) {
  double sum = 0;
  for (std::size_t head = 0; head < choice.size(); ++head) sum += table[head][choice[head]];
  return sum;
}

double mean_cost(const std::vector<double>& cost, const Choice& choice) {
  double sum = 0;
  for (const std::size_t candidate : choice) sum += cost[candidate];
  return sum / static_cast<double>(choice.size());
}

TEST(ChooseByRisk, TheBudgetGoesWhereItTakesMostRiskAway) {
  // A head that needs everything, one that is content with a quarter, one that needs nothing.
  const CandidateTable risk = {{0.9, 0.9, 0.8, 0.0}, {0.5, 0.1, 0.1, 0.0}, {0.0, 0.0, 0.0, 0.0}};
  EXPECT_EQ(choose_by_risk(risk, kCost, 0.0), (Choice{0, 0, 0}));
  EXPECT_EQ(choose_by_risk(risk, kCost, 0.25 / 3), (Choice{0, 1, 0}));  // gains: 1.6 a unit, then .9, then .13
  EXPECT_EQ(choose_by_risk(risk, kCost, 1.25 / 3), (Choice{3, 1, 0}));
  EXPECT_EQ(choose_by_risk(risk, kCost, 2.0 / 3), (Choice{3, 3, 0}));
  EXPECT_EQ(choose_by_risk(risk, kCost, 1.0), (Choice{3, 3, 0}));  // nothing is paid for no gain
}

TEST(ChooseByRisk, SmallerStepsFillWhatIsLeft) {
  // The steepest step (head 0 to full) does not fit into 0.5 for two heads; head 1's does.
  const CandidateTable risk = {{1, 1, 1, 0.0}, {0.4, 0.25, 0.15, 0.0}};
  EXPECT_EQ(choose_by_risk(risk, kCost, 0.5), (Choice{3, 0}));
  EXPECT_EQ(choose_by_risk(risk, kCost, 0.4), (Choice{0, 2}));
}

TEST(ChooseByRisk, EquallyCheapCandidatesAreChosenByRisk) {
  const std::vector<double> cost = {0, 0, 0.5, 0.5};
  EXPECT_EQ(choose_by_risk({{0.9, 0.7, 0.6, 0.2}}, cost, 0.0), (Choice{1}));
  EXPECT_EQ(choose_by_risk({{0.9, 0.7, 0.6, 0.2}}, cost, 0.5), (Choice{3}));
}

// On budgets that are vertices of the joint hull no combination is better; between them, none is better by more than
// the step that did not fit.
TEST(ChooseByRisk, AgainstAllCombinations) {
  std::mt19937_64 engine(7);
  std::uniform_real_distribution<double> uniform(0, 1);
  for (int round = 0; round < 200; ++round) {
    CandidateTable risk(4, std::vector<double>(kCost.size()));
    for (auto& head : risk) {
      head[0] = uniform(engine);
      for (std::size_t i = 1; i < head.size(); ++i) head[i] = head[i - 1] * uniform(engine);
    }
    const double budget = uniform(engine);
    const Choice choice = choose_by_risk(risk, kCost, budget);
    EXPECT_LE(mean_cost(kCost, choice), budget + 1e-9);
    const double spent = mean_cost(kCost, choice);
    double best_within_budget = std::numeric_limits<double>::infinity();
    double best_within_spent = best_within_budget;
    Choice all(4);
    for (int code = 0; code < 256; ++code) {
      for (std::size_t head = 0; head < 4; ++head) all[head] = static_cast<std::size_t>(code >> (2 * head) & 3);
      const double cost = mean_cost(kCost, all);
      if (cost <= budget + 1e-9) best_within_budget = std::min(best_within_budget, sum_of(risk, all));
      if (cost <= spent + 1e-9) best_within_spent = std::min(best_within_spent, sum_of(risk, all));
    }
    double largest_step = 0;
    for (const auto& head : risk) largest_step = std::max(largest_step, head.front() - head.back());
    EXPECT_GE(sum_of(risk, choice), best_within_spent - 1e-12);
    EXPECT_LE(sum_of(risk, choice), best_within_budget + largest_step);
  }
}

TEST(ChooseByRecall, OneThresholdForAllHeads) {
  const CandidateTable dropped = {{0.9, 0.6, 0.3, 0.0}, {0.4, 0.2, 0.1, 0.0}};
  // Allowed to drop .3: a half and a quarter, mean 3/8. Dropping less than .3 needs all of head 0.
  EXPECT_EQ(choose_by_recall(dropped, kCost, 0.375, 0), (Choice{2, 1}));
  EXPECT_EQ(choose_by_recall(dropped, kCost, 0.5, 0), (Choice{2, 1}));
  EXPECT_EQ(choose_by_recall(dropped, kCost, 1.0, 0), (Choice{3, 3}));
  EXPECT_EQ(choose_by_recall(dropped, kCost, 0.0, 0), (Choice{0, 0}));
}

TEST(ChooseByRecall, CandidatesBeforeTheFirstAreNotUsed) {
  const CandidateTable dropped = {{0.0, 0.0, 0.0, 0.0}, {0.4, 0.2, 0.1, 0.0}};
  EXPECT_EQ(choose_by_recall(dropped, kCost, 0.25, 1), (Choice{1, 1}));
  EXPECT_EQ(choose_by_recall(dropped, kCost, 0.0, 1), (Choice{1, 1}));  // nothing fits: the cheapest there is
}

}  // namespace
}  // namespace tca::calibration
