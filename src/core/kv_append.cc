#include "core/kv_append.h"

#include <algorithm>

namespace tca {

KvAppend::KvAppend(KvCacheAccess::Impl& cache, std::size_t first_list, std::span<const std::int64_t> counts)
    : cache_(cache), first_list_(first_list), growths_(counts.size()) {
  std::size_t num_fresh = 0, num_targets = 0, num_moves = 0;
  for (std::size_t i = 0; i < counts.size(); ++i) {
    KvList& grown = list(i);
    Growth& growth = growths_[i];
    growth.count = counts[i];
    if (counts[i] == 0) continue;
    const auto pages = static_cast<std::size_t>(pages_for(grown.length + counts[i]));
    const auto full = static_cast<std::size_t>(grown.length / kPageTokens);
    growth.replaces = grown.writes_shared();
    growth.first_target = num_targets;
    growth.num_targets = pages - full;
    num_targets += growth.num_targets;
    num_fresh += pages - grown.pages.size() + (growth.replaces ? 1 : 0);
    if (growth.replaces) num_moves += static_cast<std::size_t>(grown.length % kPageTokens);
    // Doubling, because reserve() alone would copy the list for every page of a long decode.
    if (pages > grown.pages.capacity()) grown.pages.reserve(std::max(pages, 2 * grown.pages.capacity()));
  }
  targets_.reserve(num_targets);
  moves_.reserve(num_moves);
  const std::size_t num_spare = std::min(num_fresh, cache_.spare.size());
  fresh_ = cache_.pages->acquire(static_cast<std::int64_t>(num_fresh - num_spare));
  // Nothing throws from here on.
  for (std::size_t i = 0; i < counts.size(); ++i) {
    const KvList& grown = list(i);
    const Growth& growth = growths_[i];
    const auto full = static_cast<std::size_t>(grown.length / kPageTokens);
    for (std::size_t t = 0; t < growth.num_targets; ++t) {
      const bool has_page = full + t < grown.pages.size() && !growth.replaces;
      targets_.push_back(has_page ? grown.pages[full + t] : next_page());
    }
    if (!growth.replaces) continue;
    KvPage* const from = grown.pages.back();
    KvPage* const to = targets_[growth.first_target];
    const auto slots = static_cast<std::int32_t>(grown.length % kPageTokens);
    std::copy_n(cache_.pages->positions(from), slots, cache_.pages->positions(to));
    for (std::int32_t slot = 0; slot < slots; ++slot) moves_.push_back({from, to, slot, slot});
  }
}

KvAppend::~KvAppend() {
  for (KvPage* page : fresh_) cache_.pages->release(page);
}

/// Spare ones first, from the end on, where they leave when this is committed.
KvPage* KvAppend::next_page() noexcept {
  const std::size_t num_spare = cache_.spare.size();
  if (used_spare_ < num_spare) return cache_.spare[num_spare - ++used_spare_];
  return fresh_[used_fresh_++];
}

std::int32_t& KvAppend::position(std::size_t i, std::int64_t j) const {
  const std::int64_t slot = first_slot(i) + j;
  return cache_.pages->positions(pages(i)[slot / kPageTokens])[slot % kPageTokens];
}

void KvAppend::move_shared() {
  if (!moves_.empty()) cache_.pages->move(moves_);
}

void KvAppend::commit() noexcept {
  for (std::size_t i = 0; i < growths_.size(); ++i) {
    KvList& grown = list(i);
    const Growth& growth = growths_[i];
    const auto full = static_cast<std::size_t>(grown.length / kPageTokens);
    if (growth.replaces) cache_.replace_last(first_list_ + i, targets_[growth.first_target]);
    for (std::size_t t = grown.pages.size() - full; t < growth.num_targets; ++t) {
      grown.pages.push_back(targets_[growth.first_target + t]);
    }
    grown.length += growth.count;
  }
  cache_.spare.resize(cache_.spare.size() - used_spare_);
  fresh_.clear();
  growths_.clear();
}

}  // namespace tca
