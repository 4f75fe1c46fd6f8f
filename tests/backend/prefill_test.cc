// Prefill attention of every backend and CPU target against the oracle, over the whole table.
#include <gtest/gtest.h>

#include "backend/compare.h"

namespace tca::backend_test {
namespace {

class PrefillCases : public testing::TestWithParam<Case> {};

TEST_P(PrefillCases, MatchTheOracle) {
  const Problem problem(GetParam());
  const ErrorModel model(problem);
  Output expected = problem.oracle_output();
  const PrefillParams oracle_params = problem.prefill(expected);
  oracle().prefill_attention({&oracle_params, 1});
  for (const auto& [name, backend] : backends_for(problem.spec())) {
    Output actual = problem.output();
    const PrefillParams params = problem.prefill(actual);
    backend->prefill_attention({&params, 1});
    EXPECT_TRUE(matches(actual, expected, model)) << name;
  }
}

INSTANTIATE_TEST_SUITE_P(Table, PrefillCases, testing::ValuesIn(prefill_cases()), case_name<Case>);

}  // namespace
}  // namespace tca::backend_test
