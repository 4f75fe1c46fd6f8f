// What a KvCache holds, for the files that implement it.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "core/kv_pages.h"
#include "tca/kv_cache.h"

namespace tca {

// Far above any model; they keep sums over lists within 64 bits.
inline constexpr std::int32_t kMaxKvLayers = 4096;
inline constexpr std::int32_t kMaxKvHeads = 4096;

constexpr std::int64_t pages_for(std::int64_t tokens) { return (tokens + kPageTokens - 1) / kPageTokens; }

/// Tokens of one head of one layer. All pages but the last are full.
struct KvList {
  std::vector<KvPage*> pages;
  std::int64_t length = 0;
  std::int64_t tail_begin = 0;
  std::size_t mirrored = 0;  // leading pages whose numbers the cache's mirror has

  std::int32_t tokens_in_page(std::size_t page) const {
    const std::int64_t held = length - static_cast<std::int64_t>(page) * kPageTokens;
    return static_cast<std::int32_t>(held < kPageTokens ? held : kPageTokens);
  }
  /// The next token goes to a page that other lists hold too.
  bool writes_shared() const { return length % kPageTokens != 0 && !pages.back()->exclusive(); }
  /// New pages that `count` more tokens need, the copy of a shared last page included.
  std::int64_t pages_to_append(std::int64_t count) const;
};

/// What a KvSavepoint goes back to. Stays with the cache, so that a token's savepoint allocates nothing.
struct KvUndo {
  struct List {
    std::int64_t length = 0, tail_begin = 0;
    KvPage* replaced = nullptr;  // the last page of then, once there is a copy in its place
  };
  bool open = false;
  std::vector<List> lists;
  std::vector<std::int64_t> num_tokens, settled;
  std::size_t num_spare = 0;
};

struct KvCache::Impl {
  Impl(std::shared_ptr<KvPool> kv_pool, const KvShape& kv_shape);
  ~Impl();
  Impl(const Impl&) = delete;
  Impl& operator=(const Impl&) = delete;

  void check_layer(std::int32_t layer) const;
  KvList& list(std::int32_t layer, std::int32_t kv_head);
  const KvList& list(std::int32_t layer, std::int32_t kv_head) const;

  /// Slots [first, new_length) take over what is in source(slot) > slot, ascending; the list then ends there. Throws
  /// with nothing changed.
  template <class Source>
  void compact(KvList& list, std::int64_t first, std::int64_t new_length, const Source& source);
  /// The list ends at new_length.
  void shorten(KvList& list, std::int64_t new_length) noexcept;

  /// The i-th list's last page, which others hold too, gives way to a page of its own.
  void replace_last(std::size_t i, KvPage* page) noexcept;

  /// Makes sure of `count` spare pages; throws with nothing changed.
  void reserve_spare(std::int64_t count);
  KvPage* take_spare() noexcept;

  std::shared_ptr<KvPool> pool;
  KvPages* pages;  // the pool's
  KvShape shape;
  std::vector<std::int64_t> num_tokens;  // [num_layers]
  std::vector<std::int64_t> settled;     // [num_layers] what num_tokens was when tokens were last thinned or chosen
  std::vector<KvList> lists;             // [num_layers * num_kv_heads]
  std::vector<KvPage*> spare;            // acquired, in no list yet
  KvUndo undo;
  std::unique_ptr<KvMirror> mirror;  // a device's; made when it first needs one
};

struct KvCacheAccess {
  using Impl = KvCache::Impl;
  static KvCache::Impl& impl(const KvCache& cache) { return *cache.impl_; }
  /// One more token for every head of every layer, whose K and V somebody else writes into the last slots. Takes
  /// reserved pages; throws with nothing changed.
  static void extend(KvCache& cache);
};

}  // namespace tca
