// KV memory that is ragged per KV head and really freed: pages of 64 tokens of one KV head from a bytes budget.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "tca/tensor.h"
#include "tca/version.h"

namespace tca {

class KeptSet;

inline constexpr std::int32_t kPageTokens = 64;

/// Where a pool's pages lie, and the order of elements in them.
enum class PageLayout : std::uint8_t {
  kRows = 0,      // host memory; K and V [kPageTokens, head_dim] row-major
  kSwizzled = 1,  // GPU memory; the same, the 16-byte chunks of each row permuted for bank-free shared memory
};

struct KvShape {
  std::int32_t num_layers = 0;
  std::int32_t num_kv_heads = 0;
  std::int32_t head_dim = 0;
  DType dtype = DType::kBF16;
  bool operator==(const KvShape&) const = default;
};

/// One page as a kernel sees it. Slots [0, count) are filled.
struct KvPageView {
  const void* k = nullptr;                  // [kPageTokens, head_dim] in the pool's dtype and layout, 64-byte aligned
  const void* v = nullptr;                  // the same
  const std::int32_t* positions = nullptr;  // [count] token positions, ascending over the whole list; host memory
  std::int32_t count = 0;
};

/// A bytes budget shared by any number of caches. Thread-safe. Pages are allocated one by one and returned to the
/// allocator when the last cache that shares them lets go.
///
/// A pool of a GPU backend is bound to that backend's stream: what its caches do (store, thin, the copies after a fork)
/// is queued there, and whoever made k and v on another stream lets this one wait for that first. Its caches may be
/// read by backends on other streams of the same GPU: operations order themselves behind what the pool's stream has
/// been given, and it behind them; nobody waits. Backends of other GPUs refuse them.
class TCA_API KvPool {
 public:
  /// In host memory. Backend::create_kv_pool makes one where the backend's kernels can read it.
  static std::shared_ptr<KvPool> create(std::size_t budget_bytes, std::int32_t head_dim, DType dtype);
  ~KvPool();
  KvPool(const KvPool&) = delete;
  KvPool& operator=(const KvPool&) = delete;

  std::size_t budget_bytes() const noexcept;
  std::size_t used_bytes() const noexcept;  // what is allocated now, page headers included
  std::size_t page_bytes() const noexcept;
  std::int64_t free_pages() const noexcept;
  std::int32_t head_dim() const noexcept;
  DType dtype() const noexcept;
  PageLayout layout() const noexcept;
  std::optional<Stream> stream() const noexcept;  // of a GPU; none in host memory

 private:
  friend struct KvPoolAccess;
  KvPool() = default;
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

/// The KV cache of one sequence. Every layer and KV head has its own page list. One writer at a time; readers may
/// share.
///
/// Every operation succeeds or changes nothing. When pages or memory run out halfway (Error kOutOfBudget for the budget
/// and a GPU's memory, std::bad_alloc for the host's), lengths, positions, contents, pages, what is reserved and what
/// the pool counts as used are what they were before, of forks too, and the operation may be tried again. What only
/// gives memory back needs none. A GPU that has failed (kIo: CUDA takes nothing more from this process) loses contents.
class TCA_API KvCache {
 public:
  KvCache(std::shared_ptr<KvPool> pool, const KvShape& shape);
  ~KvCache();
  KvCache(KvCache&&) noexcept;
  KvCache& operator=(KvCache&&) noexcept;

  const KvShape& shape() const noexcept;
  const std::shared_ptr<KvPool>& pool() const noexcept;

  /// Tokens this layer has seen, dropped ones included: the position of the next token.
  std::int64_t num_tokens(std::int32_t layer) const;
  /// Tokens held for one head.
  std::int64_t length(std::int32_t layer, std::int32_t kv_head) const;
  std::int32_t num_pages(std::int32_t layer, std::int32_t kv_head) const;
  KvPageView page(std::int32_t layer, std::int32_t kv_head, std::int32_t index) const;
  /// Position of the token in slot `slot` of a head's list, slot in [0, length).
  std::int32_t position(std::int32_t layer, std::int32_t kv_head, std::int64_t slot) const;
  /// First slot not yet offered to thin(): everything from here on is held whole (the tail).
  std::int64_t tail_begin(std::int32_t layer, std::int32_t kv_head) const;

  /// Adds a segment k, v [n, num_kv_heads, head_dim] (dtype of the pool, or any that converts to it) that follows what
  /// is there. With kept: of each head only kept->head(h) and the last `window` tokens are stored, and the tail begins
  /// with that window; without: everything is stored and belongs to the tail. Throws kOutOfBudget with bytes asked and
  /// free.
  void store(std::int32_t layer, const TensorView& k, const TensorView& v, const KeptSet* kept = nullptr,
             std::int32_t window = 0);
  /// Takes the pages that storing `num_tokens` more tokens for every head of every layer needs, so that this cannot
  /// run out of budget, and gives back what was reserved beyond that. reserve(0) needs no memory.
  void reserve(std::int64_t num_tokens);
  /// Of the tail's first `count` tokens of one head keeps those named (ascending offsets in [0, count)); the tail then
  /// begins after them. Pages that become empty are freed.
  void thin(std::int32_t layer, std::int32_t kv_head, std::int64_t count, std::span<const std::int32_t> keep);

  /// A second sequence with the same past. Pages are shared until one side writes to them.
  KvCache fork() const;
  /// Takes the newest tokens back: every layer has seen num_tokens then, and holds what it held when it last had that
  /// many. Pages that become empty are freed; no memory is needed. What thin() and kept sets dropped does not come
  /// back, so num_tokens must be 0 or at least truncation_limit(), and no more than any layer has seen. A fork made in
  /// time goes back further.
  void truncate(std::int64_t num_tokens);
  /// What the layers had seen, at most, when tokens were last thinned or stored with a kept set; 0: never. A cache that
  /// was loaded and does not hold all its tokens counts as thinned when it was saved.
  std::int64_t truncation_limit() const;
  /// Drops everything, and what was reserved.
  void clear() noexcept;
  /// Pages that one more store() of n tokens for all heads of all layers could need at most.
  std::int64_t pages_needed(std::int64_t num_tokens) const;
  /// Bytes of the pages this cache refers to (shared ones counted in full).
  std::size_t bytes_used() const;

  /// Writes the cache and an opaque text (at most 1 GiB) to a file: versioned, with a checksum, through a temporary
  /// file and a rename.
  void save(const std::string& path, const std::string& metadata) const;
  /// Reads it back. Throws kBadFile naming the field; the file is untrusted. `accept` sees the stored shape and
  /// metadata before any page is allocated, and throws to refuse them.
  static KvCache load(const std::string& path, std::shared_ptr<KvPool> pool,
                      const std::function<void(const KvShape&, const std::string& metadata)>& accept);

 private:
  friend struct KvCacheAccess;
  struct Impl;
  explicit KvCache(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace tca
