// Tells the caller of a long read how far it is, and carries the wish to stop to whoever works.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <exception>
#include <mutex>
#include <thread>

#include "runtime/engine/session.h"

namespace tca::runtime {

/// A helper thread calls progress every 50 ms, so that neither a report nor a stop has to wait for the end of a layer's
/// attention, which takes minutes for a long prompt on a few cores. Without a progress function there is no thread.
class ReadMonitor {
 public:
  ReadMonitor(const Progress& progress, std::int64_t total);
  ~ReadMonitor();
  ReadMonitor(const ReadMonitor&) = delete;
  ReadMonitor& operator=(const ReadMonitor&) = delete;

  /// Somebody wants to know how far the read is.
  bool watched() const { return static_cast<bool>(progress_); }
  void add(std::int64_t units) { done_.fetch_add(units, std::memory_order_relaxed); }
  /// Throws kCancelled, or what progress threw, once the caller wants to stop.
  void check();
  /// Becomes true then; for kernels.
  const std::atomic<bool>* cancel() const { return &cancel_; }
  /// The last report, (total, total), on the calling thread; may still throw as check() does.
  void finish();

 private:
  void watch();
  void report(std::int64_t done);
  void join();

  const Progress& progress_;
  const std::int64_t total_;
  std::atomic<std::int64_t> done_{0};
  std::atomic<bool> cancel_{false};
  std::mutex mutex_;  // guards what follows
  std::condition_variable wake_;
  bool over_ = false;
  std::exception_ptr failure_;
  std::thread watcher_;
};

}  // namespace tca::runtime
