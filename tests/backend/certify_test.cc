// Dropped masses and certificates of every backend against the oracle, and against the true error.
#include <gtest/gtest.h>

#include <cmath>

#include "backend/compare.h"
#include "reference/steps.h"

namespace tca::backend_test {
namespace {

class CertifyCases : public testing::TestWithParam<Case> {
 protected:
  /// Every seventh query from the end: edges of tiles and windows come by over the table.
  CertifyCases() : problem_(GetParam()), queries_(sample()) {}

  TensorBuffer sample() {
    const Case& c = GetParam();
    for (std::int64_t r = c.num_queries() - 1; r >= 0; r -= 7) {
      rows_.push_back(static_cast<std::int32_t>(c.tokens - c.num_queries() + r));
    }
    TensorBuffer queries(c.dtype, static_cast<std::int64_t>(rows_.size()), c.num_heads, c.head_dim);
    const reference::Tensor q = reference::to_double(problem_.q());
    for (std::size_t s = 0; s < rows_.size(); ++s) {
      for (std::int32_t head = 0; head < c.num_heads; ++head) {
        const auto row = q.row(rows_[s] - (c.tokens - c.num_queries()), head);
        for (std::int32_t i = 0; i < c.head_dim; ++i) queries.set(static_cast<std::int64_t>(s), head, i, row[i]);
      }
    }
    return queries;
  }

  Problem problem_;
  std::vector<std::int32_t> rows_;
  TensorBuffer queries_;
};

TEST_P(CertifyCases, MatchTheOracle) {
  const ErrorModel model(problem_);
  const CertifyParams params = problem_.certify(rows_, queries_.view());
  const std::size_t num_deltas = rows_.size() * static_cast<std::size_t>(GetParam().num_heads);
  std::vector<float> expected(num_deltas);
  const std::vector<HeadCertificate> certificates = oracle().certify(params, expected);
  for (const auto& [name, backend] : backends_for(problem_.spec())) {
    std::vector<float> actual(num_deltas, NAN);
    const std::vector<HeadCertificate> own = backend->certify(params, actual);
    const double allowed = model.delta();
    for (std::size_t i = 0; i < num_deltas; ++i) ASSERT_NEAR(actual[i], expected[i], allowed) << name << ", " << i;
    ASSERT_EQ(own.size(), certificates.size()) << name;
    for (std::size_t h = 0; h < own.size(); ++h) {
      // Order statistics and means move no further than what they are taken of.
      EXPECT_NEAR(own[h].mean_delta, certificates[h].mean_delta, allowed) << name;
      EXPECT_NEAR(own[h].p95_delta, certificates[h].p95_delta, allowed) << name;
      EXPECT_NEAR(own[h].max_delta, certificates[h].max_delta, allowed) << name;
      EXPECT_NEAR(own[h].bound, certificates[h].bound, model.bound(certificates[h].bound)) << name;
    }
  }
}

std::vector<Case> sparse_cases() {
  std::vector<Case> cases = prefill_cases();
  std::erase_if(cases, [](const Case& c) { return c.kept == Kept::kDense; });
  return cases;
}
INSTANTIATE_TEST_SUITE_P(Table, CertifyCases, testing::ValuesIn(sparse_cases()), case_name<Case>);

TEST(Certify, DenseAttentionDropsNothing) {
  const Problem problem({.group = "dense", .tokens = 100, .queries = 9});
  const std::vector<std::int32_t> rows = {91, 92, 93, 94, 95, 96, 97, 98, 99};
  for (const auto& [name, backend] : backends_for(problem.spec())) {
    std::vector<float> deltas(18, NAN);
    const auto certificates = backend->certify(problem.certify(rows, problem.q()), deltas);
    EXPECT_EQ(deltas, std::vector<float>(18, 0.0f)) << name;
    EXPECT_EQ(certificates.at(0).bound, 0) << name;
  }
}

TEST(Certify, BoundsTheTrueError) {
  // Every row is sampled, so max delta * 2 max ||v|| bounds the error of every row of the sparse output.
  const Case c{.group = "bound", .tokens = 200, .num_heads = 4, .num_kv_heads = 2, .kept = Kept::kRagged};
  const Problem problem(c);
  std::vector<std::int32_t> rows(200);
  for (std::int32_t i = 0; i < 200; ++i) rows[static_cast<std::size_t>(i)] = i;
  Output dense = problem.oracle_output(), sparse = problem.oracle_output();
  PrefillParams dense_params = problem.prefill(dense), sparse_params = problem.prefill(sparse);
  dense_params.kept = nullptr;
  const ErrorModel model(problem);
  for (const auto& [name, backend] : backends_for(problem.spec())) {
    backend->prefill_attention({&dense_params, 1});
    backend->prefill_attention({&sparse_params, 1});
    const auto certificates = backend->certify(problem.certify(rows, problem.q()));
    for (std::int64_t i = 0; i < 200; ++i) {
      for (std::int32_t head = 0; head < 4; ++head) {
        double error = 0;
        for (std::int32_t e = 0; e < c.head_dim; ++e) {
          error += std::pow(dense.out.at(i, head, e) - sparse.out.at(i, head, e), 2);
        }
        const double bound = 2 * certificates[static_cast<std::size_t>(head / 2)].max_delta * model.max_value_norm();
        EXPECT_LE(std::sqrt(error), bound) << name << ", row " << i << ", head " << head;
      }
    }
  }
}

TEST(Certify, NoRowsNoDelta) {
  const Problem problem({.group = "norows", .tokens = 20, .kept = Kept::kWindowOnly});
  const TensorBuffer none(DType::kF32, 0, 2, 64);
  for (const auto& [name, backend] : backends_for(problem.spec())) {
    const auto certificates = backend->certify(problem.certify({}, none.view()));
    ASSERT_EQ(certificates.size(), 1u) << name;
    EXPECT_EQ(certificates[0].max_delta, 0) << name;
    EXPECT_EQ(certificates[0].bound, 0) << name;
  }
}

}  // namespace
}  // namespace tca::backend_test
