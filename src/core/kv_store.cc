// KvCache::store: copies the tokens of a segment that are to be held into pages.
#include <algorithm>

#include "core/check.h"
#include "core/kept_set.h"
#include "core/kv_append.h"
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

void KvCacheAccess::extend(KvCache& cache) {
  KvCache::Impl& impl = *cache.impl_;
  const std::vector<std::int64_t> one_each(impl.lists.size(), 1);
  KvAppend append(impl, 0, one_each);
  for (std::size_t i = 0; i < impl.lists.size(); ++i) {
    const std::int64_t position = impl.num_tokens[i / static_cast<std::size_t>(impl.shape.num_kv_heads)];
    append.position(i, 0) = static_cast<std::int32_t>(position);
  }
  append.move_shared();
  // Nothing throws from here on.
  append.commit();
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
  const auto num_kv_heads = static_cast<std::size_t>(impl_->shape.num_kv_heads);
  const std::size_t first_list = static_cast<std::size_t>(layer) * num_kv_heads;
  std::vector<std::int64_t> counts;
  std::vector<KvWrite> writes(num_kv_heads);
  counts.reserve(num_kv_heads);
  for (std::size_t h = 0; h < num_kv_heads; ++h) {
    writes[h].held = segment.held(static_cast<std::int32_t>(h));
    counts.push_back(writes[h].held.count);
  }
  KvAppend append(*impl_, first_list, counts);
  for (std::size_t h = 0; h < num_kv_heads; ++h) {
    writes[h].pages = append.pages(h);
    writes[h].first_slot = append.first_slot(h);
    for (std::int64_t i = 0; i < counts[h]; ++i) {
      append.position(h, i) = static_cast<std::int32_t>(seen + writes[h].held[i]);
    }
  }
  append.move_shared();
  impl_->pages->write(k, v, writes);
  // Nothing throws from here on.
  for (std::size_t h = 0; h < num_kv_heads && kept != nullptr; ++h) {
    KvList& list = impl_->lists[first_list + h];
    list.tail_begin = list.length + writes[h].held.num_chosen;
  }
  append.commit();
  seen += n;
  if (kept != nullptr) impl_->settled[static_cast<std::size_t>(layer)] = seen;
}

}  // namespace tca
