// Moving rows between dense K/V, compact rows and pages. Memory-bound: every row is read and written once in 16-byte
// pieces.
#include "cuda/mma.cuh"
#include "cuda/smxx/kv/pages.h"

namespace tca::cuda {
namespace {

constexpr int kThreads = 128;
using Chunk = uint4;  // 16 bytes, 8 elements

/// Where a token of one head lies in its pages.
template <int kHeadDim>
struct PageSlot {
  Chunk* page;
  int row;
  __device__ PageSlot(const PagedLayer& l, int sequence, int head, int slot) {
    const std::int64_t entry = (std::int64_t(sequence) * l.num_kv_heads + head) * l.max_pages + slot / kPageTokens;
    page = static_cast<Chunk*>(l.pool) + std::int64_t(l.page_table[entry]) * (2 * kPageTokens * kHeadDim / 8);
    row = slot % kPageTokens;
  }
  __device__ Chunk& k(int c) const { return page[SwizzledRows<kHeadDim>::offset(row, c) / 8]; }
  __device__ Chunk& v(int c) const {
    return page[kPageTokens * kHeadDim / 8 + SwizzledRows<kHeadDim>::offset(row, c) / 8];
  }
};

__device__ __forceinline__ const Chunk* row_of(const void* data, std::int64_t token_stride, int token, int head,
                                               int head_dim) {
  return reinterpret_cast<const Chunk*>(static_cast<const std::uint16_t*>(data) + token * token_stride +
                                        std::int64_t(head) * head_dim);
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
    out_k[(first + r) * kChunks + c] = row_of(a.k, a.k_token_stride, token, head, kHeadDim)[c];
    out_v[(first + r) * kChunks + c] = row_of(a.v, a.v_token_stride, token, head, kHeadDim)[c];
  }
}

template <int kHeadDim>
__global__ void __launch_bounds__(kThreads) gather_kernel(PagedLayer l, int sequence, CompactArgs a) {
  constexpr int kChunks = kHeadDim / 8;
  const int head = blockIdx.y, length = l.lengths[sequence * l.num_kv_heads + head], slot0 = blockIdx.x * kPageTokens;
  if (a.base[head] < 0) return;
  Chunk* out_k = static_cast<Chunk*>(a.out_k) + (a.base[head] + slot0) * kChunks;
  Chunk* out_v = static_cast<Chunk*>(a.out_v) + (a.base[head] + slot0) * kChunks;
  // Zeros up to the next multiple of 128 for callers without kept tokens behind the past.
  const int rows = min(kPageTokens, (length + 127) / 128 * 128 - slot0);
  for (int i = threadIdx.x; i < rows * kChunks; i += kThreads) {
    const int r = i / kChunks, c = i % kChunks;
    if (slot0 + r < length) {
      const PageSlot<kHeadDim> slot(l, sequence, head, slot0 + r);
      out_k[i] = slot.k(c), out_v[i] = slot.v(c);
    } else {
      out_k[i] = out_v[i] = Chunk{};
    }
  }
}

template <int kHeadDim>
__global__ void __launch_bounds__(kThreads) store_kernel(PagedLayer l, int sequence, StoreArgs a) {
  constexpr int kChunks = kHeadDim / 8;
  __shared__ std::uint8_t tokens[64];
  const int head = blockIdx.y, word = blockIdx.x, first_token = word * 64, tail = max(0, a.num_tokens - a.window);
  const bool all = a.kept.bits == nullptr;
  std::uint64_t bits = all ? ~0ull : a.kept.bits[std::int64_t(head) * a.kept.num_words + word];
  int before = first_token;
  if (!all) {
    // Kept tokens count up to the tail, all tokens from there on.
    const std::int32_t* prefix = a.kept.prefix + std::int64_t(head) * (a.kept.num_words + 1);
    const std::uint64_t* row = a.kept.bits + std::int64_t(head) * a.kept.num_words;
    before = prefix[word];
    if (first_token > tail) {
      before = prefix[tail / 64] + (tail % 64 ? __popcll(row[tail / 64] & ((1ull << tail % 64) - 1)) : 0) +
               first_token - tail;
    }
    if (first_token + 64 > tail) bits |= tail <= first_token ? ~0ull : ~0ull << (tail - first_token);
  }
  if (first_token + 64 > a.num_tokens) bits &= (1ull << (a.num_tokens - first_token)) - 1;
  const int n = list_word(bits, tokens), slot0 = l.lengths[sequence * l.num_kv_heads + head] + before;
  for (int i = threadIdx.x; i < n * kChunks; i += kThreads) {
    const int r = i / kChunks, c = i % kChunks, token = first_token + tokens[r];
    const PageSlot<kHeadDim> slot(l, sequence, head, slot0 + r);
    slot.k(c) = row_of(a.k, a.k_token_stride, token, head, kHeadDim)[c];
    slot.v(c) = row_of(a.v, a.v_token_stride, token, head, kHeadDim)[c];
  }
}

__global__ void grow_kernel(PagedLayer l, int sequence, StoreArgs a) {
  const int head = threadIdx.x, tail = max(0, a.num_tokens - a.window);
  if (head >= l.num_kv_heads) return;
  int count = a.num_tokens;
  if (a.kept.bits != nullptr) {
    const std::uint64_t* row = a.kept.bits + std::int64_t(head) * a.kept.num_words;
    count += a.kept.prefix[std::int64_t(head) * (a.kept.num_words + 1) + tail / 64] - tail;
    if (tail % 64) count += __popcll(row[tail / 64] & ((1ull << tail % 64) - 1));
  }
  l.lengths[sequence * l.num_kv_heads + head] += count;
}

template <int kHeadDim>
__global__ void __launch_bounds__(kThreads)
    append_kernel(PagedLayer l, const void* k, const void* v, std::int64_t k_stride, std::int64_t v_stride, int n) {
  constexpr int kChunks = kHeadDim / 8;
  const int head = blockIdx.x, sequence = blockIdx.y, length = l.lengths[sequence * l.num_kv_heads + head];
  for (int i = threadIdx.x; i < n * kChunks; i += kThreads) {
    const int r = i / kChunks, c = i % kChunks;
    const PageSlot<kHeadDim> slot(l, sequence, head, length + r);
    slot.k(c) = row_of(k, k_stride, sequence * n + r, head, kHeadDim)[c];
    slot.v(c) = row_of(v, v_stride, sequence * n + r, head, kHeadDim)[c];
  }
  __syncthreads();
  if (threadIdx.x == 0) l.lengths[sequence * l.num_kv_heads + head] = length + n;
}

}  // namespace

// Rows move as 16-bit words, so bf16 and fp16 share every kernel.
cudaError_t compact(const CompactArgs& a, cudaStream_t stream) {
  const bool known = dispatch_head_dim(a.head_dim, [&]<int kHeadDim>() {
    compact_kernel<kHeadDim><<<dim3(a.kept.num_words + 1, a.num_kv_heads), kThreads, 0, stream>>>(a);
  });
  return known ? cudaGetLastError() : cudaErrorInvalidValue;
}

cudaError_t gather_pages(const PagedLayer& l, std::int32_t sequence, const CompactArgs& rows, cudaStream_t stream) {
  // One more page than a sequence can fill, for the padding.
  const bool known = dispatch_head_dim(l.head_dim, [&]<int kHeadDim>() {
    gather_kernel<kHeadDim><<<dim3(l.max_pages + 1, l.num_kv_heads), kThreads, 0, stream>>>(l, sequence, rows);
  });
  return known ? cudaGetLastError() : cudaErrorInvalidValue;
}

cudaError_t store(const PagedLayer& l, std::int32_t sequence, const StoreArgs& a, cudaStream_t stream) {
  const bool known = dispatch_head_dim(l.head_dim, [&]<int kHeadDim>() {
    store_kernel<kHeadDim><<<dim3((a.num_tokens + 63) / 64, l.num_kv_heads), kThreads, 0, stream>>>(l, sequence, a);
    grow_kernel<<<1, (l.num_kv_heads + 31) / 32 * 32, 0, stream>>>(l, sequence, a);
  });
  return known ? cudaGetLastError() : cudaErrorInvalidValue;
}

cudaError_t append(const PagedLayer& l, const void* k, const void* v, std::int64_t k_stride, std::int64_t v_stride,
                   std::int32_t n, cudaStream_t stream) {
  const bool known = dispatch_head_dim(l.head_dim, [&]<int kHeadDim>() {
    append_kernel<kHeadDim>
        <<<dim3(l.num_kv_heads, l.num_sequences), kThreads, 0, stream>>>(l, k, v, k_stride, v_stride, n);
  });
  return known ? cudaGetLastError() : cudaErrorInvalidValue;
}

}  // namespace tca::cuda
