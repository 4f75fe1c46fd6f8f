#include <algorithm>
#include <array>
#include <cstring>
#include <new>

#include "core/check.h"
#include "core/half.h"
#include "core/kv_pages.h"

namespace tca {

KvPages::KvPages(std::size_t pool_budget, std::int32_t pool_head_dim, DType pool_dtype, PageLayout pool_layout)
    : budget(pool_budget),
      head_dim(pool_head_dim),
      dtype(pool_dtype),
      layout(pool_layout),
      row_bytes(static_cast<std::size_t>(pool_head_dim) * dtype_size(pool_dtype)) {}

std::vector<KvPage*> KvPages::acquire(std::int64_t count) {
  std::vector<KvPage*> acquired;
  if (count == 0) return acquired;
  const auto wanted = static_cast<std::size_t>(count);
  std::size_t before = used.load();
  do {
    const std::size_t free_bytes = budget - before;
    if (wanted > free_bytes / page_bytes) {
      fail(ErrorCategory::kOutOfBudget, text("the KV pool is full: ", wanted, " pages of ", page_bytes,
                                             " bytes asked, ", free_bytes, " of ", budget, " bytes free"));
    }
    acquired.reserve(wanted);  // not before: any number may be asked for
  } while (!used.compare_exchange_weak(before, before + wanted * page_bytes));
  while (acquired.size() < wanted) {
    KvPage* const page = allocate();
    if (page == nullptr) {
      used.fetch_sub((wanted - acquired.size()) * page_bytes);
      for (KvPage* each : acquired) release(each);
      fail(ErrorCategory::kOutOfBudget,
           text("the system has no memory for ", wanted, " KV pages (", wanted * page_bytes, " bytes)"));
    }
    acquired.push_back(page);
  }
  return acquired;
}

void KvPages::release(KvPage* page) noexcept {
  if (page->owners.fetch_sub(1, std::memory_order_acq_rel) != 1) return;
  deallocate(page);
  used.fetch_sub(page_bytes);
}

void KvPages::copy_row(const void* from, DType from_dtype, std::byte* to) const {
  if (from_dtype == dtype) {
    std::memcpy(to, from, row_bytes);
    return;
  }
  constexpr std::int32_t kPiece = 256;  // a whole row of every usual model
  std::array<float, kPiece> piece;
  for (std::int32_t done = 0; done < head_dim; done += kPiece) {
    const std::int32_t n = std::min(kPiece, head_dim - done);
    const auto offset = static_cast<std::size_t>(done);
    convert_row(static_cast<const std::byte*>(from) + offset * dtype_size(from_dtype), from_dtype, piece.data(), n);
    convert_row(piece.data(), to + offset * dtype_size(dtype), dtype, n);
  }
}

namespace {

/// A page is one allocation: the header, K, V, positions.
class HostPages final : public KvPages {
 public:
  HostPages(std::size_t pool_budget, std::int32_t pool_head_dim, DType pool_dtype)
      : KvPages(pool_budget, pool_head_dim, pool_dtype, PageLayout::kRows),
        v_offset_(kKOffset + kPageTokens * row_bytes),
        positions_offset_(v_offset_ + kPageTokens * row_bytes) {
    // 64 rows of anything are whole cache lines, so every part stays aligned.
    page_bytes = positions_offset_ + kPageTokens * sizeof(std::int32_t);
  }

  std::int32_t* positions(KvPage* page) const noexcept override {
    return reinterpret_cast<std::int32_t*>(at(page, positions_offset_));
  }
  const void* k(const KvPage* page) const noexcept override {
    return reinterpret_cast<const std::byte*>(page) + kKOffset;
  }
  const void* v(const KvPage* page) const noexcept override {
    return reinterpret_cast<const std::byte*>(page) + v_offset_;
  }

  void write(const TensorView& k, const TensorView& v, std::span<const KvWrite> writes) override {
    for (std::size_t h = 0; h < writes.size(); ++h) {
      const KvWrite& w = writes[h];
      for (std::int64_t i = 0; i < w.held.count; ++i) {
        const std::int64_t slot = w.first_slot + i;
        KvPage* const page = w.pages[slot / kPageTokens];
        const std::size_t offset = static_cast<std::size_t>(slot % kPageTokens) * row_bytes;
        copy_row(k.row(w.held[i], static_cast<std::int64_t>(h)), k.dtype, at(page, kKOffset) + offset);
        copy_row(v.row(w.held[i], static_cast<std::int64_t>(h)), v.dtype, at(page, v_offset_) + offset);
      }
    }
  }

  /// Callers list moves towards the front in order, so a slot is read before it is written.
  void move(std::span<const KvMove> moves) override {
    for (const KvMove& m : moves) {
      for (const std::size_t part : {kKOffset, v_offset_}) {
        std::memcpy(at(m.to, part) + static_cast<std::size_t>(m.to_slot) * row_bytes,
                    at(m.from, part) + static_cast<std::size_t>(m.from_slot) * row_bytes, row_bytes);
      }
    }
  }

  void read_rows(const KvPage* page, std::int64_t count, std::byte* k_rows, std::byte* v_rows) const override {
    std::memcpy(k_rows, k(page), static_cast<std::size_t>(count) * row_bytes);
    std::memcpy(v_rows, v(page), static_cast<std::size_t>(count) * row_bytes);
  }
  void write_rows(KvPage* page, std::int64_t count, const std::byte* k_rows, const std::byte* v_rows) override {
    std::memcpy(at(page, kKOffset), k_rows, static_cast<std::size_t>(count) * row_bytes);
    std::memcpy(at(page, v_offset_), v_rows, static_cast<std::size_t>(count) * row_bytes);
  }

 protected:
  KvPage* allocate() noexcept override {
    void* const memory = ::operator new (page_bytes, std::align_val_t{kAlignment}, std::nothrow);
    return memory == nullptr ? nullptr : new (memory) KvPage;
  }
  void deallocate(KvPage* page) noexcept override {
    page->~KvPage();
    ::operator delete (page, std::align_val_t{kAlignment});
  }

 private:
  static constexpr std::size_t kAlignment = 64;  // a cache line, and the widest vector
  static constexpr std::size_t kKOffset = kAlignment;
  static_assert(sizeof(KvPage) <= kKOffset);

  std::byte* at(KvPage* page, std::size_t offset) const { return reinterpret_cast<std::byte*>(page) + offset; }
  const std::size_t v_offset_, positions_offset_;
};

}  // namespace

void check_pool(std::int32_t head_dim, DType dtype) {
  check_argument(head_dim >= 1 && head_dim <= kMaxKvHeadDim, "head_dim is ", head_dim, "; expected 1 to ",
                 kMaxKvHeadDim);
  check_argument(dtype == DType::kF32 || dtype == DType::kBF16 || dtype == DType::kF16, "dtype is ",
                 static_cast<int>(dtype), "; expected fp32, bf16 or fp16");
}

std::shared_ptr<KvPool> KvPoolAccess::create(std::unique_ptr<KvPages> pages) {
  std::shared_ptr<KvPool> pool(new KvPool());
  pool->impl_ = std::make_unique<KvPool::Impl>();
  pool->impl_->pages = std::move(pages);
  return pool;
}

KvPages& KvPoolAccess::pages(const KvPool& pool) { return *pool.impl_->pages; }

std::shared_ptr<KvPool> KvPool::create(std::size_t budget_bytes, std::int32_t head_dim, DType dtype) {
  check_pool(head_dim, dtype);
  return KvPoolAccess::create(std::make_unique<HostPages>(budget_bytes, head_dim, dtype));
}

KvPool::~KvPool() = default;

std::size_t KvPool::budget_bytes() const noexcept { return impl_->pages->budget; }
std::size_t KvPool::used_bytes() const noexcept { return impl_->pages->used.load(); }
std::size_t KvPool::page_bytes() const noexcept { return impl_->pages->page_bytes; }
std::int64_t KvPool::free_pages() const noexcept {
  const KvPages& pages = *impl_->pages;
  return static_cast<std::int64_t>((pages.budget - pages.used.load()) / pages.page_bytes);
}
std::int32_t KvPool::head_dim() const noexcept { return impl_->pages->head_dim; }
DType KvPool::dtype() const noexcept { return impl_->pages->dtype; }
PageLayout KvPool::layout() const noexcept { return impl_->pages->layout; }
std::optional<Stream> KvPool::stream() const noexcept { return impl_->pages->stream(); }

}  // namespace tca
