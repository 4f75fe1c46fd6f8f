// Where the operations run. One object per backend, chosen by name, by TCA_BACKEND, or automatically.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "tca/attention.h"
#include "tca/kv_cache.h"
#include "tca/tensor.h"
#include "tca/thread_pool.h"
#include "tca/version.h"

namespace tca {

struct Capabilities {
  std::vector<DType> dtypes;
  std::vector<std::int32_t> head_dims;  // empty: any
  std::string isa;                      // what the kernels were dispatched to, e.g. "AVX3_DL"
};

/// Tensors and lse lie in host memory; the cuda backend also takes (and is fast with) those in its GPU's memory. Pinned
/// and managed memory counts as host memory; memory of another GPU is refused. All other spans lie in host memory.
///
/// Order of work. The cuda backend is bound to one stream of one GPU. Every operation is queued there, behind what the
/// stream was given before, and returns at once when its tensors and lse lie in the GPU's memory. It waits, and is done
/// when it returns, when one of them lies in host memory, and when it has a result there: probe_scores, tail_scores,
/// certify. What select() chose stays on the GPU; KvCache::store() waits until it is chosen, since what a cache holds
/// is accounted for on the host. Memory that an operation needs for itself is taken and given back in the stream's
/// order. Backends on two streams work at once. The calling thread's current device is left as it was.
///
/// All operations are const, deterministic for any number of threads, and validate their parameters: a bad one throws
/// kInvalidArgument naming it; a valid one the backend cannot serve throws kUnsupported listing what it can. Batches
/// are spans: a batch of n equals n calls.
class TCA_API Backend {
 public:
  virtual ~Backend() = default;
  virtual std::string_view name() const = 0;
  virtual Capabilities capabilities() const = 0;

  /// Where its work is queued; none on the host, where all is done when a call returns.
  virtual std::optional<Stream> stream() const { return std::nullopt; }
  /// Returns when all that its stream was given is done. Throws kIo when some of it failed.
  virtual void synchronize() const {}

  /// A pool whose pages this backend reads, bound to its stream; it may outlive the backend. head_dim in [1, 65536].
  /// Nothing is taken from the budget before it is needed.
  virtual std::shared_ptr<KvPool> create_kv_pool(std::size_t budget_bytes, std::int32_t head_dim, DType dtype) const {
    return KvPool::create(budget_bytes, head_dim, dtype);
  }

  /// Scores [Hk][L], row-major in out (size Hk * L).
  virtual void probe_scores(const ProbeParams& params, std::span<float> out) const = 0;
  virtual KeptSet select(const SelectParams& params) const = 0;
  virtual void prefill_attention(std::span<const PrefillParams> batch) const = 0;
  virtual void decode_attention(std::span<const DecodeParams> batch) const = 0;
  virtual void tail_scores(std::span<const TailScoreParams> batch) const = 0;
  /// One certificate per KV head; deltas, when not empty, receives [R, Hq] dropped masses.
  virtual std::vector<HeadCertificate> certify(const CertifyParams& params, std::span<float> deltas = {}) const = 0;

  /// Shortest segment for which sparse prefill is expected to be no slower than dense, at a kept share in [0, 1].
  virtual std::int64_t break_even_tokens(double kept_share, std::int32_t head_dim) const = 0;
};

/// name: "reference", "cpu", "cuda" (bf16 and fp16 on an NVIDIA GPU, caches of its own pools), "cuda:1" for another GPU
/// than the first, or "auto" (the environment variable TCA_BACKEND, else "cpu", which takes everything). The pool must
/// outlive the backend. Throws kUnsupported listing the backends of this build, or saying why one cannot run here. All
/// GPU backends made without a stream share one of the library's for each GPU.
TCA_API std::unique_ptr<Backend> create_backend(std::string_view name, ThreadPool& pool);
/// The same on a stream of yours, for names of GPU backends: "cuda" is that of stream.device.
TCA_API std::unique_ptr<Backend> create_backend(std::string_view name, ThreadPool& pool, const Stream& stream);
TCA_API std::vector<std::string> available_backends();

}  // namespace tca
