#include "core/faults/failing_new.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <cstring>
#include <new>

#include "tca/error.h"

namespace tca::testing {
namespace {

// 0: nothing is counted.
thread_local std::int64_t until_failure = 0;
thread_local bool has_failed = false, goes_on = false;

bool fails() noexcept {
  if (until_failure == 0 || --until_failure > 0) return false;
  has_failed = true;
  if (goes_on) until_failure = 1;
  return true;
}

void* allocate(std::size_t bytes, std::size_t alignment) noexcept {
  if (fails()) return nullptr;
  const std::size_t size = (bytes + alignment) / alignment * alignment;
  void* const memory = std::aligned_alloc(alignment, size);
  // What nobody wrote is the same in every run, so that runs can be compared.
  if (memory != nullptr) std::memset(memory, 0x5a, size);
  return memory;
}

void* allocate_or_throw(std::size_t bytes, std::size_t alignment) {
  void* const memory = allocate(bytes, alignment);
  if (memory == nullptr) throw std::bad_alloc();
  return memory;
}

constexpr std::size_t kDefault = __STDCPP_DEFAULT_NEW_ALIGNMENT__;

}  // namespace

FailNthAllocation::FailNthAllocation(std::int64_t n, bool and_later) noexcept {
  has_failed = false;
  goes_on = and_later;
  until_failure = n;
}
FailNthAllocation::~FailNthAllocation() { until_failure = 0; }
bool FailNthAllocation::failed() const noexcept { return has_failed; }

std::int64_t fail_every_allocation(const std::function<void()>& operation, bool and_later,
                                   const std::function<void()>& unchanged) {
  for (std::int64_t n = 1;; ++n) {
    bool threw = false, failed = false;
    {
      const FailNthAllocation allocation(n, and_later);
      try {
        operation();
      } catch (const std::bad_alloc&) {
        threw = true;
      } catch (const Error& error) {
        threw = error.category() == ErrorCategory::kOutOfBudget || error.category() == ErrorCategory::kIo;
        if (!threw) throw;
      }
      failed = allocation.failed();
    }
    EXPECT_EQ(threw, failed) << "allocation " << n;
    if (!threw) return n - 1;
    unchanged();
    if (::testing::Test::HasFailure()) return n;
  }
}

}  // namespace tca::testing

using tca::testing::allocate;
using tca::testing::allocate_or_throw;
using tca::testing::kDefault;

void* operator new(std::size_t n) { return allocate_or_throw(n, kDefault); }
void* operator new[](std::size_t n) { return allocate_or_throw(n, kDefault); }
void* operator new(std::size_t n, const std::nothrow_t&) noexcept { return allocate(n, kDefault); }
void* operator new[](std::size_t n, const std::nothrow_t&) noexcept { return allocate(n, kDefault); }
void* operator new(std::size_t n, std::align_val_t a) { return allocate_or_throw(n, static_cast<std::size_t>(a)); }
void* operator new[](std::size_t n, std::align_val_t a) { return allocate_or_throw(n, static_cast<std::size_t>(a)); }
void* operator new(std::size_t n, std::align_val_t a, const std::nothrow_t&) noexcept {
  return allocate(n, static_cast<std::size_t>(a));
}
void* operator new[](std::size_t n, std::align_val_t a, const std::nothrow_t&) noexcept {
  return allocate(n, static_cast<std::size_t>(a));
}
void operator delete(void* p) noexcept { std::free(p); }
void operator delete[](void* p) noexcept { std::free(p); }
void operator delete(void* p, std::size_t) noexcept { std::free(p); }
void operator delete[](void* p, std::size_t) noexcept { std::free(p); }
void operator delete(void* p, const std::nothrow_t&) noexcept { std::free(p); }
void operator delete[](void* p, const std::nothrow_t&) noexcept { std::free(p); }
void operator delete(void* p, std::align_val_t) noexcept { std::free(p); }
void operator delete[](void* p, std::align_val_t) noexcept { std::free(p); }
void operator delete(void* p, std::size_t, std::align_val_t) noexcept { std::free(p); }
void operator delete[](void* p, std::size_t, std::align_val_t) noexcept { std::free(p); }
void operator delete(void* p, std::align_val_t, const std::nothrow_t&) noexcept { std::free(p); }
void operator delete[](void* p, std::align_val_t, const std::nothrow_t&) noexcept { std::free(p); }
