#include "evaluation/methods/query_statistics.h"

#include "core/half.h"

namespace tca::evaluation {
namespace {

/// x [d] by the rotation of cosines c and sines s [d / 2]; sign -1: back.
template <class Number>
void turn(double* x, const Number* c, const Number* s, double sign, std::size_t half) {
  for (std::size_t i = 0; i < half; ++i) {
    const double a = x[i], b = x[i + half];
    x[i] = a * c[i] - sign * b * s[i];
    x[i + half] = b * c[i] + sign * a * s[i];
  }
}

}  // namespace

FutureRotation future_rotation(const MethodLayer& at, std::int64_t positions) {
  const runtime::ModelConfig& model = at.segment.model;
  const auto rope = static_cast<std::size_t>(model.layers[static_cast<std::size_t>(at.layer.layer)].rope);
  const auto frequencies = runtime::rope_frequencies(model.ropes[rope], at.layer.q.head_dim, at.segment.long_context);
  const std::size_t half = frequencies.inverse.size();
  const std::int64_t first = at.segment.first_position, next = first + at.num_tokens();
  FutureRotation rotation{.past = {},
                          .c = std::vector<double>(half),
                          .s = std::vector<double>(half),
                          .scaling = frequencies.attention_scaling,
                          .turned = static_cast<std::size_t>(frequencies.turned)};
  rotation.past.fill(frequencies, first, at.num_tokens(), at.segment.pool);
  runtime::RopeTable future;
  future.fill(frequencies, next, positions, at.segment.pool);
  for (std::int64_t p = 0; p < positions; ++p) {
    for (std::size_t i = 0; i < half; ++i) {
      rotation.c[i] += future.cos(p)[i] / static_cast<double>(positions);
      rotation.s[i] += future.sin(p)[i] / static_cast<double>(positions);
    }
  }
  return rotation;
}

QueryStatistics query_statistics(const MethodLayer& at, const FutureRotation& rotation, std::int64_t head,
                                 std::int64_t first) {
  const TensorView& q = at.layer.q;
  const auto d = static_cast<std::size_t>(q.head_dim);
  const double n = static_cast<double>(q.num_tokens - first), scaling = rotation.scaling * rotation.scaling;
  QueryStatistics result{.mean = std::vector<double>(d), .covariance = std::vector<double>(d * d)};
  std::vector<float> row(d);
  std::vector<double> queries;
  for (std::int64_t t = first; t < q.num_tokens; ++t) {
    convert_row(q.row(t, head), q.dtype, row.data(), q.head_dim);
    double* const x = &*queries.insert(queries.end(), row.begin(), row.end());
    turn(x, rotation.past.cos(t), rotation.past.sin(t), -1, d / 2);
    for (std::size_t i = 0; i < d; ++i) {
      if (i % (d / 2) < rotation.turned) x[i] /= scaling;
      result.mean[i] += x[i] / n;
    }
  }
  for (std::size_t begin = 0; begin < queries.size(); begin += d) {
    double* const x = queries.data() + begin;
    for (std::size_t i = 0; i < d; ++i) x[i] -= result.mean[i];
    turn(x, rotation.c.data(), rotation.s.data(), 1, d / 2);  // linear: turns the covariance on both sides
    for (std::size_t i = 0; i < d; ++i) {
      for (std::size_t j = 0; j < d; ++j) result.covariance[i * d + j] += x[i] * x[j] / n;
    }
  }
  turn(result.mean.data(), rotation.c.data(), rotation.s.data(), 1, d / 2);
  return result;
}

}  // namespace tca::evaluation
