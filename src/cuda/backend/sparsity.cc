#include "cuda/backend/sparsity.h"

#include <algorithm>
#include <bit>
#include <span>

#include "core/kv_cache_impl.h"
#include "cuda/kv/device_pages.h"
#include "cuda/smxx/kv/pages.h"
#include "cuda/smxx/select/choose.h"

namespace tca::cuda {
namespace {

/// Tokens of one head, and the first `sinks` ones.
std::int64_t count_with_sinks(std::span<const std::int32_t> positions, std::int64_t sinks) {
  const auto behind = std::lower_bound(positions.begin(), positions.end(), sinks);
  return sinks + (positions.end() - behind);
}

/// Positions from bits, and the offsets their prefixes give.
void expand(std::span<const std::uint64_t> bits, std::span<const std::int32_t> prefix, std::size_t num_kv_heads,
            std::vector<std::int64_t>& offsets, std::vector<std::int32_t>& positions) {
  const std::size_t words = bits.size() / num_kv_heads;
  offsets = {0};
  for (std::size_t h = 0; h < num_kv_heads; ++h) {
    offsets.push_back(offsets.back() + prefix[h * (words + 1) + words]);
  }
  positions.clear();
  positions.reserve(static_cast<std::size_t>(offsets.back()));
  for (std::size_t i = 0; i < bits.size(); ++i) {
    const auto first = static_cast<std::int32_t>(64 * (i % words));
    for (std::uint64_t word = bits[i]; word != 0; word &= word - 1) {
      positions.push_back(first + std::countr_zero(word));
    }
  }
}

}  // namespace

DeviceKept::DeviceKept(Device& maker, std::int32_t num_kv_heads, std::int64_t num_tokens)
    : device_(maker.shared_from_this()),
      num_kv_heads_(static_cast<std::size_t>(num_kv_heads)),
      num_words_((static_cast<std::size_t>(num_tokens) + 63) / 64),
      memory_(maker.memory()) {
  bits_ = static_cast<std::uint64_t*>(memory_.reserve(host_bytes() + num_kv_heads_ * 4));
  prefix_ = reinterpret_cast<std::int32_t*>(bits_ + num_kv_heads_ * num_words_);
  order_ = prefix_ + num_kv_heads_ * (num_words_ + 1);
}

DeviceKept::~DeviceKept() {
  if (host_.data != nullptr) device_->pinned().give_back(host_);
}

void DeviceKept::send_to_host() {
  host_ = device_->pinned().take(host_bytes());
  check(cudaMemcpyAsync(host_.data, bits_, host_bytes(), cudaMemcpyDeviceToHost, device_->stream()),
        "copying a result");
  check(cudaEventRecord(host_.done, device_->stream()), "copying a result");
}

void DeviceKept::fetch(std::vector<std::int64_t>& offsets, std::vector<std::int32_t>& positions) const {
  check(cudaEventSynchronize(host_.done), "choosing tokens");
  const auto* const bits = reinterpret_cast<const std::uint64_t*>(host_.data);
  const std::size_t words = num_kv_heads_ * num_words_;
  expand({bits, words}, {reinterpret_cast<const std::int32_t*>(bits + words), num_kv_heads_ * (num_words_ + 1)},
         num_kv_heads_, offsets, positions);
}

std::shared_ptr<const DeviceKept> kept_on_gpu(Staging& staging, const KeptSet& set, std::int32_t sinks) {
  const std::int64_t first = std::min<std::int64_t>(sinks, set.num_tokens());
  // The only kind there is.
  auto chosen = std::static_pointer_cast<const DeviceKept>(KeptSetAccess::source(set));
  if (chosen != nullptr && chosen->sinks >= first && chosen->device().ordinal() == staging.device().ordinal()) {
    staging.borrow_from(chosen->device());
    return chosen;
  }
  const auto made = std::make_shared<DeviceKept>(staging.device(), set.num_kv_heads(), set.num_tokens());
  made->sinks = first;
  for (std::int32_t h = 0; h < set.num_kv_heads(); ++h) {
    made->most.push_back(count_with_sinks(set.head(h), first));
    made->everything.push_back(made->most.back() == set.num_tokens());
  }
  check(mark({.positions = staging.upload(set.positions()),
              .offsets = staging.upload(set.offsets()),
              .num_positions = static_cast<std::int64_t>(set.positions().size()),
              .num_kv_heads = set.num_kv_heads(),
              .num_tokens = static_cast<std::int32_t>(set.num_tokens()),
              .sinks = static_cast<std::int32_t>(first),
              .bits = made->mutable_bits(),
              .prefix = made->mutable_prefix(),
              .order = made->mutable_order()},
             staging.stream()),
        "marking kept tokens");
  return made;
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

KeysAndValues past_rows(Staging& staging, const PagedPast& past, std::int32_t head_dim, bool with_values) {
  std::vector<std::int64_t> rows, elements;
  std::int64_t total = 0, longest = 0;
  for (const std::int64_t length : past.lengths) {
    rows.push_back(total);
    elements.push_back(total * head_dim);
    total += (length + 127) / 128 * 128;
    longest = std::max(longest, length);
  }
  if (longest == 0) return {};
  auto* const k = staging.allocate_array<std::uint16_t>(total * head_dim);
  auto* const v = with_values ? staging.allocate_array<std::uint16_t>(total * head_dim) : nullptr;
  check(gather_pages({.pool = past.pool,
                      .sequence = past.sequence,
                      .num_pages = past.num_pages,
                      .num_kv_heads = static_cast<std::int32_t>(past.lengths.size()),
                      .head_dim = head_dim,
                      .out_k = k,
                      .out_v = v,
                      .base = staging.upload(rows)},
                     staging.stream()),
        "reading the cache");
  KeysAndValues result{};
  result.k = {.data = k,
              .base = staging.upload(elements),
              .head_stride = 0,
              .row_stride = head_dim,
              .counts = past.sequence.lengths,
              .num_rows = static_cast<std::int32_t>(longest)};
  if (with_values) {
    result.v = result.k;
    result.v.data = v;
  }
  return result;
}

}  // namespace tca::cuda
