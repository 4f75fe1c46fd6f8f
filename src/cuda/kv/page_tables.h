// What the GPU knows of a cache: per layer and KV head the numbers of its pages, and how many tokens they hold. The
// host is right; this follows it.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "core/kv_cache_impl.h"
#include "cuda/device.h"
#include "cuda/params.h"

namespace tca::cuda {

class PageTables final : public KvMirror {
 public:
  /// The cache's, made when it has none.
  static PageTables& of(const KvCache& cache);

  /// Addresses in GPU memory; they change when a list outgrows the table.
  PagedSequence layer(std::int32_t layer) const;

 private:
  friend class PageTableUpdate;
  explicit PageTables(const KvShape& shape);
  /// Tables that hold the longest list.
  void make_room(KvCacheAccess::Impl& cache);

  std::int32_t num_layers_, num_kv_heads_;
  std::int32_t max_pages_ = 0;
  MemoryBlock tables_;   // [num_layers, num_kv_heads, max_pages] int32
  MemoryBlock lengths_;  // [num_layers, num_kv_heads] int32
};

/// Brings tables up to date: what has changed in any number of caches travels in one copy, and one kernel puts it in
/// its places.
class PageTableUpdate {
 public:
  struct Entry {
    std::int32_t* address;  // on the device
    std::int32_t value;
  };

  /// Layers [first, last) of a cache. May reallocate its tables.
  void add(const KvCache& cache, std::int32_t first_layer, std::int32_t last_layer);
  /// Queues copy and kernel on the device's stream.
  void run();

 private:
  std::vector<Entry> entries_;
};

}  // namespace tca::cuda
