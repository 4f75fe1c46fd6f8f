// Kept sets and pasts of one call, on the GPU.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "cuda/backend/staging.h"
#include "cuda/kv/page_tables.h"
#include "cuda/params.h"
#include "tca/attention.h"

namespace tca::cuda {

/// KeptSet::device of this backend: the bits of exactly the set it was made with.
struct DeviceKept {
  DeviceKept(Device& maker, const std::vector<std::int64_t>& set_offsets, std::int64_t set_tokens);

  std::shared_ptr<Device> device;     // whose stream they were made on
  std::vector<std::int64_t> offsets;  // of that set
  std::int64_t num_tokens;
  MemoryBlock memory;
  KeptBits bits{};
  std::uint64_t* mutable_bits = nullptr;
  std::int32_t* mutable_prefix = nullptr;
  std::int32_t* mutable_order = nullptr;
};

/// A kept set with the first `sinks` tokens in it, and what it then keeps of every head.
struct KeptOnGpu {
  std::shared_ptr<const DeviceKept> owner;
  std::vector<std::int64_t> counts;  // [Hk]
};
KeptOnGpu kept_on_gpu(Staging& staging, const KeptSet& set, std::int32_t sinks);

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

/// Keys of a past as rows, for kernels that read all of them.
KeySource past_keys(Staging& staging, const PagedPast& past, std::int32_t head_dim);
KeySource segment_keys(const TensorView& k);

}  // namespace tca::cuda
