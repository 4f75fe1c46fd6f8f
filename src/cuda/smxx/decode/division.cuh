// How the pages of all (sequence, KV head) entries are divided over the blocks.
#pragma once

#include "cuda/params.h"

namespace tca::cuda::decode_detail {

__device__ __forceinline__ int pages_of(int length) { return (length + kPageSize - 1) / kPageSize; }

__device__ __forceinline__ int length_of(const PagedLayer& kv, int entry) {
  return kv.sequences[entry / kv.num_kv_heads].lengths[entry % kv.num_kv_heads];
}

/// Exclusive prefix of page counts over all (sequence, head) entries, into shared memory [entries + 1].
template <int kThreads>
__device__ void scan_pages(const PagedLayer& kv, int entries, int* prefix) {
  __shared__ int warp_totals[kThreads / 32];
  __shared__ int carry;
  if (threadIdx.x == 0) carry = 0, prefix[0] = 0;
  __syncthreads();
  for (int base = 0; base < entries; base += kThreads) {
    const int e = base + threadIdx.x, lane = threadIdx.x % 32, warp = threadIdx.x / 32;
    int x = e < entries ? pages_of(length_of(kv, e)) : 0;
    for (int step = 1; step < 32; step *= 2) {
      const int y = __shfl_up_sync(0xffffffffu, x, step);
      if (lane >= step) x += y;
    }
    if (lane == 31) warp_totals[warp] = x;
    __syncthreads();
    int before = carry;
    for (int w = 0; w < warp; ++w) before += warp_totals[w];
    if (e < entries) prefix[e + 1] = before + x;
    __syncthreads();
    if (threadIdx.x == kThreads - 1) carry = before + x;
    __syncthreads();
  }
}

/// Number of the list that holds item i: the last one that does not begin behind it, empty lists left aside.
__device__ __forceinline__ int list_of(const int* prefix, int lists, int i) {
  int low = 0, high = lists - 1;
  while (low < high) {
    const int middle = (low + high + 1) / 2;
    if (prefix[middle] <= i) {
      low = middle;
    } else {
      high = middle - 1;
    }
  }
  return low;
}

/// How the pages are divided over the blocks. A block that goes from one entry to the next drains its pipeline and
/// merges twice, which takes as long as some pages: as long as that many make no difference, blocks begin with entries.
struct Division {
  static constexpr int kBoundaryPages = 8;
  int share;         // pages of a block
  const int* first;  // [entries + 1] first block of each entry, or null: blocks follow the list of pages

  /// Page numbers of block b in [page, end).
  __device__ void range(int b, const int* prefix, int entries, int& page, int& end) const {
    if (first == nullptr) {
      page = b * share;
      end = min(prefix[entries], page + share);
      return;
    }
    page = end = 0;
    if (b >= first[entries]) return;
    const int entry = list_of(first, entries, b);
    page = prefix[entry] + (b - first[entry]) * share;
    end = min(prefix[entry + 1], page + share);
  }
  __device__ int first_block(int entry, const int* prefix) const {
    return first == nullptr ? prefix[entry] / share : first[entry];
  }
  __device__ int last_block(int entry, const int* prefix) const {
    return first == nullptr ? (prefix[entry + 1] - 1) / share : first[entry + 1] - 1;
  }
};

/// Each warp tries one share; first_blocks is shared memory for [entries + 1].
template <int kThreads>
__device__ Division divide(const int* prefix, int entries, int* first_blocks) {
  const int blocks = gridDim.x, least = max(1, (prefix[entries] + blocks - 1) / blocks);
  if (entries * 2 > blocks) return {least, nullptr};
  __shared__ int best;
  if (threadIdx.x == 0) best = Division::kBoundaryPages;
  __syncthreads();
  const int warp = threadIdx.x / 32, lane = threadIdx.x % 32;
  for (int more = warp; more < Division::kBoundaryPages; more += kThreads / 32) {
    int count = 0;
    for (int e = lane; e < entries; e += 32) count += (prefix[e + 1] - prefix[e] + least + more - 1) / (least + more);
    count = __reduce_add_sync(0xffffffffu, count);
    if (lane == 0 && count <= blocks) atomicMin(&best, more);
  }
  __syncthreads();
  if (best == Division::kBoundaryPages) return {least, nullptr};
  const int share = least + best;
  if (warp == 0) {
    int before = 0;
    for (int base = 0; base < entries; base += 32) {
      const int e = base + lane;
      int x = e < entries ? (prefix[e + 1] - prefix[e] + share - 1) / share : 0;
      for (int step = 1; step < 32; step *= 2) {
        const int y = __shfl_up_sync(0xffffffffu, x, step);
        if (lane >= step) x += y;
      }
      if (e < entries) first_blocks[e + 1] = before + x;
      before += __shfl_sync(0xffffffffu, x, 31);
    }
    if (lane == 0) first_blocks[0] = 0;
  }
  __syncthreads();
  return {share, first_blocks};
}

}  // namespace tca::cuda::decode_detail
