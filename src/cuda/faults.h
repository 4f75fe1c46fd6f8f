// For tests: memory that runs out when they say so.
#pragma once

#include <cstdint>

namespace tca::cuda {

/// The n-th request for GPU memory or page-locked host memory from now on, of any thread, fails as if there were none
/// left; 0: none does.
void fail_nth_allocation(std::int64_t n) noexcept;
/// Whether it has come to that.
bool allocation_has_failed() noexcept;
/// What every such request asks first. One load where no test runs.
bool allocation_fails() noexcept;

}  // namespace tca::cuda
