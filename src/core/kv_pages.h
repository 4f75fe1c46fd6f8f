// Pages of a KvPool: reference-counted blocks of one allocation each.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "tca/kv_cache.h"

namespace tca {

inline constexpr std::int32_t kMaxKvHeadDim = 65536;

/// Start of a page's allocation. K, V and positions follow at the pool's offsets.
struct KvPage {
  std::atomic<std::int32_t> owners{1};  // page lists that hold this page

  void share() noexcept { owners.fetch_add(1, std::memory_order_relaxed); }
  /// True when nobody else holds the page. The acquire pairs with release(): what the last other owner did is over.
  bool exclusive() const noexcept { return owners.load(std::memory_order_acquire) == 1; }
};

/// Gives out and takes back the pages of one pool. Thread-safe.
struct KvPages {
  std::size_t budget = 0;
  std::int32_t head_dim = 0;
  DType dtype = DType::kBF16;
  PageLayout layout = PageLayout::kRows;
  std::size_t row_bytes = 0;  // one token's K (or V)
  std::size_t v_offset = 0;
  std::size_t positions_offset = 0;
  std::size_t page_bytes = 0;
  std::atomic<std::size_t> used{0};

  static constexpr std::size_t kAlignment = 64;  // a cache line, and the widest vector
  static constexpr std::size_t kKOffset = kAlignment;

  std::byte* k(KvPage* page) const noexcept { return reinterpret_cast<std::byte*>(page) + kKOffset; }
  std::byte* v(KvPage* page) const noexcept { return reinterpret_cast<std::byte*>(page) + v_offset; }
  std::int32_t* positions(KvPage* page) const noexcept {
    return reinterpret_cast<std::int32_t*>(reinterpret_cast<std::byte*>(page) + positions_offset);
  }

  /// `count` new pages with one owner each, or kOutOfBudget and none.
  std::vector<KvPage*> acquire(std::int64_t count);
  void release(KvPage* page) noexcept;
  /// Copies K, V and positions of `count` tokens; the slots do not overlap.
  void copy_tokens(KvPage* from, std::int64_t from_slot, KvPage* to, std::int64_t to_slot,
                   std::int64_t count) const noexcept;
};

struct KvPool::Impl : KvPages {};

}  // namespace tca
