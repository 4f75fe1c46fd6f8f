// The highest scores of a whole segment: a radix select finds the last token that is kept, then every token compares
// itself with that one. Nothing is sorted.
#include <cub/block/block_scan.cuh>

#include "cuda/smxx/select/choose.h"
#include "cuda/smxx/select/choose_tokens.h"

namespace tca::cuda {
namespace {

// One block a head reads its scores three to six times: many threads, each with several loads on their way, are what it
// takes to come near the 64 bytes a clock that one multiprocessor gets from L2.
constexpr int kThreads = 1024, kBatch = 8;
constexpr int kDigits = 2 * kThreads;  // of the first digit, 11 bits; the second and third have 10
constexpr int kMarkThreads = 256;

/// 31 bits, lower for higher scores: floats that are not negative order like their bits. NaN counts as 0.
__device__ __forceinline__ int score_key(float score) { return 0x7fffffff - __float_as_int(fmaxf(score, 0.f)); }

/// Where a key lies among those below a token.
struct Place {
  int key;
  int rank;    // from 1, among the equal ones
  int equals;  // how many there are
};

/// The wanted-th smallest (from 1) of the keys of tokens [begin, end), digit by digit. Keys have 31 bits; tokens with
/// key -1 do not take part. For the whole block.
template <class KeyOf>
__device__ Place nth_smallest(int begin, int end, int wanted, const KeyOf& key_of) {
  using Scan = cub::BlockScan<int, kThreads>;
  __shared__ typename Scan::TempStorage storage;
  __shared__ int counts[kDigits];
  __shared__ Place found;
  const int mine = 2 * threadIdx.x;
  Place place{0, wanted, 0};
  for (int shift = 20; shift >= 0; shift -= 10) {
    const int width = shift == 20 ? 11 : 10;
    counts[mine] = counts[mine + 1] = 0;
    __syncthreads();
    for (int first = begin + threadIdx.x; first < end; first += kBatch * kThreads) {
      int keys[kBatch];
#pragma unroll
      for (int i = 0; i < kBatch; ++i) {
        const int token = first + i * kThreads;
        keys[i] = token < end ? key_of(token) : -1;
      }
#pragma unroll
      for (int i = 0; i < kBatch; ++i) {
        if (keys[i] >> (shift + width) == place.key) atomicAdd(&counts[(keys[i] >> shift) & ((1 << width) - 1)], 1);
      }
    }
    __syncthreads();
    int pair[2] = {counts[mine], counts[mine + 1]};
    int before[2];
    Scan(storage).ExclusiveSum(pair, before);
    for (int i = 0; i < 2; ++i) {
      if (before[i] < place.rank && place.rank <= before[i] + pair[i]) {
        found = {place.key << width | (mine + i), place.rank - before[i], pair[i]};
      }
    }
    __syncthreads();
    place = found;
  }
  return place;
}

__global__ void __launch_bounds__(kThreads) last_kernel(ChooseTokensArgs a) {
  const int head = blockIdx.x, begin = min(a.sinks, a.num_tokens), end = a.ends[head], count = a.counts[head];
  int key = -1, position = -1;  // nothing
  if (count == end - begin) {
    key = 0x7fffffff, position = end - 1;  // everything
  } else if (count > 0) {
    const float* __restrict__ scores = a.scores + std::int64_t(head) * a.num_tokens;
    const Place lowest = nth_smallest(begin, end, count, [&](int token) { return score_key(scores[token]); });
    key = lowest.key, position = end - 1;
    if (lowest.rank < lowest.equals) {
      const auto place_of = [&](int token) { return score_key(scores[token]) == key ? token : -1; };
      position = nth_smallest(begin, end, lowest.rank, place_of).key;
    }
  }
  if (threadIdx.x == 0) a.last[2 * head] = key, a.last[2 * head + 1] = position;
}

/// One thread a token; a warp's votes are half a word.
__global__ void mark_kernel(ChooseTokensArgs a) {
  const std::int64_t head = blockIdx.y;
  const int token = blockIdx.x * kMarkThreads + threadIdx.x, halves = 2 * ((a.num_tokens + 63) / 64);
  bool kept = false;
  if (token < a.num_tokens) {
    const int key = score_key(a.scores[head * a.num_tokens + token]), last = a.last[2 * head];
    kept = token < a.sinks || token >= a.ends[head] || key < last || (key == last && token <= a.last[2 * head + 1]);
  }
  const unsigned votes = __ballot_sync(0xffffffffu, kept);
  if (threadIdx.x % 32 == 0 && token / 32 < halves) {
    reinterpret_cast<std::uint32_t*>(a.bits)[head * halves + token / 32] = votes;
  }
}

}  // namespace

cudaError_t choose_tokens(const ChooseTokensArgs& a, cudaStream_t stream) {
  const unsigned heads = a.num_kv_heads, tiles = (a.num_tokens + kMarkThreads - 1) / kMarkThreads;
  last_kernel<<<heads, kThreads, 0, stream>>>(a);
  mark_kernel<<<dim3(tiles, heads), kMarkThreads, 0, stream>>>(a);
  return count_kept(a.bits, a.prefix, a.order, a.num_kv_heads, a.num_tokens, stream);
}

}  // namespace tca::cuda
