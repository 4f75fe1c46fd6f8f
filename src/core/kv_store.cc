// KvCache::store: copies the tokens of a segment that are to be held into pages.
#include <algorithm>

#include "core/check.h"
#include "core/kept_set.h"
#include "core/kv_cache_impl.h"
#include "tca/attention.h"

namespace tca {
namespace {

struct Segment {
  const TensorView& k;
  const TensorView& v;
  const KeptSet* kept;
  std::int64_t window;

  HeldTokens held(std::int32_t kv_head) const {
    const std::int64_t n = k.num_tokens;
    if (kept == nullptr) return {.count = n};
    const auto chosen = kept->head(kv_head);
    const std::int64_t window_begin = n - std::min(window, n);
    const auto before = std::lower_bound(chosen.begin(), chosen.end(), window_begin) - chosen.begin();
    return {chosen.data(), before, window_begin, before + n - window_begin};
  }
};

void check_view(const char* name, const TensorView& view, const KvShape& shape) {
  check_argument(view.num_heads == shape.num_kv_heads && view.head_dim == shape.head_dim, "store: ", name, " is [n, ",
                 view.num_heads, ", ", view.head_dim, "]; the KV cache needs [n, ", shape.num_kv_heads, ", ",
                 shape.head_dim, "]");
  check_argument(view.dtype <= DType::kF16, "store: ", name, ".dtype is ", static_cast<int>(view.dtype),
                 "; expected fp32 (0), bf16 (1) or fp16 (2)");
  check_argument(view.data != nullptr, "store: ", name, ".data is null");
  check_argument(view.num_tokens == 1 || view.token_stride >= view.head_dim, "store: ", name, ".token_stride is ",
                 view.token_stride, "; expected at least head_dim = ", view.head_dim);
  check_argument(view.num_heads == 1 || view.head_stride >= view.head_dim, "store: ", name, ".head_stride is ",
                 view.head_stride, "; expected at least head_dim = ", view.head_dim);
}

}  // namespace

void KvCache::Impl::grow(KvList& list, std::int64_t count, std::vector<KvMove>& copies,
                         std::vector<KvPage*>& replaced) {
  if (count == 0) return;
  if (list.writes_shared()) {
    KvPage*& last = list.pages.back();
    KvPage* const old = last;
    const auto slots = static_cast<std::int32_t>(list.length % kPageTokens);
    replaced.push_back(old);
    last = take_spare();
    std::copy_n(pages->positions(old), slots, pages->positions(last));
    for (std::int32_t slot = 0; slot < slots; ++slot) copies.push_back({old, last, slot, slot});
    list.mirrored = std::min(list.mirrored, list.pages.size() - 1);
  }
  while (list.pages.size() < static_cast<std::size_t>(pages_for(list.length + count))) {
    list.pages.push_back(take_spare());
  }
}

void KvCacheAccess::extend(KvCache& cache) {
  KvCache::Impl& impl = *cache.impl_;
  impl.reserve_spare(cache.pages_needed(1));
  std::vector<KvMove> copies;
  std::vector<KvPage*> replaced;
  for (std::size_t i = 0; i < impl.lists.size(); ++i) {
    KvList& list = impl.lists[i];
    impl.grow(list, 1, copies, replaced);
    const std::int64_t position = impl.num_tokens[i / static_cast<std::size_t>(impl.shape.num_kv_heads)];
    impl.pages->positions(list.pages.back())[list.length % kPageTokens] = static_cast<std::int32_t>(position);
    ++list.length;
  }
  if (!copies.empty()) impl.pages->move(copies);
  for (KvPage* page : replaced) impl.pages->release(page);
  for (std::int64_t& seen : impl.num_tokens) ++seen;
}

void KvCache::store(std::int32_t layer, const TensorView& k, const TensorView& v, const KeptSet* kept,
                    std::int32_t window) {
  impl_->check_layer(layer);
  std::int64_t& seen = impl_->num_tokens[static_cast<std::size_t>(layer)];
  const std::int64_t n = k.num_tokens;
  check_argument(n == v.num_tokens, "store: k has ", n, " tokens and v ", v.num_tokens);
  check_argument(n >= 0 && n <= INT32_MAX - seen, "store: ", n, " tokens after ", seen, "; positions end at 2^31 - 1");
  if (n == 0) return;
  check_view("k", k, impl_->shape);
  check_view("v", v, impl_->shape);
  impl_->pages->check_rows(k, v);
  if (kept != nullptr) {
    check_argument(window >= 0, "store: window is ", window, "; expected 0 or more");
    validate_kept_set(*kept, n, impl_->shape.num_kv_heads, "store: kept");
  }

  const Segment segment{k, v, kept, window};
  const std::int32_t num_kv_heads = impl_->shape.num_kv_heads;
  std::int64_t needed = 0;
  for (std::int32_t h = 0; h < num_kv_heads; ++h) {
    KvList& list = impl_->list(layer, h);
    const std::int64_t count = segment.held(h).count;
    needed += list.pages_to_append(count);
    const auto pages = static_cast<std::size_t>(pages_for(list.length + count));
    // Doubling, because reserve() alone would copy the list for every page of a long decode.
    if (pages > list.pages.capacity()) list.pages.reserve(std::max(pages, 2 * list.pages.capacity()));
  }
  impl_->reserve_spare(needed);
  std::vector<KvMove> copies;     // out of shared pages that are written to
  std::vector<KvPage*> replaced;  // those pages
  std::vector<KvWrite> writes;
  copies.reserve(static_cast<std::size_t>(num_kv_heads) * kPageTokens);
  replaced.reserve(static_cast<std::size_t>(num_kv_heads));
  writes.reserve(static_cast<std::size_t>(num_kv_heads));
  // Nothing throws from here on, but for a device that fails.
  for (std::int32_t h = 0; h < num_kv_heads; ++h) {
    KvList& list = impl_->list(layer, h);
    const HeldTokens held = segment.held(h);
    impl_->grow(list, held.count, copies, replaced);
    writes.push_back({.held = held,
                      .pages = list.pages.data() + list.length / kPageTokens,
                      .first_slot = list.length % kPageTokens});
    if (kept != nullptr) list.tail_begin = list.length + held.num_chosen;
    for (std::int64_t i = 0; i < held.count; ++i, ++list.length) {
      KvPage* const page = list.pages[static_cast<std::size_t>(list.length / kPageTokens)];
      impl_->pages->positions(page)[list.length % kPageTokens] = static_cast<std::int32_t>(seen + held[i]);
    }
  }
  if (!copies.empty()) impl_->pages->move(copies);
  for (KvPage* page : replaced) impl_->pages->release(page);
  impl_->pages->write(k, v, writes);
  seen += n;
}

}  // namespace tca
