// KvCache::store: copies the tokens of a segment that are to be held into pages.
#include <algorithm>
#include <array>
#include <cstring>

#include "core/check.h"
#include "core/half.h"
#include "core/kept_set.h"
#include "core/kv_cache_impl.h"
#include "tca/attention.h"

namespace tca {
namespace {

/// The tokens of a segment that one head holds: chosen ones before the window, then all from there on.
struct HeldTokens {
  const std::int32_t* chosen = nullptr;
  std::int64_t num_chosen = 0;
  std::int64_t window_begin = 0;
  std::int64_t count = 0;

  std::int64_t operator[](std::int64_t i) const { return i < num_chosen ? chosen[i] : window_begin + i - num_chosen; }
};

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

void convert(const void* from, DType from_dtype, std::byte* to, DType to_dtype, std::int32_t count) {
  constexpr std::int32_t kPiece = 256;  // a whole row of every usual model
  std::array<float, kPiece> piece;
  for (std::int32_t done = 0; done < count; done += kPiece) {
    const std::int32_t n = std::min(kPiece, count - done);
    const auto offset = static_cast<std::size_t>(done);
    convert_row(static_cast<const std::byte*>(from) + offset * dtype_size(from_dtype), from_dtype, piece.data(), n);
    convert_row(piece.data(), to + offset * dtype_size(to_dtype), to_dtype, n);
  }
}

/// Rows held[begin, begin + count) of one head, one after the other.
void copy_rows(const TensorView& view, std::int32_t kv_head, const HeldTokens& held, std::int64_t begin,
               std::int64_t count, std::byte* to, DType to_dtype) {
  const std::size_t row_bytes = static_cast<std::size_t>(view.head_dim) * dtype_size(to_dtype);
  for (std::int64_t i = begin; i < begin + count; ++i, to += row_bytes) {
    const void* const from = view.row(held[i], kv_head);
    if (view.dtype == to_dtype) {
      std::memcpy(to, from, row_bytes);
    } else {
      convert(from, view.dtype, to, to_dtype, view.head_dim);
    }
  }
}

/// Appends one head's tokens, with pages from the back of fresh.
void append(KvPages& pool, KvList& list, const Segment& segment, std::int32_t kv_head, std::int64_t first_position,
            std::vector<KvPage*>& fresh) {
  const HeldTokens held = segment.held(kv_head);
  const auto take_fresh = [&fresh] {
    KvPage* const page = fresh.back();
    fresh.pop_back();
    return page;
  };
  for (std::int64_t i = 0; i < held.count;) {
    const std::int64_t slot = list.length % kPageTokens;
    if (slot == 0) {
      list.pages.push_back(take_fresh());
    } else if (!list.pages.back()->exclusive()) {
      KvPage* const copy = take_fresh();
      pool.copy_tokens(list.pages.back(), 0, copy, 0, slot);
      pool.release(list.pages.back());
      list.pages.back() = copy;
    }
    KvPage* const page = list.pages.back();
    const std::int64_t count = std::min(kPageTokens - slot, held.count - i);
    const std::size_t offset = static_cast<std::size_t>(slot) * pool.row_bytes;
    copy_rows(segment.k, kv_head, held, i, count, pool.k(page) + offset, pool.dtype);
    copy_rows(segment.v, kv_head, held, i, count, pool.v(page) + offset, pool.dtype);
    for (std::int64_t j = 0; j < count; ++j) {
      pool.positions(page)[slot + j] = static_cast<std::int32_t>(first_position + held[i + j]);
    }
    list.length += count;
    i += count;
  }
}

}  // namespace

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
  std::vector<KvPage*> fresh = impl_->pages->acquire(needed);
  // Nothing throws from here on.
  for (std::int32_t h = 0; h < num_kv_heads; ++h) {
    KvList& list = impl_->list(layer, h);
    if (kept != nullptr) list.tail_begin = list.length + segment.held(h).num_chosen;
    append(*impl_->pages, list, segment, h, seen, fresh);
  }
  seen += n;
  // Some are left when another cache let go of a page that was counted as shared.
  for (KvPage* page : fresh) impl_->pages->release(page);
}

}  // namespace tca
