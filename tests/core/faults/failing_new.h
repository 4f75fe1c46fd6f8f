// Memory that runs out when a test says so. The program that links failing_new.cc has every operator new counted.
#pragma once

#include <cstdint>

namespace tca::testing {

/// While it lives, the n-th allocation of the thread that made it fails, counted from 1: with bad_alloc, or null where
/// the caller asked for that. Later ones do not. Other threads are not counted.
class FailNthAllocation {
 public:
  explicit FailNthAllocation(std::int64_t n) noexcept;
  ~FailNthAllocation();
  FailNthAllocation(const FailNthAllocation&) = delete;
  FailNthAllocation& operator=(const FailNthAllocation&) = delete;

  /// Whether there were n allocations.
  bool failed() const noexcept;
};

}  // namespace tca::testing
