// From dropped attention masses to certificates, for every backend but the oracle.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "tca/attention.h"

namespace tca {

/// What a backend measures of R >= 1 sampled rows.
struct Measured {
  std::vector<float> deltas;               // [R, Hq]
  std::vector<float> output_norms;         // [R, Hq] ||o||_2, dense
  std::vector<float> squared_value_norms;  // [Hk] max ||v_j||_2^2 over past and segment
};
/// One certificate a KV head.
std::vector<HeadCertificate> certificates_of(const Measured& measured, std::int32_t num_heads);

}  // namespace tca
