// KV pages in GPU memory. The budget is one range of addresses, page p at base + p * page_bytes, so that kernels find a
// page by its number; memory stands behind it in chunks that come with the first page and go with the last.
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <vector>

#include "core/kv_pages.h"
#include "cuda/device.h"
#include "cuda/kv/virtual_range.h"

namespace tca::cuda {

class DevicePages final : public KvPages {
 public:
  /// head_dim 64, 96, 128 or 256; bf16 or fp16. Throws kUnsupported for anything else.
  DevicePages(std::shared_ptr<Device> device, std::size_t budget, std::int32_t head_dim, DType dtype);
  ~DevicePages() override;

  std::int32_t* positions(KvPage* page) const noexcept override;
  const void* k(const KvPage* page) const noexcept override;
  const void* v(const KvPage* page) const noexcept override;
  std::optional<Stream> stream() const override { return device_->id(); }
  void check_rows(const TensorView& k, const TensorView& v) const override;
  void write(const TensorView& k, const TensorView& v, std::span<const KvWrite> writes) override;
  void move(std::span<const KvMove> moves) override;
  void read_rows(const KvPage* page, std::int64_t count, std::byte* k, std::byte* v) const override;
  void write_rows(KvPage* page, std::int64_t count, const std::byte* k, const std::byte* v) override;

  /// On whose stream pages are written, moved and given back.
  Device& device() const { return *device_; }
  /// Of the page tables of all caches of this pool.
  std::mutex& tables_mutex() { return tables_mutex_; }
  /// What page numbers count from.
  void* base() const { return range_.base(); }
  /// Of the GPU's memory now.
  std::size_t mapped_bytes() const;

 protected:
  KvPage* allocate() noexcept override;
  void deallocate(KvPage* page) noexcept override;

 private:
  struct Chunk {
    std::vector<std::int32_t> free;  // page numbers, while it is mapped
  };
  bool is_empty(std::size_t chunk) const { return chunks_[chunk].free.size() == pages_per_chunk_; }
  bool map(std::size_t chunk) noexcept;
  std::byte* address(const KvPage* page) const noexcept;
  void write_heads(const TensorView& k, const TensorView& v, std::span<const KvWrite> writes);
  /// The held rows of a tensor in host memory, converted: of head h's first on, one after the other.
  void pack_rows(const TensorView& from, std::span<const KvWrite> writes, std::byte* to) const;

  std::shared_ptr<Device> device_;
  std::mutex tables_mutex_;
  std::size_t chunk_bytes_, pages_per_chunk_;
  VirtualRange range_;
  mutable std::mutex mutex_;   // of what follows
  std::vector<Chunk> chunks_;  // [range_.num_chunks()]
  std::size_t lowest_ = 0;     // no chunk before it has a free page
};

}  // namespace tca::cuda
