#include "core/certificates.h"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace tca {
namespace {

/// Columns [first, first + count) of [R, stride].
std::vector<float> columns(const std::vector<float>& rows, std::size_t stride, std::size_t first, std::size_t count) {
  std::vector<float> taken;
  for (std::size_t row = first; row < rows.size(); row += stride) {
    const auto begin = rows.begin() + static_cast<std::ptrdiff_t>(row);
    taken.insert(taken.end(), begin, begin + static_cast<std::ptrdiff_t>(count));
  }
  return taken;
}

double mean(const std::vector<float>& values) {
  return std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
}

}  // namespace

std::vector<HeadCertificate> certificates_of(const Measured& measured, std::int32_t num_heads) {
  const auto heads = static_cast<std::size_t>(num_heads), kv_heads = measured.squared_value_norms.size();
  const std::size_t group = heads / kv_heads;
  std::vector<HeadCertificate> certificates;
  for (std::size_t h = 0; h < kv_heads; ++h) {
    std::vector<float> deltas = columns(measured.deltas, heads, h * group, group);
    std::sort(deltas.begin(), deltas.end());
    const double p95 = deltas[(95 * deltas.size() + 99) / 100 - 1];  // the ceil(0.95 n)-th smallest
    certificates.push_back({.mean_delta = mean(deltas),
                            .p95_delta = p95,
                            .max_delta = deltas.back(),
                            .output_norm = mean(columns(measured.output_norms, heads, h * group, group)),
                            .bound = 2 * p95 * std::sqrt(static_cast<double>(measured.squared_value_norms[h]))});
  }
  return certificates;
}

}  // namespace tca
