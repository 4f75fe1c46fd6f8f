// Moving rows between dense K/V, compact rows and pages. Memory-bound: every row is read and written once in 16-byte
// pieces.
#include "cuda/mma.cuh"
#include "cuda/smxx/kv/pages.h"

namespace tca::cuda {
namespace {

constexpr int kThreads = 128;
using Chunk = uint4;  // 16 bytes, 8 elements

/// Where a token lies: its page's K and V rows.
template <int kHeadDim>
struct PageSlot {
  Chunk* page;
  int row;
  __device__ PageSlot(const void* pool, std::int64_t number, int place) : row(place) {
    page = static_cast<Chunk*>(const_cast<void*>(pool)) + number * (2 * kPageSize * kHeadDim / 8);
  }
  __device__ Chunk& k(int c) const { return page[SwizzledRows<kHeadDim>::offset(row, c) / 8]; }
  __device__ Chunk& v(int c) const {
    return page[kPageSize * kHeadDim / 8 + SwizzledRows<kHeadDim>::offset(row, c) / 8];
  }
};
template <int kHeadDim>
__device__ __forceinline__ PageSlot<kHeadDim> slot_of(const void* pool, const PagedSequence& s, int head, int slot) {
  return {pool, s.table[std::int64_t(head) * s.max_pages + slot / kPageSize], slot % kPageSize};
}

__device__ __forceinline__ const Chunk* row_of(const void* data, std::int64_t offset) {
  return reinterpret_cast<const Chunk*>(static_cast<const std::uint16_t*>(data) + offset);
}

/// Tokens of one word that are taken, in order, in shared memory; returns how many.
__device__ __forceinline__ int list_word(std::uint64_t word, std::uint8_t* tokens) {
  const int t = threadIdx.x;
  if (t < 64 && (word >> t & 1)) tokens[__popcll(word & ((1ull << t) - 1))] = static_cast<std::uint8_t>(t);
  __syncthreads();
  return __popcll(word);
}

template <int kHeadDim>
__global__ void __launch_bounds__(kThreads) compact_kernel(CompactArgs a) {
  constexpr int kChunks = kHeadDim / 8;
  __shared__ std::uint8_t tokens[64];
  const std::int64_t head = blockIdx.y;
  if (a.base[head] < 0) return;
  const std::int64_t row0 = a.base[head] + (a.past != nullptr ? a.past[head] : 0);
  const std::int32_t* prefix = a.kept.prefix + head * (a.kept.num_words + 1);
  Chunk* out_k = static_cast<Chunk*>(a.out_k);
  Chunk* out_v = static_cast<Chunk*>(a.out_v);
  if (blockIdx.x == a.kept.num_words) {  // the padding
    const std::int64_t end = row0 + prefix[a.kept.num_words],
                       padded = a.base[head] + (end - a.base[head] + 127) / 128 * 128;
    for (std::int64_t i = end * kChunks + threadIdx.x; i < padded * kChunks; i += kThreads)
      out_k[i] = out_v[i] = Chunk{};
    return;
  }
  const int n = list_word(a.kept.bits[head * a.kept.num_words + blockIdx.x], tokens);
  const std::int64_t first = row0 + prefix[blockIdx.x];
  for (int i = threadIdx.x; i < n * kChunks; i += kThreads) {
    const int r = i / kChunks, c = i % kChunks, token = blockIdx.x * 64 + tokens[r];
    out_k[(first + r) * kChunks + c] = row_of(a.k, token * a.k_token_stride + head * kHeadDim)[c];
    out_v[(first + r) * kChunks + c] = row_of(a.v, token * a.v_token_stride + head * kHeadDim)[c];
  }
}

template <int kHeadDim>
__global__ void __launch_bounds__(kThreads) gather_kernel(GatherArgs a) {
  constexpr int kChunks = kHeadDim / 8;
  const int head = blockIdx.y, length = a.sequence.lengths[head], slot0 = blockIdx.x * kPageSize;
  if (a.base[head] < 0) return;
  Chunk* out_k = static_cast<Chunk*>(a.out_k) + (a.base[head] + slot0) * kChunks;
  Chunk* out_v = a.out_v == nullptr ? nullptr : static_cast<Chunk*>(a.out_v) + (a.base[head] + slot0) * kChunks;
  // Zeros up to the next multiple of 128 for callers without kept tokens behind the past.
  const int rows = min(kPageSize, (length + 127) / 128 * 128 - slot0);
  for (int i = threadIdx.x; i < rows * kChunks; i += kThreads) {
    const int r = i / kChunks, c = i % kChunks;
    Chunk k{}, v{};
    if (slot0 + r < length) {
      const PageSlot<kHeadDim> slot = slot_of<kHeadDim>(a.pool, a.sequence, head, slot0 + r);
      k = slot.k(c);
      if (out_v != nullptr) v = slot.v(c);
    }
    out_k[i] = k;
    if (out_v != nullptr) out_v[i] = v;
  }
}

template <int kHeadDim>
__global__ void __launch_bounds__(kThreads) write_kernel(WriteArgs a) {
  constexpr int kChunks = kHeadDim / 8;
  const std::int64_t head = blockIdx.y;
  const HeadWrite w = a.heads[head];
  const int first = blockIdx.x * kPageSize, rows = min(kPageSize, w.count - first);
  for (int i = threadIdx.x; i < rows * kChunks; i += kThreads) {
    const int r = first + i / kChunks, c = i % kChunks, slot = w.first_slot + r;
    const std::int64_t token = r < w.num_chosen ? a.chosen[w.chosen + r] : w.window_begin + r - w.num_chosen;
    const PageSlot<kHeadDim> to(a.pool, a.pages[w.pages + slot / kPageSize], slot % kPageSize);
    to.k(c) = row_of(a.k, token * a.k_token_stride + head * a.k_head_stride)[c];
    to.v(c) = row_of(a.v, token * a.v_token_stride + head * a.v_head_stride)[c];
  }
}

/// Slots to rows, or rows to slots.
template <int kHeadDim>
__global__ void __launch_bounds__(kThreads) move_kernel(MoveArgs a, bool to_slots) {
  constexpr int kChunks = kHeadDim / 8;
  const std::int64_t i = std::int64_t(blockIdx.x) * kThreads + threadIdx.x;
  if (i >= std::int64_t(a.count) * kChunks) return;
  const std::int64_t token = i / kChunks, number = to_slots ? a.to[token] : a.from[token];
  const int c = i % kChunks;
  const PageSlot<kHeadDim> slot(a.pool, number / kPageSize, number % kPageSize);
  Chunk* rows = static_cast<Chunk*>(a.rows) + token * 2 * kChunks + c;
  if (to_slots) {
    slot.k(c) = rows[0], slot.v(c) = rows[kChunks];
  } else {
    rows[0] = slot.k(c), rows[kChunks] = slot.v(c);
  }
}

}  // namespace

// Rows move as 16-bit words, so bf16 and fp16 share every kernel.
cudaError_t compact(const CompactArgs& a, cudaStream_t stream) {
  const bool known = dispatch_head_dim(a.head_dim, [&]<int kHeadDim>() {
    compact_kernel<kHeadDim><<<dim3(a.kept.num_words + 1, a.num_kv_heads), kThreads, 0, stream>>>(a);
  });
  return known ? cudaGetLastError() : cudaErrorInvalidValue;
}

cudaError_t gather_pages(const GatherArgs& a, cudaStream_t stream) {
  // One more page than a sequence can fill, for the padding.
  const bool known = dispatch_head_dim(a.head_dim, [&]<int kHeadDim>() {
    gather_kernel<kHeadDim><<<dim3(a.num_pages + 1, a.num_kv_heads), kThreads, 0, stream>>>(a);
  });
  return known ? cudaGetLastError() : cudaErrorInvalidValue;
}

cudaError_t write_tokens(const WriteArgs& a, cudaStream_t stream) {
  if (a.most_tokens == 0) return cudaSuccess;
  const bool known = dispatch_head_dim(a.head_dim, [&]<int kHeadDim>() {
    const unsigned parts = (a.most_tokens + kPageSize - 1) / kPageSize;
    write_kernel<kHeadDim><<<dim3(parts, a.num_kv_heads), kThreads, 0, stream>>>(a);
  });
  return known ? cudaGetLastError() : cudaErrorInvalidValue;
}

cudaError_t move_tokens(const MoveArgs& a, cudaStream_t stream) {
  if (a.count == 0) return cudaSuccess;
  const bool known = dispatch_head_dim(a.head_dim, [&]<int kHeadDim>() {
    const auto blocks = static_cast<unsigned>((std::int64_t(a.count) * (kHeadDim / 8) + kThreads - 1) / kThreads);
    move_kernel<kHeadDim><<<blocks, kThreads, 0, stream>>>(a, false);
    move_kernel<kHeadDim><<<blocks, kThreads, 0, stream>>>(a, true);
  });
  return known ? cudaGetLastError() : cudaErrorInvalidValue;
}

}  // namespace tca::cuda
