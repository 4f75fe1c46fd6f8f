// KvCache::thin, truncate and clear: what takes tokens out of page lists.
#include <algorithm>

#include "core/check.h"
#include "core/kv_cache_impl.h"

namespace tca {
namespace {

/// Pages that no list holds yet; what is not taken is given back.
class FreshPages {
 public:
  FreshPages(KvPages& pages, std::int64_t count) : pages_(pages), fresh_(pages.acquire(count)) {}
  ~FreshPages() {
    for (KvPage* page : fresh_) pages_.release(page);
  }
  FreshPages(const FreshPages&) = delete;
  FreshPages& operator=(const FreshPages&) = delete;

  KvPage* operator[](std::size_t i) const { return fresh_[i]; }
  void take() noexcept { fresh_.clear(); }

 private:
  KvPages& pages_;
  std::vector<KvPage*> fresh_;
};

}  // namespace

template <class Source>
void KvCache::Impl::compact(KvList& list, std::int64_t first, std::int64_t new_length, const Source& source) {
  const auto pages_left = static_cast<std::size_t>(pages_for(new_length));
  const auto written = static_cast<std::size_t>(first < new_length ? first / kPageTokens : pages_for(new_length));
  // Tokens only move down, so a page of our own can be overwritten while it is read; a shared one is replaced.
  std::vector<KvPage*> target(list.pages.begin(), list.pages.begin() + static_cast<std::ptrdiff_t>(pages_left));
  std::vector<std::size_t> replaced;
  for (std::size_t p = written; p < pages_left; ++p) {
    if (!target[p]->exclusive()) replaced.push_back(p);
  }
  std::vector<KvMove> moves;
  moves.reserve(static_cast<std::size_t>(kPageTokens + new_length - first));
  FreshPages fresh(*pages, static_cast<std::int64_t>(replaced.size()));
  for (std::size_t i = 0; i < replaced.size(); ++i) target[replaced[i]] = fresh[i];
  const auto slot_of = [](std::int64_t slot) { return static_cast<std::int32_t>(slot % kPageTokens); };
  const auto page_of = [](std::int64_t slot) { return static_cast<std::size_t>(slot / kPageTokens); };
  if (!replaced.empty() && replaced.front() == written) {
    for (std::int32_t slot = 0; slot < slot_of(first); ++slot) {
      moves.push_back({list.pages[written], target[written], slot, slot});
    }
  }
  for (std::int64_t to = first; to < new_length; ++to) {
    const std::int64_t from = source(to);
    moves.push_back({list.pages[page_of(from)], target[page_of(to)], slot_of(from), slot_of(to)});
  }
  if (!moves.empty()) pages->move(moves);
  // Nothing throws from here on.
  for (const KvMove& m : moves) pages->positions(m.to)[m.to_slot] = pages->positions(m.from)[m.from_slot];
  for (std::size_t p = 0; p < list.pages.size(); ++p) {
    if (p >= pages_left || target[p] != list.pages[p]) pages->release(list.pages[p]);
  }
  fresh.take();
  list.pages = std::move(target);
  list.length = new_length;
  list.mirrored = std::min(list.mirrored, written);
}

void KvCache::Impl::shorten(KvList& list, std::int64_t new_length) noexcept {
  for (const auto left = static_cast<std::size_t>(pages_for(new_length)); list.pages.size() > left;) {
    pages->release(list.pages.back());
    list.pages.pop_back();
  }
  list.length = new_length;
  list.mirrored = std::min(list.mirrored, list.pages.size());
}

void KvCache::thin(std::int32_t layer, std::int32_t kv_head, std::int64_t count, std::span<const std::int32_t> keep) {
  KvList& list = impl_->list(layer, kv_head);
  const std::int64_t tail = list.length - list.tail_begin;
  check_argument(count >= 0 && count <= tail, "count is ", count, "; the tail has ", tail, " tokens");
  std::int64_t in_place = 0;  // leading tokens that do not move
  for (std::size_t i = 0; i < keep.size(); ++i) {
    check_argument(keep[i] >= 0 && keep[i] < count && (i == 0 || keep[i] > keep[i - 1]), "keep[", i, "] is ", keep[i],
                   "; expected ascending offsets in [0, ", count, ")");
    if (keep[i] == static_cast<std::int32_t>(i)) ++in_place;
  }
  if (count == 0) return;
  const auto kept = static_cast<std::int64_t>(keep.size());
  const std::int64_t dropped = count - kept;
  if (dropped > 0) {
    const std::int64_t begin = list.tail_begin;
    impl_->compact(list, begin + in_place, list.length - dropped, [&](std::int64_t slot) {
      const std::int64_t i = slot - begin;
      return i < kept ? begin + keep[static_cast<std::size_t>(i)] : slot + dropped;
    });
  }
  list.tail_begin += kept;
  const auto at = static_cast<std::size_t>(layer);
  impl_->settled[at] = impl_->num_tokens[at];
}

std::int64_t KvCache::truncation_limit() const {
  return *std::max_element(impl_->settled.begin(), impl_->settled.end());
}

void KvCache::truncate(std::int64_t num_tokens) {
  for (std::int32_t layer = 0; layer < impl_->shape.num_layers; ++layer) {
    const auto at = static_cast<std::size_t>(layer);
    const std::int64_t seen = impl_->num_tokens[at], settled = impl_->settled[at];
    check_argument(num_tokens >= 0 && num_tokens <= seen, "truncate: num_tokens is ", num_tokens, ", but layer ", layer,
                   " has seen ", seen, " tokens");
    check_argument(num_tokens == 0 || num_tokens >= settled, "truncate: num_tokens is ", num_tokens, ", but at ",
                   settled, " tokens layer ", layer, " dropped some, which do not come back; expected 0, or ", settled,
                   " to ", seen);
  }
  // Since then every list was given every token. Nothing throws from here on.
  const auto heads = static_cast<std::size_t>(impl_->shape.num_kv_heads);
  for (std::size_t i = 0; i < impl_->lists.size(); ++i) {
    KvList& list = impl_->lists[i];
    impl_->shorten(list, num_tokens == 0 ? 0 : list.length - (impl_->num_tokens[i / heads] - num_tokens));
    if (num_tokens == 0) list.tail_begin = 0;
  }
  std::fill(impl_->num_tokens.begin(), impl_->num_tokens.end(), num_tokens);
  if (num_tokens == 0) std::fill(impl_->settled.begin(), impl_->settled.end(), 0);
}

void KvCache::clear() noexcept {
  truncate(0);
  while (!impl_->spare.empty()) impl_->pages->release(impl_->take_spare());
}

}  // namespace tca
