// Row kernels of answer gradients and their risk, dispatched at run time like kernels.h. Single-threaded, fp32.
#pragma once

#include <cstdint>
#include <span>

#include "runtime/spec/model_spec.h"

namespace tca::runtime::kernels {

/// The largest of n >= 1.
float largest(const float* x, std::int64_t n);
/// x = exp(x - shift); returns the sum. Exponents up to 88.
double exponentials(float* x, std::int64_t n, float shift);
/// Sum of |x|.
double magnitude_sum(const float* x, std::int64_t n);
/// x *= factor.
void scale_row(float* x, std::int64_t n, float factor);

/// Back through a row's softmax: scores become probabilities exp(score - lse), and their gradients those of the scores,
/// probability * (gradient - mean) with mean = sum of probability * gradient over the whole row.
void softmax_back(float* scores, float* gradients, std::int64_t n, float lse, float mean);

/// Of each run of elements, up to ends[i] from where the one before ended (at first 0): the sums of exp(score - lse),
/// and of the same times value. Both rows are read up to kReadBeyond elements beyond the last end.
inline constexpr std::int64_t kReadBeyond = 16;
void probability_sums(const float* scores, const float* values, std::span<const std::int32_t> ends, float lse,
                      float* sums, float* value_sums);

/// Back through activation(gate) * up: `out` is the gradient of the product; gate and up become their gradients.
void activate_back(Activation activation, float* gate, float* up, const float* out, std::int64_t n);

}  // namespace tca::runtime::kernels
