#include "core/kv_savepoint.h"

#include <algorithm>

namespace tca {

KvSavepoint::KvSavepoint(KvCache& cache) : cache_(&KvCacheAccess::impl(cache)) {
  KvUndo& undo = cache_->undo;
  undo.lists.clear();
  undo.lists.reserve(cache_->lists.size());
  undo.num_tokens = cache_->num_tokens;
  undo.settled = cache_->settled;
  // Nothing throws from here on.
  for (const KvList& list : cache_->lists) undo.lists.push_back({list.length, list.tail_begin, nullptr});
  undo.num_spare = cache_->spare.size();
  undo.open = true;
}

KvSavepoint::~KvSavepoint() {
  if (cache_ == nullptr) return;
  KvUndo& undo = cache_->undo;
  // Spare pages that were used are spare again; their list has room for as many as it had.
  const auto take_back = [&](KvPage* page) {
    if (cache_->spare.size() < undo.num_spare && page->exclusive()) {
      cache_->spare.push_back(page);
    } else {
      cache_->pages->release(page);
    }
  };
  for (std::size_t i = 0; i < cache_->lists.size(); ++i) {
    KvList& list = cache_->lists[i];
    const KvUndo::List& before = undo.lists[i];
    const auto pages = static_cast<std::size_t>(pages_for(before.length));
    for (; list.pages.size() > pages; list.pages.pop_back()) take_back(list.pages.back());
    if (before.replaced != nullptr) {
      take_back(list.pages.back());
      list.pages.back() = before.replaced;
    }
    list.mirrored = std::min(list.mirrored, before.replaced != nullptr ? pages - 1 : pages);
    list.length = before.length;
    list.tail_begin = before.tail_begin;
  }
  while (cache_->spare.size() > undo.num_spare) cache_->pages->release(cache_->take_spare());
  cache_->num_tokens.swap(undo.num_tokens);
  cache_->settled.swap(undo.settled);
  undo.open = false;
}

void KvSavepoint::keep() noexcept {
  KvUndo& undo = cache_->undo;
  for (const KvUndo::List& before : undo.lists) {
    if (before.replaced != nullptr) cache_->pages->release(before.replaced);
  }
  undo.open = false;
  cache_ = nullptr;
}

}  // namespace tca
