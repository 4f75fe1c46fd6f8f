// Several operations on caches that happen wholly or not at all.
#pragma once

#include <utility>

#include "core/kv_cache_impl.h"

namespace tca {

/// What is stored in a cache while this is open, in any layers, leaves again at its end unless keep() was called:
/// lists, pages, reserved pages and accounts are then what they were. Storing, extending and reserving are allowed
/// meanwhile, nothing that takes tokens out; one a cache at a time.
class KvSavepoint {
 public:
  /// Throws bad_alloc with nothing changed.
  explicit KvSavepoint(KvCache& cache);
  KvSavepoint(KvSavepoint&& other) noexcept : cache_(std::exchange(other.cache_, nullptr)) {}
  KvSavepoint& operator=(KvSavepoint&&) = delete;
  ~KvSavepoint();

  void keep() noexcept;

 private:
  KvCacheAccess::Impl* cache_;
};

}  // namespace tca
