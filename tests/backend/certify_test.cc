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
      EXPECT_NEAR(own[h].output_norm, certificates[h].output_norm, model.output_norm()) << name;
      EXPECT_NEAR(own[h].bound, certificates[h].bound, model.bound(certificates[h].bound)) << name;
    }
  }
}

/// ‖o - o'‖ of every sampled row and query head in double: what the certificate bounds. [R, Hq]
std::vector<double> true_errors(const CertifyParams& params) {
  const reference::Tensor q = reference::to_double(params.q);
  const reference::Tensor k = reference::to_double(params.k), v = reference::to_double(params.v);
  const double scale = reference::resolve_scale(params.scale, q.head_dim);
  const std::int32_t group = q.num_heads / k.num_heads;
  const bool begins = params.past.cache == nullptr || params.past.cache->num_tokens(params.past.layer) == 0;
  std::vector<double> errors(static_cast<std::size_t>(q.num_tokens * q.num_heads));
  for (std::int32_t kv_head = 0; kv_head < k.num_heads; ++kv_head) {
    const reference::HeadTokens tokens = reference::past_and_segment(params.past, k, &v, kv_head);
    const std::size_t past = tokens.size() - static_cast<std::size_t>(k.num_tokens);
    for (std::int64_t r = 0; r < q.num_tokens; ++r) {
      const std::int32_t i = params.rows[static_cast<std::size_t>(r)];
      const auto all = reference::visible_tokens(i, k.num_tokens, past, nullptr, kv_head, 0, 0);
      const auto seen = reference::visible_tokens(i, k.num_tokens, past, params.kept, kv_head, params.window,
                                                  begins ? params.sinks : 0);
      for (std::int32_t head = kv_head * group; head < (kv_head + 1) * group; ++head) {
        const auto dense = reference::attend(q.row(r, head), tokens, all, scale).out;
        const auto sparse = reference::attend(q.row(r, head), tokens, seen, scale).out;
        double sum = 0;
        for (std::size_t e = 0; e < dense.size(); ++e) sum += (dense[e] - sparse[e]) * (dense[e] - sparse[e]);
        errors[static_cast<std::size_t>(r * q.num_heads + head)] = std::sqrt(sum);
      }
    }
  }
  return errors;
}

TEST_P(CertifyCases, BoundTheTrueError) {
  const ErrorModel model(problem_);
  const CertifyParams params = problem_.certify(rows_, queries_.view());
  const std::vector<double> errors = true_errors(params);
  const std::int32_t heads = GetParam().num_heads, group = heads / GetParam().num_kv_heads;
  std::vector<BackendOfCase> backends = backends_for(problem_.spec());
  backends.push_back({"reference", &oracle()});
  for (const auto& [name, backend] : backends) {
    std::vector<float> deltas(errors.size());
    const std::vector<HeadCertificate> certificates = backend->certify(params, deltas);
    for (std::size_t i = 0; i < errors.size(); ++i) {
      const HeadCertificate& of_head =
          certificates[i % static_cast<std::size_t>(heads) / static_cast<std::size_t>(group)];
      if (deltas[i] > static_cast<float>(of_head.p95_delta)) continue;
      // The oracle's masses are rounded to float on their way here, and nothing else.
      const double slack = name == "reference" ? 1e-7 * of_head.bound + 1e-12 : model.bound(of_head.bound);
      EXPECT_LE(errors[i], of_head.bound + slack) << name << ", row " << i / static_cast<std::size_t>(heads);
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
