#include "cuda/backend/sparsity.h"

#include <algorithm>

#include "core/kv_cache_impl.h"
#include "cuda/kv/device_pages.h"
#include "cuda/smxx/kv/pages.h"
#include "cuda/smxx/select/choose.h"

namespace tca::cuda {
namespace {

/// Every head keeps the first `sinks` tokens already.
bool has_sinks(const KeptSet& set, std::int64_t sinks) {
  for (std::int32_t h = 0; h < set.num_kv_heads() && sinks > 0; ++h) {
    const auto positions = set.head(h);
    const auto last = static_cast<std::size_t>(sinks - 1);  // positions ascend
    if (positions.size() <= last || positions[last] != sinks - 1) return false;
  }
  return true;
}

std::vector<std::int64_t> counts_with_sinks(const KeptSet& set, std::int64_t sinks) {
  std::vector<std::int64_t> counts;
  for (std::int32_t h = 0; h < set.num_kv_heads(); ++h) {
    const auto positions = set.head(h);
    const auto behind = std::lower_bound(positions.begin(), positions.end(), sinks);
    counts.push_back(sinks + (positions.end() - behind));
  }
  return counts;
}

}  // namespace

DeviceKept::DeviceKept(Device& maker, const std::vector<std::int64_t>& set_offsets, std::int64_t set_tokens)
    : device(maker.shared_from_this()), offsets(set_offsets), num_tokens(set_tokens), memory(maker.memory()) {
  const std::size_t heads = set_offsets.size() - 1, words = (static_cast<std::size_t>(set_tokens) + 63) / 64;
  mutable_bits = static_cast<std::uint64_t*>(memory.reserve(heads * (words * 8 + (words + 1) * 4 + 4)));
  mutable_prefix = reinterpret_cast<std::int32_t*>(mutable_bits + heads * words);
  mutable_order = mutable_prefix + heads * (words + 1);
  bits = {mutable_bits, mutable_prefix, mutable_order, static_cast<std::int32_t>(words)};
}

KeptOnGpu kept_on_gpu(Staging& staging, const KeptSet& set, std::int32_t sinks) {
  const std::int64_t first = std::min<std::int64_t>(sinks, set.num_tokens);
  KeptOnGpu result{nullptr, counts_with_sinks(set, first)};
  if (set.device != nullptr && has_sinks(set, first)) {
    auto ready = std::static_pointer_cast<const DeviceKept>(set.device);
    const bool here = ready->device->ordinal() == staging.device().ordinal();
    if (here && ready->num_tokens == set.num_tokens && ready->offsets == set.offsets) {
      staging.borrow_from(*ready->device);
      result.owner = std::move(ready);
      return result;
    }
  }
  const auto made = std::make_shared<DeviceKept>(staging.device(), set.offsets, set.num_tokens);
  check(mark({.positions = staging.upload(set.positions),
              .offsets = staging.upload(set.offsets),
              .num_positions = static_cast<std::int64_t>(set.positions.size()),
              .num_kv_heads = set.num_kv_heads(),
              .num_tokens = static_cast<std::int32_t>(set.num_tokens),
              .sinks = static_cast<std::int32_t>(first),
              .bits = made->mutable_bits,
              .prefix = made->mutable_prefix,
              .order = made->mutable_order},
             staging.stream()),
        "marking kept tokens");
  result.owner = made;
  return result;
}

PagedPast paged(Staging& staging, const KvCache& cache, std::int32_t layer) {
  DevicePages& pages = static_cast<DevicePages&>(KvPoolAccess::pages(*cache.pool()));
  PageTableUpdate update(pages);
  update.add(cache, layer, layer + 1);
  update.run();
  staging.borrow_from(pages.device());
  PagedPast past;
  past.pool = pages.base();
  past.sequence = PageTables::of(cache).layer(layer);
  for (std::int32_t h = 0; h < cache.shape().num_kv_heads; ++h) {
    past.lengths.push_back(cache.length(layer, h));
    past.num_pages = std::max(past.num_pages, cache.num_pages(layer, h));
  }
  return past;
}

PagedPast paged(Staging& staging, const Past& past) {
  if (past.cache == nullptr || past.cache->num_tokens(past.layer) == 0) return {};
  return paged(staging, *past.cache, past.layer);
}

KeySource segment_keys(const TensorView& k) {
  return {.data = k.data,
          .base = nullptr,
          .head_stride = k.head_stride,
          .row_stride = k.token_stride,
          .counts = nullptr,
          .num_rows = static_cast<std::int32_t>(k.num_tokens)};
}

KeySource past_keys(Staging& staging, const PagedPast& past, std::int32_t head_dim) {
  std::vector<std::int64_t> rows, elements;
  std::int64_t total = 0, longest = 0;
  for (const std::int64_t length : past.lengths) {
    rows.push_back(total);
    elements.push_back(total * head_dim);
    total += (length + 127) / 128 * 128;
    longest = std::max(longest, length);
  }
  if (longest == 0) return {};
  auto* const keys = staging.allocate_array<std::uint16_t>(total * head_dim);
  check(gather_pages({.pool = past.pool,
                      .sequence = past.sequence,
                      .num_pages = past.num_pages,
                      .num_kv_heads = static_cast<std::int32_t>(past.lengths.size()),
                      .head_dim = head_dim,
                      .out_k = keys,
                      .out_v = nullptr,
                      .base = staging.upload(rows)},
                     staging.stream()),
        "reading the cache");
  return {.data = keys,
          .base = staging.upload(elements),
          .head_stride = 0,
          .row_stride = head_dim,
          .counts = past.sequence.lengths,
          .num_rows = static_cast<std::int32_t>(longest)};
}

}  // namespace tca::cuda
