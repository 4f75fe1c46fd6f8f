// A pool of threads whose memory runs out while it starts.
#include <gtest/gtest.h>

#include <atomic>
#include <new>

#include "core/faults/failing_new.h"
#include "tca/thread_pool.h"

namespace tca::testing {
namespace {

// Threads that run already are joined: a std::thread that is destroyed before ends the program.
TEST(ThreadPoolFaults, EveryAllocationOfAStartFailsOnce) {
  std::int64_t n = 1;
  for (;; ++n) {
    const FailNthAllocation failing(n);
    try {
      const ThreadPool pool(4);
      if (!failing.failed()) break;
      ADD_FAILURE() << "allocation " << n << " failed unseen";
    } catch (const std::bad_alloc&) {
      EXPECT_TRUE(failing.failed());
    }
  }
  EXPECT_GE(n, 5) << "the pool's state, the list of threads, something for each of three threads";
  ThreadPool pool(4);
  std::atomic<int> runs{0};
  pool.parallel_for(100, [&](std::int64_t, int) { runs.fetch_add(1); });
  EXPECT_EQ(runs.load(), 100);
}

}  // namespace
}  // namespace tca::testing
