// From dropped attention masses to certificates, for every backend but the oracle.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "tca/attention.h"

namespace tca {

/// deltas [R, Hq], R >= 1; max_norms [Hk]: the largest ||v_j||_2 of each KV head. One certificate a KV head.
std::vector<HeadCertificate> certificates_of(std::span<const float> deltas, std::int32_t num_heads,
                                             std::span<const double> max_norms);

}  // namespace tca
