#include "runtime/engine/read_monitor.h"

#include <algorithm>
#include <chrono>

#include "core/check.h"

namespace tca::runtime {
namespace {

constexpr auto kPeriod = std::chrono::milliseconds(50);

}  // namespace

ReadMonitor::ReadMonitor(const Progress& progress, std::int64_t total) : progress_(progress), total_(total) {
  if (progress_) watcher_ = std::thread([this] { watch(); });
}

ReadMonitor::~ReadMonitor() { join(); }

void ReadMonitor::watch() {
  std::unique_lock lock(mutex_);
  while (!over_ && !cancel_.load()) {
    lock.unlock();
    report(std::min(done_.load(std::memory_order_relaxed), total_));
    lock.lock();
    wake_.wait_for(lock, kPeriod, [this] { return over_; });
  }
}

void ReadMonitor::report(std::int64_t done) {
  try {
    if (!progress_(done, total_)) cancel_.store(true);
  } catch (...) {
    const std::lock_guard lock(mutex_);
    failure_ = std::current_exception();
    cancel_.store(true);
  }
}

void ReadMonitor::check() {
  if (!cancel_.load()) return;
  join();
  if (failure_) std::rethrow_exception(failure_);
  fail(ErrorCategory::kCancelled, "reading was stopped; the session is as it was before");
}

void ReadMonitor::finish() {
  join();
  check();
  if (progress_) report(total_);
  check();
}

void ReadMonitor::join() {
  {
    const std::lock_guard lock(mutex_);
    over_ = true;
  }
  wake_.notify_all();
  if (watcher_.joinable()) watcher_.join();
}

}  // namespace tca::runtime
