#include <cstring>
#include <new>

#include "core/check.h"
#include "core/kv_pages.h"

namespace tca {

std::shared_ptr<KvPool> KvPool::create(std::size_t budget_bytes, std::int32_t head_dim, DType dtype,
                                       PageLayout layout) {
  check_argument(head_dim >= 1 && head_dim <= kMaxKvHeadDim, "head_dim is ", head_dim, "; expected 1 to ",
                 kMaxKvHeadDim);
  check_argument(dtype == DType::kF32 || dtype == DType::kBF16 || dtype == DType::kF16, "dtype is ",
                 static_cast<int>(dtype), "; expected fp32, bf16 or fp16");
  check_argument(layout == PageLayout::kRows, "layout is ", static_cast<int>(layout), "; expected rows (0)");
  std::shared_ptr<KvPool> pool(new KvPool());
  pool->impl_ = std::make_unique<Impl>();
  Impl& impl = *pool->impl_;
  impl.budget = budget_bytes;
  impl.head_dim = head_dim;
  impl.dtype = dtype;
  impl.layout = layout;
  impl.row_bytes = static_cast<std::size_t>(head_dim) * dtype_size(dtype);
  // 64 rows of anything are whole cache lines, so every part stays aligned.
  impl.v_offset = KvPages::kKOffset + kPageTokens * impl.row_bytes;
  impl.positions_offset = impl.v_offset + kPageTokens * impl.row_bytes;
  impl.page_bytes = impl.positions_offset + kPageTokens * sizeof(std::int32_t);
  static_assert(sizeof(KvPage) <= KvPages::kKOffset);
  return pool;
}

KvPool::~KvPool() = default;

std::size_t KvPool::budget_bytes() const noexcept { return impl_->budget; }
std::size_t KvPool::used_bytes() const noexcept { return impl_->used.load(); }
std::size_t KvPool::page_bytes() const noexcept { return impl_->page_bytes; }
std::int64_t KvPool::free_pages() const noexcept {
  return static_cast<std::int64_t>((impl_->budget - impl_->used.load()) / impl_->page_bytes);
}
std::int32_t KvPool::head_dim() const noexcept { return impl_->head_dim; }
DType KvPool::dtype() const noexcept { return impl_->dtype; }
PageLayout KvPool::layout() const noexcept { return impl_->layout; }

std::vector<KvPage*> KvPages::acquire(std::int64_t count) {
  std::vector<KvPage*> pages;
  if (count == 0) return pages;
  pages.reserve(static_cast<std::size_t>(count));
  const auto wanted = static_cast<std::size_t>(count);
  std::size_t before = used.load();
  do {
    const std::size_t free_bytes = budget - before;
    if (wanted > free_bytes / page_bytes) {
      fail(ErrorCategory::kOutOfBudget, text("the KV pool is full: ", wanted, " pages (", wanted * page_bytes,
                                             " bytes) asked, ", free_bytes, " of ", budget, " bytes free"));
    }
  } while (!used.compare_exchange_weak(before, before + wanted * page_bytes));
  while (pages.size() < wanted) {
    void* const memory = ::operator new (page_bytes, std::align_val_t{kAlignment}, std::nothrow);
    if (memory == nullptr) {
      used.fetch_sub((wanted - pages.size()) * page_bytes);
      for (KvPage* page : pages) release(page);
      fail(ErrorCategory::kOutOfBudget,
           text("the system has no memory for ", wanted, " KV pages (", wanted * page_bytes, " bytes)"));
    }
    pages.push_back(new (memory) KvPage);
  }
  return pages;
}

void KvPages::release(KvPage* page) noexcept {
  if (page->owners.fetch_sub(1, std::memory_order_acq_rel) != 1) return;
  page->~KvPage();
  ::operator delete (page, std::align_val_t{kAlignment});
  used.fetch_sub(page_bytes);
}

void KvPages::copy_tokens(KvPage* from, std::int64_t from_slot, KvPage* to, std::int64_t to_slot,
                          std::int64_t count) const noexcept {
  const auto source = static_cast<std::size_t>(from_slot) * row_bytes;
  const auto target = static_cast<std::size_t>(to_slot) * row_bytes;
  const auto bytes = static_cast<std::size_t>(count) * row_bytes;
  std::memcpy(k(to) + target, k(from) + source, bytes);
  std::memcpy(v(to) + target, v(from) + source, bytes);
  std::memcpy(positions(to) + to_slot, positions(from) + from_slot,
              static_cast<std::size_t>(count) * sizeof(std::int32_t));
}

}  // namespace tca
