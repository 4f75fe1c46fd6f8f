#include "core/certificates.h"

#include <algorithm>
#include <utility>

namespace tca {
namespace {

HeadCertificate summarise(std::vector<float> deltas, double max_norm) {
  std::sort(deltas.begin(), deltas.end());
  double sum = 0;
  for (const float delta : deltas) sum += delta;
  const double p95 = deltas[(95 * deltas.size() + 99) / 100 - 1];  // the ceil(0.95 n)-th smallest
  return {.mean_delta = sum / static_cast<double>(deltas.size()),
          .p95_delta = p95,
          .max_delta = deltas.back(),
          .bound = 2 * p95 * max_norm};
}

}  // namespace

std::vector<HeadCertificate> certificates_of(std::span<const float> deltas, std::int32_t num_heads,
                                             std::span<const double> max_norms) {
  const auto heads = static_cast<std::size_t>(num_heads);
  const std::size_t group = heads / max_norms.size();
  std::vector<HeadCertificate> certificates;
  for (std::size_t h = 0; h < max_norms.size(); ++h) {
    std::vector<float> of_head;
    for (std::size_t row = 0; row < deltas.size(); row += heads) {
      const auto first = deltas.begin() + static_cast<std::ptrdiff_t>(row + h * group);
      of_head.insert(of_head.end(), first, first + static_cast<std::ptrdiff_t>(group));
    }
    certificates.push_back(summarise(std::move(of_head), max_norms[h]));
  }
  return certificates;
}

}  // namespace tca
