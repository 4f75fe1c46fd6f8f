// Growing page lists so that it happens wholly or not at all.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "core/kv_cache_impl.h"

namespace tca {

/// Tokens to be appended to lists that follow one another. Everything they need is taken beforehand: until commit()
/// nothing has changed that anybody sees, and commit() cannot fail. Without it all is given back.
class KvAppend {
 public:
  /// counts[i] tokens for list first_list + i. Throws when a page or memory is missing.
  KvAppend(KvCacheAccess::Impl& cache, std::size_t first_list, std::span<const std::int64_t> counts);
  ~KvAppend();
  KvAppend(const KvAppend&) = delete;
  KvAppend& operator=(const KvAppend&) = delete;

  /// The pages that the new tokens of the i-th list go to, from slot first_slot(i) of the first one on. They are not
  /// shared, and what they hold in those slots belongs to nobody.
  KvPage* const* pages(std::size_t i) const { return targets_.data() + growths_[i].first_target; }
  std::int64_t first_slot(std::size_t i) const { return list(i).length % kPageTokens; }
  /// Position of the j-th new token of the i-th list.
  std::int32_t& position(std::size_t i, std::int64_t j) const;

  /// Copies what pages that were shared hold already to the pages that replace them.
  void move_shared();
  void commit() noexcept;

 private:
  struct Growth {
    std::int64_t count = 0;
    std::size_t first_target = 0, num_targets = 0;
    bool replaces = false;  // the first target takes the place of a shared page
  };
  KvList& list(std::size_t i) const { return cache_.lists[first_list_ + i]; }
  KvPage* next_page() noexcept;

  KvCacheAccess::Impl& cache_;
  const std::size_t first_list_;
  std::vector<Growth> growths_;
  std::vector<KvPage*> targets_;
  std::vector<KvMove> moves_;
  std::vector<KvPage*> fresh_;  // acquired for this; the rest comes from the cache's spare pages
  std::size_t used_spare_ = 0, used_fresh_ = 0;
};

}  // namespace tca
