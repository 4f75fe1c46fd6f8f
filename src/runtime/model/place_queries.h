// Queries that were kept before RoPE, brought to a position.
#pragma once

#include <cstdint>

#include "runtime/model/rope.h"
#include "tca/tensor.h"
#include "tca/thread_pool.h"

namespace tca::runtime {

/// q [K, Hq, d] fp32, contiguous, all rotated to one position: out of the same shape in fp32 or bf16.
void place_queries(const TensorView& q, const RopeFrequencies& frequencies, std::int64_t position,
                   const MutableTensorView& out, ThreadPool& pool);

}  // namespace tca::runtime
