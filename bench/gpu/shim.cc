// The CUDA kernels behind C functions, so that a Python script can time them beside its rivals: device pointers and a
// stream in, a cudaError_t out. Nothing here allocates or waits; bf16, one layer.
#include <cuda_bf16.h>
#include <cuda_runtime.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "cuda/params.h"
#include "cuda/sm90/prefill/prefill.h"
#include "cuda/smxx/decode/decode.h"
#include "cuda/smxx/kv/pages.h"
#include "cuda/smxx/select/choose.h"
#include "cuda/smxx/select/probe.h"

#define TCA_GPU_SHIM extern "C" __attribute__((visibility("default")))

/// One segment without a past; mirrored field by field in bench/gpu/kernels.py.
struct TcaSegment {
  const void* q;               // [L, Hq, d]
  const void* k;               // [L, Hk, d]
  const void* v;               // [L, Hk, d]
  void* out;                   // [L, Hq, d]
  const std::int32_t* levels;  // [Hk, num_levels + 1], see ChooseArgs; null: dense only
  const std::int64_t* base;    // [Hk] first compact row of each head: multiples of 128 with room for its kept tokens
  float* scores;               // [Hk, L]
  std::uint64_t* bits;         // [Hk, ceil(L / 64)]
  std::int32_t* prefix;        // [Hk, ceil(L / 64) + 1]
  std::int32_t* order;         // [Hk]
  void* kept_k;                // [num_rows, d]
  void* kept_v;                // [num_rows, d]
  void* workspace;             // tca_gpu_workspace_bytes()
  std::int64_t num_rows;
  std::int32_t num_tokens, num_heads, num_kv_heads, head_dim;
  std::int32_t block_size, num_levels, probe_queries, pool_width, sinks, window;
  float scale;
};

/// One layer of a batch, one query a sequence; mirrored in bench/gpu/kernels.py.
struct TcaDecode {
  const void* q;                       // [sequences, Hq, d]
  void* out;                           // [sequences, Hq, d]
  void* pool;                          // see PagedLayer
  const tca::cuda::PagedSequence* kv;  // [sequences] on the device
  float* partial;                      // tca_gpu_decode_sizes()
  std::int32_t* counters;              // the same; zeros
  std::int32_t num_sequences, num_heads, num_kv_heads, head_dim;
  float scale;
};

namespace {

using namespace tca::cuda;

/// Cuts one allocation into arrays; without memory it only counts.
class Carver {
 public:
  explicit Carver(void* memory) : memory_(static_cast<std::byte*>(memory)) {}
  template <class T>
  T* take(std::int64_t count) {
    T* const array = memory_ == nullptr ? nullptr : reinterpret_cast<T*>(memory_ + used_);
    used_ += (static_cast<std::size_t>(count) * sizeof(T) + 255) / 256 * 256;
    return array;
  }
  std::size_t used() const { return used_; }

 private:
  std::byte* memory_;
  std::size_t used_ = 0;
};

std::int32_t words(const TcaSegment& s) { return (s.num_tokens + 63) / 64; }
KeptBits kept_bits(const TcaSegment& s) { return {s.bits, s.prefix, s.order, words(s)}; }

struct Selection {
  ProbeArgs probe;
  ChooseArgs choose;
  std::size_t workspace_bytes;
};

Selection selection(const TcaSegment& s) {
  const std::int64_t heads = s.num_kv_heads, tokens = s.num_tokens;
  const std::int64_t probes = std::min(s.probe_queries, s.num_tokens), rows = probes * (s.num_heads / heads);
  const std::int64_t blocks = (tokens + s.block_size - 1) / s.block_size, stride = heads * s.head_dim;
  const std::int64_t q_stride = std::int64_t{s.num_heads} * s.head_dim;
  Carver carver(s.workspace);
  ProbeArgs probe{};
  probe.q = static_cast<const __nv_bfloat16*>(s.q) + (tokens - probes) * q_stride;
  probe.q_token_stride = q_stride;
  probe.segment = {s.k, nullptr, s.head_dim, stride, nullptr, s.num_tokens};
  probe.num_probes = static_cast<std::int32_t>(probes);
  probe.num_heads = s.num_heads;
  probe.num_kv_heads = s.num_kv_heads;
  probe.head_dim = s.head_dim;
  probe.scale = s.scale;
  probe.partial = carver.take<float>(probe_partial_floats(probe));
  probe.lse = carver.take<float>(heads * rows);
  probe.raw = carver.take<float>(heads * tokens);
  ChooseArgs choose{};
  choose.raw = probe.raw;
  choose.levels = s.levels;
  choose.num_kv_heads = s.num_kv_heads;
  choose.num_tokens = s.num_tokens;
  choose.block_size = s.block_size;
  choose.num_levels = s.num_levels;
  choose.sinks = s.sinks;
  choose.pool_width = s.pool_width;
  choose.num_rows = static_cast<std::int32_t>(rows);
  choose.scores = s.scores;
  choose.totals = carver.take<float>(heads * ((tokens + 255) / 256 + 1));
  choose.keys = carver.take<double>(2 * heads * blocks);
  choose.blocks = carver.take<std::int32_t>(2 * heads * blocks);
  choose.block_keeps = carver.take<std::int32_t>(heads * blocks);
  choose.segments = carver.take<std::int32_t>(heads + 1);
  choose.sort_workspace_bytes = choose_sort_workspace_bytes(s.num_kv_heads, static_cast<std::int32_t>(blocks));
  choose.sort_workspace = carver.take<std::byte>(static_cast<std::int64_t>(choose.sort_workspace_bytes));
  choose.bits = s.bits;
  choose.prefix = s.prefix;
  choose.order = s.order;
  return {probe, choose, carver.used()};
}

cudaError_t prefill(const TcaSegment& s, bool sparse, cudaStream_t stream) {
  PrefillArgs args{};
  args.q = s.q;
  args.k = s.k;
  args.v = s.v;
  args.out = s.out;
  if (sparse) {
    args.kept = kept_bits(s);
    args.rows = {s.kept_k, s.kept_v, s.base, nullptr, s.num_rows};
  }
  args.q_token_stride = args.out_token_stride = std::int64_t{s.num_heads} * s.head_dim;
  args.k_token_stride = args.v_token_stride = std::int64_t{s.num_kv_heads} * s.head_dim;
  args.num_tokens = s.num_tokens;
  args.num_heads = s.num_heads;
  args.num_kv_heads = s.num_kv_heads;
  args.head_dim = s.head_dim;
  args.window = sparse ? std::min(s.window, s.num_tokens) : s.num_tokens;
  args.scale = s.scale;
  if (s.head_dim == 64) return sm90::prefill<64, __nv_bfloat16>(args, stream);
  if (s.head_dim == 128) return sm90::prefill<128, __nv_bfloat16>(args, stream);
  return cudaErrorInvalidValue;
}

DecodeArgs decode_args(const TcaDecode& d) {
  DecodeArgs args{};
  args.q = d.q;
  args.out = d.out;
  args.q_token_stride = args.out_token_stride = std::int64_t{d.num_heads} * d.head_dim;
  args.kv = {d.pool, d.kv, d.num_sequences, d.num_kv_heads, d.head_dim};
  args.num_queries = 1;
  args.num_heads = d.num_heads;
  args.scale = d.scale;
  args.partial = d.partial;
  args.counters = d.counters;
  return args;
}

}  // namespace

TCA_GPU_SHIM const char* tca_gpu_error(int error) { return cudaGetErrorString(static_cast<cudaError_t>(error)); }

/// Sizes of the structs, against a mirror that is out of date.
TCA_GPU_SHIM std::int64_t tca_gpu_segment_size() { return sizeof(TcaSegment); }
TCA_GPU_SHIM std::int64_t tca_gpu_decode_size() { return sizeof(TcaDecode); }

/// Bytes of TcaSegment::workspace; k must be set, and lies on the device.
TCA_GPU_SHIM std::int64_t tca_gpu_workspace_bytes(const TcaSegment* s) {
  return static_cast<std::int64_t>(selection(*s).workspace_bytes);
}

TCA_GPU_SHIM int tca_gpu_dense(const TcaSegment* s, cudaStream_t stream) { return prefill(*s, false, stream); }

/// The parts of a sparse step, in their order.
TCA_GPU_SHIM int tca_gpu_select(const TcaSegment* s, cudaStream_t stream) {
  const Selection parts = selection(*s);
  const cudaError_t e = probe<__nv_bfloat16>(parts.probe, stream);
  return e == cudaSuccess ? choose(parts.choose, false, stream) : e;
}
TCA_GPU_SHIM int tca_gpu_compact(const TcaSegment* s, cudaStream_t stream) {
  const std::int64_t stride = std::int64_t{s->num_kv_heads} * s->head_dim;
  return compact({.k = s->k,
                  .v = s->v,
                  .k_token_stride = stride,
                  .v_token_stride = stride,
                  .kept = kept_bits(*s),
                  .num_tokens = s->num_tokens,
                  .num_kv_heads = s->num_kv_heads,
                  .head_dim = s->head_dim,
                  .out_k = s->kept_k,
                  .out_v = s->kept_v,
                  .base = s->base,
                  .past = nullptr},
                 stream);
}
TCA_GPU_SHIM int tca_gpu_sparse(const TcaSegment* s, cudaStream_t stream) { return prefill(*s, true, stream); }

/// Everything between q, k, v and the attention's output.
TCA_GPU_SHIM int tca_gpu_sparse_step(const TcaSegment* s, cudaStream_t stream) {
  int e = tca_gpu_select(s, stream);
  if (e == cudaSuccess) e = tca_gpu_compact(s, stream);
  return e == cudaSuccess ? tca_gpu_sparse(s, stream) : e;
}

/// Elements of TcaDecode::partial and counters.
TCA_GPU_SHIM int tca_gpu_decode_sizes(const TcaDecode* d, std::int64_t* partial, std::int64_t* counters) {
  DecodeArgs args = decode_args(*d);
  const cudaError_t e = decode_splits(&args.num_splits);
  *partial = decode_partial_floats(args);
  *counters = decode_counters(args);
  return e;
}
TCA_GPU_SHIM int tca_gpu_decode(const TcaDecode* d, cudaStream_t stream) {
  DecodeArgs args = decode_args(*d);
  const cudaError_t e = decode_splits(&args.num_splits);
  return e == cudaSuccess ? decode<__nv_bfloat16>(args, stream) : e;
}
