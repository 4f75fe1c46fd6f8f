#include "tca/thread_pool.h"

#include <sched.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <exception>
#include <mutex>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#include "core/check.h"

namespace tca {
namespace {

constexpr int kMaxThreads = 4096;

// Waking a sleeping thread costs about 50 us; kernels of a decode step follow each other within that time.
constexpr auto kSpinTime = std::chrono::microseconds(50);

void pause_briefly() {
#if defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

template <class Condition>
void spin_until(const Condition& condition) {
  const auto deadline = std::chrono::steady_clock::now() + kSpinTime;
  while (!condition() && std::chrono::steady_clock::now() < deadline) {
    for (int i = 0; i < 16; ++i) pause_briefly();
  }
}

int usable_threads() {
  cpu_set_t allowed;
  if (::sched_getaffinity(0, sizeof(allowed), &allowed) == 0) return std::max(CPU_COUNT(&allowed), 1);
  return std::max(static_cast<int>(std::thread::hardware_concurrency()), 1);
}

// The pools whose task the current thread is running, innermost first.
struct Frame {
  const void* pool;
  int worker;
  const Frame* outer;
};
thread_local const Frame* current_frame = nullptr;

class ScopedFrame {
 public:
  ScopedFrame(const void* pool, int worker) : frame_{pool, worker, current_frame} { current_frame = &frame_; }
  ~ScopedFrame() { current_frame = frame_.outer; }
  ScopedFrame(const ScopedFrame&) = delete;
  ScopedFrame& operator=(const ScopedFrame&) = delete;

 private:
  Frame frame_;
};

}  // namespace

struct ThreadPool::State {
  using Task = std::function<void(std::int64_t, int)>;

  std::mutex turn;  // held by the caller whose job is running

  std::mutex mutex;  // guards what follows, except where atomics are read by spinning threads
  std::condition_variable start;
  std::condition_variable done;
  std::atomic<std::uint64_t> generation{0};  // counts jobs
  std::atomic<bool> stop{false};
  bool open = false;           // workers may join the current job
  std::atomic<int> active{0};  // workers that joined and have not left
  const Task* task = nullptr;
  std::int64_t count = 0;
  std::exception_ptr failure;

  std::atomic<std::int64_t> next{0};
  std::vector<std::thread> threads;

  void run_items(int worker) {
    const ScopedFrame frame(this, worker);
    for (std::int64_t i = next.fetch_add(1); i < count; i = next.fetch_add(1)) {
      try {
        (*task)(i, worker);
      } catch (...) {
        next.store(count);
        const std::lock_guard lock(mutex);
        if (!failure) failure = std::current_exception();
      }
    }
  }

  void work(int worker) {
    std::uint64_t seen = 0;
    for (;;) {
      spin_until([&] { return stop.load() || generation.load() != seen; });
      std::unique_lock lock(mutex);
      start.wait(lock, [&] { return stop.load() || generation.load() != seen; });
      if (stop.load()) return;
      seen = generation.load();
      if (!open) continue;  // woke up after the job was over
      active.fetch_add(1);
      lock.unlock();
      run_items(worker);
      lock.lock();
      if (active.fetch_sub(1) == 1 && !open) done.notify_one();
    }
  }

  void run_job(std::int64_t job_count, const Task& job_task) {
    const std::lock_guard take_turn(turn);
    {
      const std::lock_guard lock(mutex);
      task = &job_task;
      count = job_count;
      failure = nullptr;
      next.store(0);
      open = true;
      generation.fetch_add(1);
    }
    start.notify_all();
    run_items(0);
    {
      // Nothing is left to take: a worker that has not woken up yet need not be waited for.
      const std::lock_guard lock(mutex);
      open = false;
    }
    spin_until([&] { return active.load() == 0; });
    std::unique_lock lock(mutex);
    done.wait(lock, [&] { return active.load() == 0; });
    task = nullptr;
    if (failure) std::rethrow_exception(std::exchange(failure, nullptr));
  }

  void join() {
    {
      const std::lock_guard lock(mutex);
      stop.store(true);
    }
    start.notify_all();
    for (std::thread& thread : threads) thread.join();
  }
};

ThreadPool::ThreadPool(int num_threads) : state_(std::make_unique<State>()) {
  check_argument(num_threads <= kMaxThreads, "num_threads is ", num_threads, "; at most ", kMaxThreads, " are allowed");
  const int total = num_threads > 0 ? num_threads : std::min(usable_threads(), kMaxThreads);
  try {
    state_->threads.reserve(static_cast<std::size_t>(total - 1));
    for (int worker = 1; worker < total; ++worker) {
      state_->threads.emplace_back([state = state_.get(), worker] { state->work(worker); });
    }
  } catch (const std::system_error& error) {
    state_->join();
    fail(ErrorCategory::kIo, text("cannot start ", total, " threads: ", error.what(), "; ask for fewer"));
  } catch (...) {
    state_->join();
    throw;
  }
}

ThreadPool::~ThreadPool() { state_->join(); }

int ThreadPool::num_threads() const noexcept { return static_cast<int>(state_->threads.size()) + 1; }

void ThreadPool::parallel_for(std::int64_t count, const std::function<void(std::int64_t, int)>& task) {
  check_argument(task != nullptr, "parallel_for: the task is empty");
  const Frame* inside = current_frame;
  while (inside != nullptr && inside->pool != state_.get()) inside = inside->outer;
  if (inside != nullptr) {
    for (std::int64_t i = 0; i < count; ++i) task(i, inside->worker);
    return;
  }
  if (count > 0) state_->run_job(count, task);
}

}  // namespace tca
