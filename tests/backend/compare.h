// How far a correct backend may be from the oracle, derived from the precision it works in; comparisons by that.
#pragma once

#include <gtest/gtest.h>

#include <span>

#include "backend/problem.h"
#include "tca/backend.h"

namespace tca::backend_test {

/// Bounds for arithmetic in fp32 (unit roundoff u = 2^-24), inputs taken as they are, and softmax weights rounded to
/// the dtype of V before they meet it (u_p: 2^-8 for bf16, 2^-11 for fp16, none for fp32). Norms and sizes are maxima
/// over the case (of finite values), so that one model serves all of its rows.
class ErrorModel {
 public:
  /// Looks at q, k, v and the past of a problem.
  explicit ErrorModel(const Problem& problem);
  /// For two computed results instead of one and the oracle's: both may err.
  ErrorModel between_two() const;

  /// A score: its dot product of d terms is off by at most d u ||q|| ||k|| (d u sum |q_i k_i|, whatever the order of
  /// summation; 0 where all partial sums are exact integers); scale, its product and the step to a base-2 exponent
  /// round four times more.
  double score() const;
  /// A softmax weight, relatively: exp of two such scores (its own and the maximum), the rounding of exp itself, and a
  /// sum of n terms. exp may be as coarse as 2^-8 of the rounding of the weight that follows.
  double weight() const;
  /// An output element: every weight by weight() and u_p, times the largest |v|; a weighted sum of n terms; the
  /// rounding of the output dtype.
  double output(double expected) const;
  double lse(double expected) const;
  /// exp(score - lse), from an lse that is right to its last bit.
  double tail_score(double expected) const;
  /// A pooled score, normalised by a sum of them: two weights.
  double probe_score(double expected) const;
  /// 1 - visible mass, at most 1, or the ratio of two sums of weights.
  double delta() const;
  double bound(double expected) const;
  /// The norm of an output row in fp32: d elements as in output(), and a sum of d squares.
  double output_norm() const;
  /// Mean squared error of a whole output whose mean square is `power`. Rounding errors are independent, so they add in
  /// squares: a rounding to unit u has variance u^2 / 3, sums of n terms wander by sqrt(n) u, dot products by
  /// 4 u ||q|| ||k||. A factor 4 (twice the error) covers what is left.
  double mean_square_error(double power) const;
  double max_value_norm() const { return v_norm_; }

 private:
  static constexpr double kSmallestNormal = 0x1p-126;  // of fp32: weights below it may become 0

  double scale_ = 0, num_tokens_ = 0, head_dim_ = 0;
  double q_norm_ = 0, k_norm_ = 0, v_norm_ = 0, v_max_ = 0;
  bool exact_dots_ = false;
  double allowance_ = 1;
  double weight_unit_ = 0;  // u_p
  double out_unit_ = 0, out_tiny_ = 0;
};

/// The results of one backend against the oracle's: infinities and NaNs at the same places, every element and the lse
/// within its bound, NMSE, and nothing written between the rows.
testing::AssertionResult matches(const Output& actual, const Output& expected, const ErrorModel& model);

/// The same bits.
testing::AssertionResult same_bits(const Output& a, const Output& b);

struct NamedBackend {
  std::string name;
  std::unique_ptr<Backend> backend;
};
/// Every usable backend of this build but the oracle, then the CPU one forced to each target this machine can run. They
/// all take caches in host memory: one that reads pages of its own kind gets a copy.
std::vector<NamedBackend> backends_under_test(ThreadPool& pool);

struct BackendOfCase {
  std::string name;
  const Backend* backend;
};
/// Those that support a case's dtype and head_dim, with a pool of two threads that lives as long as the program.
std::vector<BackendOfCase> backends_for(const Case& c);
const Backend& oracle();

}  // namespace tca::backend_test
