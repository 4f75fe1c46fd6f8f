#include "tca/thread_pool.h"

#include <gtest/gtest.h>
#include <pthread.h>
#include <sched.h>

#include <atomic>
#include <mutex>
#include <set>
#include <stdexcept>
#include <thread>
#include <vector>

#include "core/expect_error.h"

namespace tca {
namespace {

TEST(ThreadPool, RunsEveryItemOnce) {
  for (const int threads : {1, 2, 5}) {
    ThreadPool pool(threads);
    EXPECT_EQ(pool.num_threads(), threads);
    for (const std::int64_t count : {0, 1, 2, 7, 1000}) {
      std::vector<std::atomic<int>> runs(static_cast<std::size_t>(count));
      pool.parallel_for(count, [&](std::int64_t i, int worker) {
        runs[static_cast<std::size_t>(i)].fetch_add(1);
        EXPECT_GE(worker, 0);
        EXPECT_LT(worker, threads);
      });
      for (const auto& each : runs) EXPECT_EQ(each.load(), 1);
    }
  }
}

TEST(ThreadPool, DefaultIsOneThreadPerUsableCpu) {
  cpu_set_t allowed;
  ASSERT_EQ(::sched_getaffinity(0, sizeof(allowed), &allowed), 0);
  EXPECT_EQ(ThreadPool().num_threads(), CPU_COUNT(&allowed));
  EXPECT_EQ(ThreadPool(-1).num_threads(), CPU_COUNT(&allowed));
}

TEST(ThreadPool, ThreadsReallyWorkTogether) {
  ThreadPool pool(3);
  // Every item waits until all three have started: one thread alone could never finish.
  std::atomic<int> started{0};
  std::set<int> workers;
  std::mutex mutex;
  pool.parallel_for(3, [&](std::int64_t, int worker) {
    started.fetch_add(1);
    while (started.load() < 3) std::this_thread::yield();
    const std::lock_guard lock(mutex);
    workers.insert(worker);
  });
  EXPECT_EQ(workers, (std::set<int>{0, 1, 2}));
}

TEST(ThreadPool, ItemsStartInAscendingOrder) {
  ThreadPool pool(2);
  std::mutex mutex;
  std::vector<std::int64_t> last(2, -1);
  pool.parallel_for(2000, [&](std::int64_t i, int worker) {
    const std::lock_guard lock(mutex);
    EXPECT_GT(i, last[static_cast<std::size_t>(worker)]);
    last[static_cast<std::size_t>(worker)] = i;
  });
}

TEST(ThreadPool, FirstExceptionIsRethrownAndTheRestDropped) {
  ThreadPool pool(2);
  for (int round = 0; round < 50; ++round) {
    std::atomic<int> runs{0};
    EXPECT_THROW(pool.parallel_for(1000000,
                                   [&](std::int64_t i, int) {
                                     runs.fetch_add(1);
                                     if (i == 10) throw std::out_of_range("item 10");
                                   }),
                 std::out_of_range);
    EXPECT_LT(runs.load(), 1000000);
    std::atomic<int> after{0};
    pool.parallel_for(100, [&](std::int64_t, int) { after.fetch_add(1); });
    EXPECT_EQ(after.load(), 100);
  }
}

TEST(ThreadPool, NestedCallsRunOnTheCallingThread) {
  ThreadPool pool(3);
  std::atomic<int> inner{0};
  pool.parallel_for(20, [&](std::int64_t, int worker) {
    const auto outer_thread = std::this_thread::get_id();
    pool.parallel_for(10, [&](std::int64_t, int nested_worker) {
      EXPECT_EQ(nested_worker, worker);
      EXPECT_EQ(std::this_thread::get_id(), outer_thread);
      inner.fetch_add(1);
    });
  });
  EXPECT_EQ(inner.load(), 200);
}

TEST(ThreadPool, NestedThroughAnotherPoolRunsOnTheCallingThread) {
  ThreadPool pool(2);
  ThreadPool between(1);
  std::atomic<int> inner{0};
  pool.parallel_for(4, [&](std::int64_t, int worker) {
    between.parallel_for(2, [&](std::int64_t, int) {
      pool.parallel_for(3, [&](std::int64_t, int nested_worker) {
        EXPECT_EQ(nested_worker, worker);
        inner.fetch_add(1);
      });
    });
  });
  EXPECT_EQ(inner.load(), 24);
}

TEST(ThreadPool, NestedExceptionsReachTheOuterCaller) {
  ThreadPool pool(2);
  EXPECT_THROW(
      pool.parallel_for(4, [&](std::int64_t, int) { pool.parallel_for(4, [](std::int64_t, int) { throw 7; }); }), int);
}

TEST(ThreadPool, ConcurrentCallersTakeTurns) {
  constexpr int kCallers = 4;
  ThreadPool pool(3);
  std::vector<std::atomic<int>> running(kCallers);  // items of each caller
  std::atomic<std::int64_t> sum{0};
  const auto call = [&](std::size_t caller) {
    for (int round = 0; round < 200; ++round) {
      pool.parallel_for(8, [&](std::int64_t i, int) {
        running[caller].fetch_add(1);
        for (std::size_t other = 0; other < kCallers; ++other) {
          EXPECT_TRUE(other == caller || running[other].load() == 0) << "two jobs at once";
        }
        sum.fetch_add(i);
        running[caller].fetch_sub(1);
      });
    }
  };
  std::vector<std::thread> callers;
  for (std::size_t caller = 0; caller < kCallers; ++caller) callers.emplace_back(call, caller);
  for (std::thread& each : callers) each.join();
  EXPECT_EQ(sum.load(), kCallers * 200 * 28);
}

TEST(ThreadPool, ManySmallJobsInARow) {
  ThreadPool pool(2);
  std::atomic<std::int64_t> sum{0};
  for (int round = 0; round < 20000; ++round) {
    pool.parallel_for(3, [&](std::int64_t i, int) { sum.fetch_add(i); });
  }
  EXPECT_EQ(sum.load(), 20000 * 3);
}

TEST(ThreadPool, AThreadThatCannotStart) {
  pthread_attr_t before, huge;
  ASSERT_EQ(pthread_getattr_default_np(&before), 0);
  ASSERT_EQ(pthread_attr_init(&huge), 0);
  // More address space than there is for a stack.
  ASSERT_EQ(pthread_attr_setstacksize(&huge, std::size_t{1} << 50), 0);
  ASSERT_EQ(pthread_setattr_default_np(&huge), 0);
  testing::expect_error(ErrorCategory::kIo, "cannot start 3 threads", [] { ThreadPool pool(3); });
  EXPECT_EQ(pthread_setattr_default_np(&before), 0);
  pthread_attr_destroy(&huge);
  pthread_attr_destroy(&before);
}

TEST(ThreadPool, RefusesNonsense) {
  testing::expect_error(ErrorCategory::kInvalidArgument, "num_threads is 1000000", [] { ThreadPool pool(1000000); });
  ThreadPool pool(1);
  testing::expect_error(ErrorCategory::kInvalidArgument, "task", [&] { pool.parallel_for(1, nullptr); });
}

}  // namespace
}  // namespace tca
