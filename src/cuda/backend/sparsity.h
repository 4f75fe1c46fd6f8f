// Kept sets and pasts of one call, on the GPU.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "core/kept_set.h"
#include "cuda/backend/staging.h"
#include "cuda/kv/page_tables.h"
#include "cuda/params.h"
#include "cuda/smxx/kv/pages.h"
#include "tca/attention.h"

namespace tca::cuda {

/// A kept set on the GPU, maybe with a copy on its way to the host. Freed on the stream it was made on.
class DeviceKept final : public KeptSource {
 public:
  DeviceKept(Device& maker, std::int32_t num_kv_heads, std::int64_t num_tokens);
  ~DeviceKept() override;

  Device& device() const { return *device_; }
  KeptBits bits() const { return {bits_, prefix_, order_, static_cast<std::int32_t>(num_words_)}; }
  std::uint64_t* mutable_bits() { return bits_; }
  std::int32_t* mutable_prefix() { return prefix_; }
  std::int32_t* mutable_order() { return order_; }

  /// Queues the copy that fetch() waits for, behind what has filled the set.
  void send_to_host();
  void fetch(std::vector<std::int64_t>& offsets, std::vector<std::int32_t>& positions) const override;

  /// What is known of it before it has arrived.
  std::int64_t sinks = 0;          // every head keeps the first so many
  std::vector<std::int64_t> most;  // [Hk] tokens a head keeps at most
  std::vector<bool> everything;    // [Hk] it keeps all tokens

 private:
  std::size_t host_bytes() const { return num_kv_heads_ * (num_words_ * 8 + (num_words_ + 1) * 4); }

  std::shared_ptr<Device> device_;
  std::size_t num_kv_heads_, num_words_;
  MemoryBlock memory_;
  std::uint64_t* bits_;
  std::int32_t* prefix_;  // behind the bits, as on the host
  std::int32_t* order_;
  PinnedPool::Block host_;  // empty when nothing was sent
};

/// A kept set with the first `sinks` tokens in it. Waits only for positions that a GPU chose with fewer sinks, or that
/// another GPU chose.
std::shared_ptr<const DeviceKept> kept_on_gpu(Staging& staging, const KeptSet& set, std::int32_t sinks);

/// One layer of a cache, its page tables up to date; the call borrows it from the pool's stream.
struct PagedPast {
  const void* pool = nullptr;  // null: no past
  PagedSequence sequence{};
  std::vector<std::int64_t> lengths;  // [Hk] tokens held
  std::int32_t num_pages = 0;         // of the longest list
};
PagedPast paged(Staging& staging, const KvCache& cache, std::int32_t layer);
/// The same of a past; nothing when its layer has seen no token.
PagedPast paged(Staging& staging, const Past& past);

/// A past as rows, for kernels that read all of it; data is null where there is none.
KeysAndValues past_rows(Staging& staging, const PagedPast& past, std::int32_t head_dim, bool with_values);
KeySource segment_keys(const TensorView& k);

}  // namespace tca::cuda
