#include "backend/compare.h"

#include <algorithm>
#include <cmath>

#include "backend/host_caches.h"
#include "core/half.h"
#include "cpu/cpu_backend.h"
#include "reference/reference_backend.h"
#include "reference/steps.h"

namespace tca::backend_test {
namespace {

constexpr double kUnit = 0x1p-24;  // of fp32

double unit_of(DType dtype) { return dtype == DType::kF32 ? kUnit : dtype == DType::kBF16 ? 0x1p-8 : 0x1p-11; }

double norm(std::span<const double> row) { return std::sqrt(reference::dot(row, row)); }

double largest_finite(std::span<const double> row) {
  double top = 0;
  for (const double x : row) top = std::isfinite(x) ? std::max(top, std::abs(x)) : top;
  return top;
}

/// An element as it is, or the infinity that the output's dtype makes of it.
double expected_in(DType dtype, const Output& expected, std::int64_t token, std::int32_t head, std::int32_t i) {
  const double e = expected.out.at(token, head, i);
  std::uint32_t memory = 0;
  store_element(&memory, dtype, 0, static_cast<float>(e));
  const double stored = load_element(&memory, dtype, 0);
  return std::isinf(stored) ? stored : e;
}

}  // namespace

ErrorModel::ErrorModel(const Problem& problem) {
  const Case& c = problem.spec();
  scale_ = reference::resolve_scale(c.scale, c.head_dim);
  head_dim_ = c.head_dim;
  exact_dots_ = c.values == Values::kHuge;
  weight_unit_ = c.dtype == DType::kF32 ? 0 : unit_of(c.dtype);
  out_unit_ = unit_of(c.out_dtype);
  out_tiny_ = c.out_dtype == DType::kF16 ? 0x1p-25 : 0;  // half the spacing of fp16's subnormal numbers
  const reference::Tensor q = reference::to_double(problem.q());
  const reference::Tensor k = reference::to_double(problem.k());
  const reference::Tensor v = reference::to_double(problem.v());
  for (std::int64_t i = 0; i < q.num_tokens; ++i) {
    for (std::int32_t head = 0; head < q.num_heads; ++head) q_norm_ = std::max(q_norm_, norm(q.row(i, head)));
  }
  for (std::int32_t head = 0; head < k.num_heads; ++head) {
    const reference::HeadTokens tokens = reference::past_and_segment(problem.past(), k, &v, head);
    num_tokens_ = std::max(num_tokens_, static_cast<double>(tokens.size()));
    for (const auto& key : tokens.k) k_norm_ = std::max(k_norm_, norm(key));
    for (const auto& value : tokens.v) {
      v_norm_ = std::max(v_norm_, norm(value));
      v_max_ = std::max(v_max_, largest_finite(value));
    }
  }
}

ErrorModel ErrorModel::between_two() const {
  ErrorModel model = *this;
  model.allowance_ = 2;
  return model;
}

double ErrorModel::score() const {
  const double terms = exact_dots_ ? 0 : head_dim_;
  return (terms + 4) * kUnit * scale_ * q_norm_ * k_norm_;
}

double ErrorModel::weight() const {
  const double exp_unit = std::max(8 * kUnit, weight_unit_ / 256);
  return std::expm1(2 * score()) + 2 * exp_unit + num_tokens_ * kUnit;
}

double ErrorModel::output(double expected) const {
  const double rounding = std::max(out_unit_ * std::abs(expected), out_tiny_);
  return allowance_ * ((weight() + weight_unit_ + num_tokens_ * kUnit) * v_max_ + rounding);
}

double ErrorModel::lse(double expected) const {
  return allowance_ * (score() + weight() + 2 * kUnit * std::abs(expected));
}

double ErrorModel::tail_score(double expected) const {
  const double score_bound = scale_ * q_norm_ * k_norm_;  // also of lse, to a few units
  return (weight() + 4 * kUnit * score_bound) * expected + kSmallestNormal;
}

double ErrorModel::probe_score(double expected) const {
  constexpr double kLeastMass = 1e-6;  // the share of attention that every segment of the table gets, and more
  return 2 * weight() * expected + kSmallestNormal / kLeastMass;
}

double ErrorModel::delta() const { return 2 * weight(); }

double ErrorModel::bound(double expected) const {
  return 2 * delta() * v_norm_ + head_dim_ * kUnit * expected;  // the norm is a sum of d squares
}

double ErrorModel::output_norm() const {
  const double element = (weight() + weight_unit_ + num_tokens_ * kUnit) * v_max_;
  return std::sqrt(head_dim_) * element + head_dim_ * kUnit * v_norm_;
}

double ErrorModel::mean_square_error(double power) const {
  const double score_error = 4 * kUnit * scale_ * q_norm_ * k_norm_;
  const double exp_error = std::max(8 * kUnit, weight_unit_ / 256);
  const double rounding = (weight_unit_ * weight_unit_ + out_unit_ * out_unit_) / 3;
  const double relative = score_error * score_error + exp_error * exp_error + rounding + num_tokens_ * kUnit * kUnit;
  return 4 * allowance_ * allowance_ * (relative * power + out_tiny_ * out_tiny_ / 3);
}

testing::AssertionResult matches(const Output& actual, const Output& expected, const ErrorModel& model) {
  double error = 0, power = 0, count = 0;
  for (std::int64_t token = 0; token < expected.out.num_tokens(); ++token) {
    for (std::int32_t head = 0; head < expected.out.num_heads(); ++head) {
      for (std::int32_t i = 0; i < expected.out.head_dim(); ++i) {
        const double a = actual.out.at(token, head, i), e = expected_in(actual.out.dtype(), expected, token, head, i);
        const bool good = std::isfinite(e) ? std::abs(a - e) <= model.output(e) : a == e || (a != a && e != e);
        if (!good) {
          return testing::AssertionFailure() << "out[" << token << ", " << head << ", " << i << "] is " << a
                                             << ", expected " << e << " within " << model.output(e);
        }
        if (!std::isfinite(e)) continue;
        error += (a - e) * (a - e);
        power += e * e;
        ++count;
      }
    }
  }
  if (count > 0 && error / count > model.mean_square_error(power / count)) {
    return testing::AssertionFailure() << "mean squared error is " << error / count << ", allowed "
                                       << model.mean_square_error(power / count);
  }
  for (std::size_t i = 0; i < expected.lse.size(); ++i) {
    const double a = actual.lse[i], e = expected.lse[i];
    const bool good = std::isfinite(e) ? std::abs(a - e) <= model.lse(e) : a == e;
    if (!good) {
      return testing::AssertionFailure() << "lse[" << i << "] is " << a << ", expected " << e << " within "
                                         << model.lse(e);
    }
  }
  if (!actual.out.padding_intact()) return testing::AssertionFailure() << "memory between the rows of out was written";
  return testing::AssertionSuccess();
}

testing::AssertionResult same_bits(const Output& a, const Output& b) {
  if (!(a.out == b.out)) return testing::AssertionFailure() << "outputs differ in bits";
  for (std::size_t i = 0; i < a.lse.size(); ++i) {
    if (a.lse[i] != b.lse[i]) {
      return testing::AssertionFailure() << "lse[" << i << "] is " << a.lse[i] << " and " << b.lse[i];
    }
  }
  return testing::AssertionSuccess();
}

std::vector<NamedBackend> backends_under_test(ThreadPool& pool) {
  std::vector<NamedBackend> backends;
#ifdef TCA_ONLY_CPU_TARGET
  const std::vector<std::string> usable = cpu_targets();
  if (std::count(usable.begin(), usable.end(), TCA_ONLY_CPU_TARGET) != 0) {
    backends.push_back({"cpu " TCA_ONLY_CPU_TARGET, create_cpu_backend_for_target(pool, TCA_ONLY_CPU_TARGET)});
    return backends;
  }
#endif
  for (const std::string& name : available_backends()) {
    if (name != "reference") backends.push_back({name, with_host_caches(create_backend(name, pool))});
  }
  for (const std::string& target : cpu_targets()) {
    backends.push_back({"cpu " + target, create_cpu_backend_for_target(pool, target)});
  }
  return backends;
}

std::vector<BackendOfCase> backends_for(const Case& c) {
  static ThreadPool pool(2);
  static const std::vector<NamedBackend> backends = backends_under_test(pool);
  std::vector<BackendOfCase> able;
  for (const auto& [name, backend] : backends) {
    const auto [dtypes, head_dims, isa] = backend->capabilities();
    const bool cpu = name.starts_with("cpu");  // serves the whole table, and is held to it
    if (cpu || (std::count(dtypes.begin(), dtypes.end(), c.dtype) &&
                std::count(head_dims.begin(), head_dims.end(), c.head_dim))) {
      able.push_back({name, backend.get()});
    }
  }
  return able;
}

const Backend& oracle() {
  static const std::unique_ptr<Backend> backend = create_reference_backend();
  return *backend;
}

}  // namespace tca::backend_test
