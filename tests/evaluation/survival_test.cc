// What survives, by hand; the interval, against what is known of it.
#include "evaluation/survival.h"

#include <gtest/gtest.h>

#include "core/expect_error.h"

namespace tca::evaluation {
namespace {

struct Asked {
  std::int32_t document;
  FactKind kind;
  bool full, other;
};

std::pair<LookupResult, LookupResult> results(const std::vector<Asked>& outcomes) {
  LookupResult full, other;
  full.method = "full";
  other.method = "tca:0.2";
  std::int32_t fact = 0;
  for (const Asked& outcome : outcomes) {
    const auto answer = [&](bool found) {
      return Answer{.document = outcome.document, .fact = fact, .kind = outcome.kind, .found = found};
    };
    full.answers.push_back(answer(outcome.full));
    other.answers.push_back(answer(outcome.other));
    ++fact;
  }
  return {full, other};
}

TEST(Survival, OnlyWhatFullFoundCounts) {
  const auto [full, other] = results({{0, FactKind::kPerson, true, true},
                                      {0, FactKind::kPerson, false, true},
                                      {0, FactKind::kDate, true, false},
                                      {1, FactKind::kDate, true, true},
                                      {1, FactKind::kJob, false, false},
                                      {1, FactKind::kPlace, true, true}});
  const Survival result = survival(full, other);
  EXPECT_EQ(result.total.found, 4);
  EXPECT_EQ(result.total.survived, 3);
  EXPECT_EQ(result.total.share(), 0.75);
  ASSERT_EQ(result.groups.size(), 3u);  // no job
  EXPECT_EQ(result.groups[0].name, "person");
  EXPECT_EQ(result.groups[1].name, "place");
  ASSERT_TRUE(result.worst().has_value());
  EXPECT_EQ(result.worst()->name, "date");
  EXPECT_EQ(result.worst()->survivors.found, 2);
  EXPECT_EQ(result.worst()->survivors.survived, 1);
}

TEST(Survival, TheSameResultSurvivesWhole) {
  const auto [full, other] = results({{0, FactKind::kPerson, true, false}, {0, FactKind::kDate, false, true}});
  const Survival result = survival(full, full);
  EXPECT_EQ(result.total.share(), 1);
  EXPECT_EQ(result.low, 1);
  EXPECT_EQ(result.high, 1);
}

TEST(Survival, NothingFoundIsNothingLost) {
  const auto [full, other] = results({{0, FactKind::kPerson, false, false}});
  const Survival result = survival(full, other);
  EXPECT_EQ(result.total.found, 0);
  EXPECT_FALSE(result.worst().has_value());
}

TEST(Survival, TheIntervalIsTheBinomialsForManyQuestionsOfOneDocument) {
  // 80 of 100 survive: the standard error is .04, so that 95 % are .72 to .88, by quantiles of 2000 draws to .02.
  std::vector<Asked> outcomes;
  for (int i = 0; i < 100; ++i) outcomes.push_back({0, FactKind::kPerson, true, i % 5 != 0});
  const auto [full, other] = results(outcomes);
  const Survival result = survival(full, other, 3);
  EXPECT_NEAR(result.low, 0.72, 0.02);
  EXPECT_NEAR(result.high, 0.88, 0.02);
  const Survival again = survival(full, other, 3), another = survival(full, other, 4);
  EXPECT_EQ(result.low, again.low);
  EXPECT_EQ(result.high, again.high);
  EXPECT_NEAR(another.low, result.low, 0.02);
}

TEST(Survival, DocumentsThatDifferWidenTheInterval) {
  // The same 80 of 100 in ten documents, two of which lose everything.
  std::vector<Asked> outcomes;
  for (int i = 0; i < 100; ++i) outcomes.push_back({i / 10, FactKind::kPerson, true, i / 10 >= 2});
  const auto [full, other] = results(outcomes);
  const Survival result = survival(full, other);
  EXPECT_NEAR(result.low, 0.5, 0.11);
  EXPECT_EQ(result.high, 1);
}

TEST(Survival, OtherQuestionsAreRefused) {
  auto both = results({{0, FactKind::kPerson, true, true}, {0, FactKind::kDate, true, true}});
  both.second.answers[1].fact = 5;
  testing::expect_error(ErrorCategory::kInvalidArgument, "answer 1", [&] { survival(both.first, both.second); });
  both.second.answers.pop_back();
  testing::expect_error(ErrorCategory::kInvalidArgument, "has 1 answers", [&] { survival(both.first, both.second); });
}

}  // namespace
}  // namespace tca::evaluation
