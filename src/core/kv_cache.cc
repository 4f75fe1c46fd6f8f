#include "tca/kv_cache.h"

#include <algorithm>
#include <utility>

#include "core/check.h"
#include "core/kv_cache_impl.h"

namespace tca {

KvCache::Impl::Impl(std::shared_ptr<KvPool> kv_pool, const KvShape& kv_shape)
    : pool(std::move(kv_pool)), pages(nullptr), shape(kv_shape) {
  check_argument(pool != nullptr, "the KV pool is null");
  check_argument(shape.num_layers >= 1 && shape.num_layers <= kMaxKvLayers, "num_layers is ", shape.num_layers,
                 "; expected 1 to ", kMaxKvLayers);
  check_argument(shape.num_kv_heads >= 1 && shape.num_kv_heads <= kMaxKvHeads, "num_kv_heads is ", shape.num_kv_heads,
                 "; expected 1 to ", kMaxKvHeads);
  check_argument(shape.head_dim == pool->head_dim(), "head_dim is ", shape.head_dim, "; the KV pool's is ",
                 pool->head_dim());
  check_argument(shape.dtype == pool->dtype(), "dtype is ", shape.dtype, "; the KV pool's is ", pool->dtype());
  pages = &KvPoolAccess::pages(*pool);
  num_tokens.resize(static_cast<std::size_t>(shape.num_layers));
  lists.resize(num_tokens.size() * static_cast<std::size_t>(shape.num_kv_heads));
}

std::int64_t KvList::pages_to_append(std::int64_t count) const {
  if (count == 0) return 0;
  return pages_for(length + count) - static_cast<std::int64_t>(pages.size()) + (writes_shared() ? 1 : 0);
}

KvCache::Impl::~Impl() {
  for (KvList& each : lists) {
    for (KvPage* page : each.pages) pages->release(page);
  }
  for (KvPage* page : spare) pages->release(page);
}

void KvCache::Impl::reserve_spare(std::int64_t count) {
  const std::int64_t missing = count - static_cast<std::int64_t>(spare.size());
  if (missing <= 0) return;
  spare.reserve(static_cast<std::size_t>(count));
  const std::vector<KvPage*> acquired = pages->acquire(missing);
  spare.insert(spare.end(), acquired.begin(), acquired.end());
}

KvPage* KvCache::Impl::take_spare() noexcept {
  KvPage* const page = spare.back();
  spare.pop_back();
  return page;
}

void KvCache::Impl::check_layer(std::int32_t layer) const {
  check_argument(layer >= 0 && layer < shape.num_layers, "layer is ", layer, "; the KV cache has ", shape.num_layers);
}

const KvList& KvCache::Impl::list(std::int32_t layer, std::int32_t kv_head) const {
  check_layer(layer);
  check_argument(kv_head >= 0 && kv_head < shape.num_kv_heads, "kv_head is ", kv_head, "; the KV cache has ",
                 shape.num_kv_heads);
  return lists[static_cast<std::size_t>(layer) * static_cast<std::size_t>(shape.num_kv_heads) +
               static_cast<std::size_t>(kv_head)];
}

KvList& KvCache::Impl::list(std::int32_t layer, std::int32_t kv_head) {
  return const_cast<KvList&>(std::as_const(*this).list(layer, kv_head));
}

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
  const std::vector<KvPage*> fresh = pages->acquire(static_cast<std::int64_t>(replaced.size()));
  // Nothing throws from here on.
  for (std::size_t i = 0; i < replaced.size(); ++i) target[replaced[i]] = fresh[i];
  std::vector<KvMove> moves;
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
  for (const KvMove& m : moves) pages->positions(m.to)[m.to_slot] = pages->positions(m.from)[m.from_slot];
  if (!moves.empty()) pages->move(moves);
  for (std::size_t p = 0; p < list.pages.size(); ++p) {
    if (p >= pages_left || target[p] != list.pages[p]) pages->release(list.pages[p]);
  }
  list.pages = std::move(target);
  list.length = new_length;
  list.mirrored = std::min(list.mirrored, written);
}

KvCache::KvCache(std::shared_ptr<KvPool> pool, const KvShape& shape)
    : impl_(std::make_unique<Impl>(std::move(pool), shape)) {}
KvCache::KvCache(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
KvCache::~KvCache() = default;
KvCache::KvCache(KvCache&&) noexcept = default;
KvCache& KvCache::operator=(KvCache&&) noexcept = default;

const KvShape& KvCache::shape() const noexcept { return impl_->shape; }
const std::shared_ptr<KvPool>& KvCache::pool() const noexcept { return impl_->pool; }

std::int64_t KvCache::num_tokens(std::int32_t layer) const {
  impl_->check_layer(layer);
  return impl_->num_tokens[static_cast<std::size_t>(layer)];
}

std::int64_t KvCache::length(std::int32_t layer, std::int32_t kv_head) const {
  return impl_->list(layer, kv_head).length;
}

std::int32_t KvCache::num_pages(std::int32_t layer, std::int32_t kv_head) const {
  return static_cast<std::int32_t>(impl_->list(layer, kv_head).pages.size());
}

std::int64_t KvCache::tail_begin(std::int32_t layer, std::int32_t kv_head) const {
  return impl_->list(layer, kv_head).tail_begin;
}

KvPageView KvCache::page(std::int32_t layer, std::int32_t kv_head, std::int32_t index) const {
  const KvList& list = impl_->list(layer, kv_head);
  const auto i = static_cast<std::size_t>(index);
  check_argument(index >= 0 && i < list.pages.size(), "page is ", index, "; this head has ", list.pages.size());
  KvPage* const page = list.pages[i];
  return {impl_->pages->k(page), impl_->pages->v(page), impl_->pages->positions(page), list.tokens_in_page(i)};
}

std::int32_t KvCache::position(std::int32_t layer, std::int32_t kv_head, std::int64_t slot) const {
  const KvList& list = impl_->list(layer, kv_head);
  check_argument(slot >= 0 && slot < list.length, "slot is ", slot, "; this head holds ", list.length, " tokens");
  return impl_->pages->positions(list.pages[static_cast<std::size_t>(slot / kPageTokens)])[slot % kPageTokens];
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
}

KvCache KvCache::fork() const {
  auto copy = std::make_unique<Impl>(impl_->pool, impl_->shape);
  std::vector<KvList> lists = impl_->lists;
  for (KvList& list : lists) {
    list.mirrored = 0;
    for (KvPage* page : list.pages) page->share();
  }
  copy->num_tokens = impl_->num_tokens;
  copy->lists = std::move(lists);
  return KvCache(std::move(copy));
}

void KvCache::clear() { *this = KvCache(impl_->pool, impl_->shape); }

std::int64_t KvCache::pages_needed(std::int64_t num_tokens) const {
  check_argument(num_tokens >= 0 && num_tokens <= INT32_MAX, "num_tokens is ", num_tokens, "; expected 0 to 2^31 - 1");
  if (num_tokens == 0) return 0;
  std::int64_t needed = 0;
  for (const KvList& list : impl_->lists) needed += list.pages_to_append(num_tokens);
  return needed;
}

void KvCache::reserve(std::int64_t num_tokens) {
  const std::int64_t needed = pages_needed(num_tokens);
  impl_->reserve_spare(needed);
  while (static_cast<std::int64_t>(impl_->spare.size()) > needed) impl_->pages->release(impl_->take_spare());
}

std::size_t KvCache::bytes_used() const {
  std::size_t pages = 0;
  for (const KvList& list : impl_->lists) pages += list.pages.size();
  return pages * impl_->pages->page_bytes;
}

}  // namespace tca
