#include <cub/block/block_scan.cuh>
#include <cub/device/device_segmented_radix_sort.cuh>

#include "cuda/smxx/select/choose.h"

namespace tca::cuda {
namespace {

constexpr int kThreads = 256;

__device__ __forceinline__ int num_blocks(const ChooseArgs& a) {
  return (a.num_tokens + a.block_size - 1) / a.block_size;
}
__device__ __forceinline__ int num_words(const ChooseArgs& a) { return (a.num_tokens + 63) / 64; }
__host__ __device__ __forceinline__ int num_tiles(int num_tokens) { return (num_tokens + kThreads - 1) / kThreads; }

/// Sum over the block in an order fixed by the thread's number.
__device__ __forceinline__ float block_sum(float x) {
  __shared__ float warps[kThreads / 32];
  for (int step = 16; step > 0; step /= 2) x += __shfl_xor_sync(0xffffffffu, x, step);
  if (threadIdx.x % 32 == 0) warps[threadIdx.x / 32] = x;
  __syncthreads();
  float total = 0.f;
  for (int w = 0; w < kThreads / 32; ++w) total += warps[w];
  return total;
}

__global__ void pool_kernel(ChooseArgs a) {
  const std::int64_t head = blockIdx.y;
  const int token = blockIdx.x * kThreads + threadIdx.x, reach = a.pool_width / 2;
  const float* raw = a.raw + head * a.num_tokens;
  float best = 0.f;
  if (token < a.num_tokens) {
    for (int t = max(0, token - reach); t <= min(a.num_tokens - 1, token + reach); ++t) best = fmaxf(best, raw[t]);
    a.scores[head * a.num_tokens + token] = best;
  }
  const float sum = block_sum(best);
  if (threadIdx.x == 0) a.totals[head * (num_tiles(a.num_tokens) + 1) + blockIdx.x] = sum;
}

__global__ void total_kernel(ChooseArgs a) {
  const int tiles = num_tiles(a.num_tokens);
  float* totals = a.totals + std::int64_t(blockIdx.x) * (tiles + 1);
  float sum = 0.f;
  for (int t = threadIdx.x; t < tiles; t += kThreads) sum += totals[t];
  sum = block_sum(sum);
  if (threadIdx.x == 0) totals[tiles] = sum;
}

__global__ void normalise_kernel(ChooseArgs a) {
  const std::int64_t head = blockIdx.y;
  const int token = blockIdx.x * kThreads + threadIdx.x, tiles = num_tiles(a.num_tokens);
  if (token >= a.num_tokens) return;
  const float total = a.totals[head * (tiles + 1) + tiles];
  float& score = a.scores[head * a.num_tokens + token];
  score = total / static_cast<float>(a.num_rows) < 1e-30f ? 0.f : score / total;
}

/// One thread a block: sums in double in position order, as the definition asks.
__global__ void statistics_kernel(ChooseArgs a) {
  const int block = blockIdx.x * blockDim.x + threadIdx.x, n = num_blocks(a);
  if (block >= n) return;
  const std::int64_t head = blockIdx.y, at = head * n + block;
  const float* s = a.scores + head * a.num_tokens;
  double mass = 0, squares = 0;
  for (int t = block * a.block_size; t < min(a.num_tokens, (block + 1) * a.block_size); ++t) {
    const double x = isnan(s[t]) ? 0.0 : static_cast<double>(s[t]);
    mass = __dadd_rn(mass, x);
    squares = __dadd_rn(squares, __dmul_rn(x, x));
  }
  const double concentration = mass == 0 ? 1.0 : __ddiv_rn(squares, __dmul_rn(mass, mass));
  a.keys[at] = a.simpson ? -concentration : __ddiv_rn(mass, concentration);  // sorted descending
  a.blocks[at] = block;
}

__global__ void segments_kernel(ChooseArgs a) {
  for (int h = threadIdx.x; h <= a.num_kv_heads; h += blockDim.x) a.segments[h] = h * num_blocks(a);
}

__global__ void allocate_kernel(ChooseArgs a) {
  const int rank = blockIdx.x * blockDim.x + threadIdx.x, n = num_blocks(a);
  if (rank >= n) return;
  const std::int64_t head = blockIdx.y;
  const std::int32_t* levels = a.levels + head * (a.num_levels + 1);
  int keep = 0;
  for (int x = 0; x < a.num_levels; ++x) {
    if (rank >= levels[x] && rank < levels[x + 1]) keep = a.block_size >> x;
  }
  a.block_keeps[head * n + a.blocks[(a.num_kv_heads + head) * n + rank]] = keep;
}

/// One thread a token: its rank among the block's scores decides; a warp's votes are half a word.
__global__ void mark_kernel(ChooseArgs a) {
  const std::int64_t head = blockIdx.y;
  const int token = blockIdx.x * kThreads + threadIdx.x;
  const float* s = a.scores + head * a.num_tokens;
  bool kept = false;
  if (token < a.num_tokens) {
    const int block = token / a.block_size, begin = block * a.block_size, end = min(a.num_tokens, begin + a.block_size);
    const int keep = a.block_keeps[head * num_blocks(a) + block];
    if (keep >= a.block_size || token < a.sinks) {
      kept = true;
    } else if (keep > 0) {
      const float mine = isnan(s[token]) ? 0.f : s[token];
      int better = 0;
      for (int t = begin; t < end; ++t) {
        const float other = isnan(s[t]) ? 0.f : s[t];
        better += other > mine || (other == mine && t < token);
      }
      kept = better < keep;
    }
  }
  const unsigned votes = __ballot_sync(0xffffffffu, kept);
  if (threadIdx.x % 32 == 0 && token / 32 < 2 * num_words(a)) {
    reinterpret_cast<std::uint32_t*>(a.bits)[head * 2 * num_words(a) + token / 32] = votes;
  }
}

__global__ void prefix_kernel(const std::uint64_t* bits, std::int32_t* prefix, int words) {
  using Scan = cub::BlockScan<int, kThreads>;
  __shared__ typename Scan::TempStorage storage;
  const std::int64_t head = blockIdx.x;
  int base = 0;
  for (int w0 = 0; w0 < words; w0 += kThreads) {
    const int w = w0 + threadIdx.x;
    int before, total;
    Scan(storage).ExclusiveSum(w < words ? __popcll(bits[head * words + w]) : 0, before, total);
    if (w < words) prefix[head * (words + 1) + w] = base + before;
    base += total;
    __syncthreads();
  }
  if (threadIdx.x == 0) prefix[head * (words + 1) + words] = base;
}

/// Heads by count descending, ties to the lower head.
__global__ void order_kernel(const std::int32_t* prefix, std::int32_t* order, int heads, int words) {
  const auto count = [&](int h) { return prefix[std::int64_t(h) * (words + 1) + words]; };
  for (int h = threadIdx.x; h < heads; h += blockDim.x) {
    int rank = 0;
    for (int o = 0; o < heads; ++o) rank += count(o) > count(h) || (count(o) == count(h) && o < h);
    order[rank] = h;
  }
}

/// One thread a position, then one a sink.
__global__ void set_kernel(MarkArgs a) {
  const std::int64_t i = std::int64_t(blockIdx.x) * kThreads + threadIdx.x, words = (a.num_tokens + 63) / 64;
  const int sinks = min(a.sinks, a.num_tokens);
  int head = 0, token = 0;
  if (i < a.num_positions) {
    while (a.offsets[head + 1] <= i) ++head;
    token = a.positions[i];
  } else {
    const std::int64_t rest = i - a.num_positions;
    if (rest >= std::int64_t(a.num_kv_heads) * sinks) return;
    head = static_cast<int>(rest / sinks), token = static_cast<int>(rest % sinks);
  }
  // Bits are or-ed: the order of threads changes nothing.
  atomicOr(reinterpret_cast<unsigned long long*>(a.bits + head * words + token / 64), 1ull << token % 64);
}

}  // namespace

cudaError_t count_kept(const std::uint64_t* bits, std::int32_t* prefix, std::int32_t* order, std::int32_t heads,
                       std::int32_t tokens, cudaStream_t stream) {
  const int words = (tokens + 63) / 64;
  prefix_kernel<<<heads, kThreads, 0, stream>>>(bits, prefix, words);
  order_kernel<<<1, 128, 0, stream>>>(prefix, order, heads, words);
  return cudaGetLastError();
}

std::size_t choose_sort_workspace_bytes(std::int32_t num_kv_heads, std::int32_t blocks) {
  std::size_t bytes = 0;
  cub::DeviceSegmentedRadixSort::SortPairsDescending<double, std::int32_t>(
      nullptr, bytes, nullptr, nullptr, nullptr, nullptr, num_kv_heads * blocks, num_kv_heads,
      static_cast<const std::int32_t*>(nullptr), static_cast<const std::int32_t*>(nullptr));
  return bytes;
}

cudaError_t choose(const ChooseArgs& a, bool scores_only, cudaStream_t stream) {
  const unsigned heads = a.num_kv_heads, tiles = num_tiles(a.num_tokens);
  pool_kernel<<<dim3(tiles, heads), kThreads, 0, stream>>>(a);
  total_kernel<<<heads, kThreads, 0, stream>>>(a);
  normalise_kernel<<<dim3(tiles, heads), kThreads, 0, stream>>>(a);
  if (scores_only) return cudaGetLastError();
  const int blocks = (a.num_tokens + a.block_size - 1) / a.block_size;
  statistics_kernel<<<dim3((blocks + 63) / 64, heads), 64, 0, stream>>>(a);
  segments_kernel<<<1, 64, 0, stream>>>(a);
  std::size_t bytes = a.sort_workspace_bytes;
  const std::int64_t out = std::int64_t{a.num_kv_heads} * blocks;
  // Radix sort is stable, so equal keys stay in block order.
  const cudaError_t e = cub::DeviceSegmentedRadixSort::SortPairsDescending(
      a.sort_workspace, bytes, a.keys, a.keys + out, a.blocks, a.blocks + out, static_cast<int>(out), a.num_kv_heads,
      a.segments, a.segments + 1, 0, 64, stream);
  if (e != cudaSuccess) return e;
  allocate_kernel<<<dim3((blocks + 63) / 64, heads), 64, 0, stream>>>(a);
  mark_kernel<<<dim3(tiles, heads), kThreads, 0, stream>>>(a);
  return count_kept(a.bits, a.prefix, a.order, a.num_kv_heads, a.num_tokens, stream);
}

cudaError_t mark(const MarkArgs& a, cudaStream_t stream) {
  const std::size_t words = (static_cast<std::size_t>(a.num_tokens) + 63) / 64;
  const cudaError_t e =
      cudaMemsetAsync(a.bits, 0, static_cast<std::size_t>(a.num_kv_heads) * words * sizeof(std::uint64_t), stream);
  if (e != cudaSuccess) return e;
  const std::int64_t most = a.num_positions + std::int64_t{a.num_kv_heads} * min(a.sinks, a.num_tokens);
  if (most > 0) set_kernel<<<static_cast<unsigned>((most + kThreads - 1) / kThreads), kThreads, 0, stream>>>(a);
  return count_kept(a.bits, a.prefix, a.order, a.num_kv_heads, a.num_tokens, stream);
}

}  // namespace tca::cuda
