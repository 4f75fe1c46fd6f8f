// Pages of a KvPool. What they hold lies in host memory here, on a GPU in src/cuda; who owns them and which tokens are
// in them is known on the host in both cases.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "tca/kv_cache.h"

namespace tca {

inline constexpr std::int32_t kMaxKvHeadDim = 65536;

/// The host's part of a page.
struct KvPage {
  std::atomic<std::int32_t> owners{1};  // page lists that hold this page
  std::int32_t number = 0;              // where a device has it

  void share() noexcept { owners.fetch_add(1, std::memory_order_relaxed); }
  /// True when nobody else holds the page. The acquire pairs with release(): what the last other owner did is over.
  bool exclusive() const noexcept { return owners.load(std::memory_order_acquire) == 1; }
};

/// The tokens of a segment that one head holds: chosen ones before the window, then all from there on.
struct HeldTokens {
  const std::int32_t* chosen = nullptr;
  std::int64_t num_chosen = 0;
  std::int64_t window_begin = 0;
  std::int64_t count = 0;

  std::int64_t operator[](std::int64_t i) const { return i < num_chosen ? chosen[i] : window_begin + i - num_chosen; }
};

/// Where one head's held tokens go: slot first_slot on of pages[0], which are the slots of a list from there on.
struct KvWrite {
  HeldTokens held;
  KvPage* const* pages = nullptr;
  std::int64_t first_slot = 0;  // below kPageTokens
};

/// One token's move from slot to slot.
struct KvMove {
  KvPage* from = nullptr;
  KvPage* to = nullptr;
  std::int32_t from_slot = 0, to_slot = 0;
};

/// What a device keeps of a cache beside its pages. Goes with the cache.
class KvMirror {
 public:
  virtual ~KvMirror() = default;
};

/// Gives out and takes back the pages of one pool, and moves tokens into, between and out of them. Thread-safe, as far
/// as different pages are concerned. Positions lie in host memory always. What throws for want of memory has not
/// touched a page.
class KvPages {
 public:
  KvPages(std::size_t budget, std::int32_t head_dim, DType dtype, PageLayout layout);
  virtual ~KvPages() = default;
  KvPages(const KvPages&) = delete;
  KvPages& operator=(const KvPages&) = delete;

  const std::size_t budget;
  const std::int32_t head_dim;
  const DType dtype;
  const PageLayout layout;
  const std::size_t row_bytes;  // one token's K (or V)
  std::size_t page_bytes = 0;   // what a page takes from the budget
  std::atomic<std::size_t> used{0};

  /// `count` new pages with one owner each, or an exception and none.
  std::vector<KvPage*> acquire(std::int64_t count);
  void release(KvPage* page) noexcept;

  /// On which their content is written, moved and given back; none in host memory.
  virtual std::optional<Stream> stream() const { return std::nullopt; }
  virtual std::int32_t* positions(KvPage* page) const noexcept = 0;  // [kPageTokens]
  /// Addresses in the pool's memory and layout.
  virtual const void* k(const KvPage* page) const noexcept = 0;
  virtual const void* v(const KvPage* page) const noexcept = 0;

  /// Throws kInvalidArgument when k or v lies where write() cannot read it.
  virtual void check_rows(const TensorView& /*k*/, const TensorView& /*v*/) const {}
  /// Copies rows of k and v [n, num_kv_heads, head_dim], in any dtype; writes[h] is KV head h.
  virtual void write(const TensorView& k, const TensorView& v, std::span<const KvWrite> writes) = 0;
  /// Moves K and V of tokens. Together they are one assignment: every source is read before its slot is written.
  virtual void move(std::span<const KvMove> moves) = 0;
  /// One page's tokens [0, count) as rows [count, head_dim] of the pool's dtype in host memory.
  virtual void read_rows(const KvPage* page, std::int64_t count, std::byte* k, std::byte* v) const = 0;
  virtual void write_rows(KvPage* page, std::int64_t count, const std::byte* k, const std::byte* v) = 0;

 protected:
  /// A page with one owner, or null when there is no memory.
  virtual KvPage* allocate() noexcept = 0;
  virtual void deallocate(KvPage* page) noexcept = 0;
  /// A token's K or V in host memory, converted to the pool's dtype.
  void copy_row(const void* from, DType from_dtype, std::byte* to) const;
};

struct KvPool::Impl {
  std::unique_ptr<KvPages> pages;
};

/// For layers above: pools of their own kind of pages, and what is behind a pool.
struct KvPoolAccess {
  static std::shared_ptr<KvPool> create(std::unique_ptr<KvPages> pages);
  static KvPages& pages(const KvPool& pool);
};

/// Throws kInvalidArgument for what no pool can have.
void check_pool(std::int32_t head_dim, DType dtype);

}  // namespace tca
