#include "cuda/faults.h"

#include <atomic>

namespace tca::cuda {
namespace {

std::atomic<std::int64_t> until_failure{0};  // 0: nothing is counted
std::atomic<bool> has_failed{false};

}  // namespace

void fail_nth_allocation(std::int64_t n) noexcept {
  has_failed.store(false);
  until_failure.store(n);
}

bool allocation_has_failed() noexcept { return has_failed.load(); }

bool allocation_fails() noexcept {
  if (until_failure.load(std::memory_order_relaxed) <= 0 || until_failure.fetch_sub(1) != 1) return false;
  has_failed.store(true);
  return true;
}

}  // namespace tca::cuda
