#include <algorithm>
#include <bit>

#include "cuda/kv/page_tables.h"

namespace tca::cuda {
namespace {

constexpr int kThreads = 256;
constexpr std::int32_t kLeastPages = 64;  // 4096 tokens

__global__ void __launch_bounds__(kThreads) place_kernel(const PageTableUpdate::Entry* entries, int count) {
  const int i = blockIdx.x * kThreads + threadIdx.x;
  if (i < count) *entries[i].address = entries[i].value;
}

std::int32_t* as_numbers(const MemoryBlock& block) { return static_cast<std::int32_t*>(block.data()); }

}  // namespace

PageTables::PageTables(Memory& memory, const KvShape& shape)
    : num_layers_(shape.num_layers), num_kv_heads_(shape.num_kv_heads), tables_(memory), lengths_(memory) {
  lengths_.reserve(static_cast<std::size_t>(num_layers_) * static_cast<std::size_t>(num_kv_heads_) *
                   sizeof(std::int32_t));
}

PageTables& PageTables::of(const KvCache& cache) {
  std::unique_ptr<KvMirror>& mirror = KvCacheAccess::impl(cache).mirror;
  if (mirror == nullptr) {
    Device& device = static_cast<const DevicePages&>(KvPoolAccess::pages(*cache.pool())).device();
    mirror.reset(new PageTables(device.memory(), cache.shape()));
  }
  return static_cast<PageTables&>(*mirror);
}

PagedSequence PageTables::layer(std::int32_t layer) const {
  const std::int64_t first = std::int64_t{layer} * num_kv_heads_;
  return {as_numbers(tables_) + first * max_pages_, as_numbers(lengths_) + first, max_pages_};
}

void PageTables::make_room(KvCacheAccess::Impl& cache) {
  std::size_t most = 0;
  for (const KvList& list : cache.lists) most = std::max(most, list.pages.size());
  if (most <= static_cast<std::size_t>(max_pages_)) return;
  // Doubling, so that a growing cache sends its table seldom.
  max_pages_ = std::max(kLeastPages, static_cast<std::int32_t>(std::bit_ceil(most)));
  tables_.release();
  tables_.reserve(cache.lists.size() * static_cast<std::size_t>(max_pages_) * sizeof(std::int32_t));
  for (KvList& list : cache.lists) list.mirrored = 0;
}

void PageTableUpdate::add(const KvCache& cache, std::int32_t first_layer, std::int32_t last_layer) {
  PageTables& tables = PageTables::of(cache);
  KvCacheAccess::Impl& impl = KvCacheAccess::impl(cache);
  tables.make_room(impl);
  for (std::int32_t layer = first_layer; layer < last_layer; ++layer) {
    const PagedSequence there = tables.layer(layer);
    for (std::int32_t h = 0; h < impl.shape.num_kv_heads; ++h) {
      KvList& list = impl.list(layer, h);
      auto* const numbers = const_cast<std::int32_t*>(there.table) + std::int64_t{h} * there.max_pages;
      for (; list.mirrored < list.pages.size(); ++list.mirrored) {
        entries_.push_back({numbers + list.mirrored, list.pages[list.mirrored]->number});
      }
      entries_.push_back({const_cast<std::int32_t*>(there.lengths) + h, static_cast<std::int32_t>(list.length)});
    }
  }
}

void PageTableUpdate::run() {
  if (entries_.empty()) return;
  const DeviceGuard guard(device_.ordinal());
  const std::size_t bytes = entries_.size() * sizeof(Entry);
  MemoryBlock block(device_.memory());
  auto* const there = static_cast<Entry*>(block.reserve(bytes));
  device_.upload(there, entries_.data(), bytes);
  const int count = static_cast<int>(entries_.size());
  place_kernel<<<(count + kThreads - 1) / kThreads, kThreads, 0, device_.stream()>>>(there, count);
  check(cudaGetLastError(), "updating page tables");
  entries_.clear();
}

}  // namespace tca::cuda
