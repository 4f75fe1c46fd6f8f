// What the GPU knows of a cache: per layer and KV head the numbers of its pages, and how many tokens they hold. The
// host is right; this follows it.
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <vector>

#include "core/kv_cache_impl.h"
#include "cuda/device.h"
#include "cuda/kv/device_pages.h"
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
  PageTables(Memory& memory, const KvShape& shape);
  /// Tables that hold the longest list.
  void make_room(KvCacheAccess::Impl& cache);

  std::int32_t num_layers_, num_kv_heads_;
  std::int32_t max_pages_ = 0;
  MemoryBlock tables_;   // [num_layers, num_kv_heads, max_pages] int32
  MemoryBlock lengths_;  // [num_layers, num_kv_heads] int32
};

/// Brings tables up to date: what has changed in any number of a pool's caches travels in one copy, and one kernel puts
/// it in its places. Both are queued on the pool's stream, so who reads on another one follows that. Readers that share
/// a cache take turns: one update of a pool lives at a time.
class PageTableUpdate {
 public:
  struct Entry {
    std::int32_t* address;  // on the device
    std::int32_t value;
  };

  explicit PageTableUpdate(DevicePages& pages) : device_(pages.device()), lock_(pages.tables_mutex()) {}

  /// Layers [first, last) of a cache. May reallocate its tables.
  void add(const KvCache& cache, std::int32_t first_layer, std::int32_t last_layer);
  /// Queues copy and kernel.
  void run();

 private:
  Device& device_;
  std::unique_lock<std::mutex> lock_;
  std::vector<Entry> entries_;
};

}  // namespace tca::cuda
