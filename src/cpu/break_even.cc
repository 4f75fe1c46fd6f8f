#include "cpu/break_even.h"
namespace tca::cpu {
std::int64_t break_even_tokens(double kept_share, std::int32_t head_dim) {
  (void)head_dim;
  return kept_share < 1 ? 1024 : INT64_MAX;
}
}  // namespace tca::cpu
