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
  settled.resize(num_tokens.size());
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

void KvCache::Impl::replace_last(std::size_t i, KvPage* page) noexcept {
  KvList& list = lists[i];
  KvPage* const old = std::exchange(list.pages.back(), page);
  list.mirrored = std::min(list.mirrored, list.pages.size() - 1);
  const bool is_last_of_then =
      undo.open && static_cast<std::int64_t>(list.pages.size()) == pages_for(undo.lists[i].length);
  if (is_last_of_then && undo.lists[i].replaced == nullptr) {
    undo.lists[i].replaced = old;
  } else {
    pages->release(old);
  }
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

KvCache KvCache::fork() const {
  auto copy = std::make_unique<Impl>(impl_->pool, impl_->shape);
  std::vector<KvList> lists = impl_->lists;
  copy->num_tokens = impl_->num_tokens;
  copy->settled = impl_->settled;
  // Nothing throws from here on.
  for (KvList& list : lists) {
    list.mirrored = 0;
    for (KvPage* page : list.pages) page->share();
  }
  copy->lists = std::move(lists);
  return KvCache(std::move(copy));
}

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
