// From which length on sparse prefill pays.
#pragma once

#include <cstdint>

#include "cpu/kernels.h"

namespace tca::cpu {

/// See Backend::break_even_tokens.
std::int64_t break_even_tokens(const KernelSet& kernels, double kept_share);

}  // namespace tca::cpu
