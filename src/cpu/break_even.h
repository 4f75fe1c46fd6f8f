// From which length on sparse prefill pays.
#pragma once

#include <cstdint>

namespace tca::cpu {

std::int64_t break_even_tokens(double kept_share, std::int32_t head_dim);

}  // namespace tca::cpu
