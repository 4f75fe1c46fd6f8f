// Pages like a device's: what is written or moved takes memory of its own first, and any of that may be missing.
#pragma once

#include <cstdint>
#include <cstring>
#include <memory>
#include <vector>

#include "core/check.h"
#include "core/kv_pages.h"

namespace tca::testing {

class FaultyPages final : public KvPages {
 public:
  FaultyPages(std::size_t pool_budget, std::int32_t pool_head_dim, DType pool_dtype)
      : KvPages(pool_budget, pool_head_dim, pool_dtype, PageLayout::kRows) {
    page_bytes = 2 * half();
  }

  /// The n-th of the next times that memory is needed there is none; 0: there always is.
  void fail_nth(std::int64_t n) {
    until_failure_ = n;
    failed_ = false;
  }
  bool failed() const { return failed_; }

  std::int32_t* positions(KvPage* page) const noexcept override { return static_cast<Page*>(page)->positions; }
  const void* k(const KvPage* page) const noexcept override { return bytes(page); }
  const void* v(const KvPage* page) const noexcept override { return bytes(page) + half(); }

  void write(const TensorView& k_rows, const TensorView& v_rows, std::span<const KvWrite> writes) override {
    need_memory();  // for what travels to the device
    need_memory();  // for where it goes
    for (std::size_t h = 0; h < writes.size(); ++h) {
      const KvWrite& w = writes[h];
      for (std::int64_t i = 0; i < w.held.count; ++i) {
        std::byte* const to = slot(w.pages[(w.first_slot + i) / kPageTokens], (w.first_slot + i) % kPageTokens);
        copy_row(k_rows.row(w.held[i], static_cast<std::int64_t>(h)), k_rows.dtype, to);
        copy_row(v_rows.row(w.held[i], static_cast<std::int64_t>(h)), v_rows.dtype, to + half());
      }
    }
  }
  void move(std::span<const KvMove> moves) override {
    need_memory();
    std::vector<std::byte> rows(moves.size() * 2 * row_bytes);
    for (std::size_t i = 0; i < moves.size(); ++i) {
      std::memcpy(rows.data() + 2 * i * row_bytes, slot(moves[i].from, moves[i].from_slot), row_bytes);
      std::memcpy(rows.data() + (2 * i + 1) * row_bytes, slot(moves[i].from, moves[i].from_slot) + half(), row_bytes);
    }
    for (std::size_t i = 0; i < moves.size(); ++i) {
      std::memcpy(slot(moves[i].to, moves[i].to_slot), rows.data() + 2 * i * row_bytes, row_bytes);
      std::memcpy(slot(moves[i].to, moves[i].to_slot) + half(), rows.data() + (2 * i + 1) * row_bytes, row_bytes);
    }
  }
  void read_rows(const KvPage* page, std::int64_t count, std::byte* k_rows, std::byte* v_rows) const override {
    std::memcpy(k_rows, bytes(page), static_cast<std::size_t>(count) * row_bytes);
    std::memcpy(v_rows, bytes(page) + half(), static_cast<std::size_t>(count) * row_bytes);
  }
  void write_rows(KvPage* page, std::int64_t count, const std::byte* k_rows, const std::byte* v_rows) override {
    need_memory();
    std::memcpy(slot(page, 0), k_rows, static_cast<std::size_t>(count) * row_bytes);
    std::memcpy(slot(page, 0) + half(), v_rows, static_cast<std::size_t>(count) * row_bytes);
  }

 protected:
  KvPage* allocate() noexcept override {
    if (memory_is_missing()) return nullptr;
    auto* const page = new (std::nothrow) Page;
    if (page == nullptr) return nullptr;
    page->content.reset(new (std::align_val_t{64}, std::nothrow) std::byte[page_bytes]);
    if (page->content != nullptr) return page;
    delete page;
    return nullptr;
  }
  void deallocate(KvPage* page) noexcept override { delete static_cast<Page*>(page); }

 private:
  struct Free {
    void operator()(std::byte* p) const { ::operator delete[](p, std::align_val_t{64}); }
  };
  struct Page : KvPage {
    std::int32_t positions[kPageTokens];
    std::unique_ptr<std::byte[], Free> content;
  };
  std::size_t half() const { return kPageTokens * row_bytes; }
  static std::byte* bytes(const KvPage* page) { return static_cast<const Page*>(page)->content.get(); }
  std::byte* slot(const KvPage* page, std::int64_t at) const {
    return bytes(page) + static_cast<std::size_t>(at) * row_bytes;
  }
  bool memory_is_missing() noexcept {
    if (until_failure_ == 0 || --until_failure_ > 0) return false;
    return failed_ = true;
  }
  void need_memory() {
    if (memory_is_missing()) fail(ErrorCategory::kOutOfBudget, "the device has no memory left");
  }

  std::int64_t until_failure_ = 0;
  bool failed_ = false;
};

}  // namespace tca::testing
