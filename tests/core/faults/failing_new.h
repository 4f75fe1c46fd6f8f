// Memory that runs out when a test says so. The program that links failing_new.cc has every operator new counted.
#pragma once

#include <cstdint>
#include <functional>

namespace tca::testing {

/// While it lives, the n-th allocation of the thread that made it fails, counted from 1: with bad_alloc, or null where
/// the caller asked for that. Later ones do not, or with `and_later` all of them, as where memory is really out: what
/// then allocates in a destructor ends the program. Other threads are not counted.
class FailNthAllocation {
 public:
  explicit FailNthAllocation(std::int64_t n, bool and_later = false) noexcept;
  ~FailNthAllocation();
  FailNthAllocation(const FailNthAllocation&) = delete;
  FailNthAllocation& operator=(const FailNthAllocation&) = delete;

  /// Whether there were n allocations.
  bool failed() const noexcept;
};

/// Calls operation with its first, its second, ... allocation failing (see FailNthAllocation) until it succeeds without
/// a failure. Returns the number of allocations. What it throws while memory fails is bad_alloc, kOutOfBudget of
/// pages or kIo of other aligned memory, and `unchanged` says what must be as it was then.
std::int64_t fail_every_allocation(
    const std::function<void()>& operation, bool and_later, const std::function<void()>& unchanged = [] {});

}  // namespace tca::testing
