// A fixed set of worker threads shared by the kernels of a backend and the runtime above it.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>

#include "tca/version.h"

namespace tca {

/// Work items are taken from one atomic counter in ascending order, so that callers who put the longest item first get
/// a balanced schedule. Which thread runs an item is not defined; results must not depend on it.
class TCA_API ThreadPool {
 public:
  /// num_threads <= 0: one per hardware thread the process may use. The calling thread is one of them.
  explicit ThreadPool(int num_threads = 0);
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  int num_threads() const noexcept;

  /// Calls task(index, worker) for index in [0, count), worker in [0, num_threads()). Returns when all are done. The
  /// first exception a task throws is rethrown here; items not yet started are dropped. Not reentrant from inside a
  /// task (a nested call runs its items on the calling thread); calls from several threads take turns.
  void parallel_for(std::int64_t count, const std::function<void(std::int64_t index, int worker)>& task);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace tca
