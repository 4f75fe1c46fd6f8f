#include "cuda/backend/cuda_backend.h"

#include <algorithm>
#include <cstdlib>
#include <limits>
#include <optional>
#include <string_view>
#include <utility>

#include "core/check.h"
#include "core/kv_pages.h"
#include "core/validate_params.h"
#include "cuda/backend/operations.h"
#include "cuda/device.h"
#include "cuda/kv/device_pages.h"

namespace tca {
namespace {

constexpr std::int32_t kHeadDims[] = {64, 96, 128, 256};

/// What the kernels take, and where it lies: everything that a call can be refused for is found before work is queued.
class Checks {
 public:
  Checks(const cuda::Device& device, const char* operation) : device_(device), operation_(operation) {}

  void operator()(const ProbeParams& p) const {
    queries(p.q);
    place("k", p.k.data);
    cache(p.past.cache);
  }
  void operator()(const SelectParams& p) const {
    queries(p.q);
    place("k", p.k.data);
    cache(p.past.cache);
  }
  void operator()(const CertifyParams& p) const {
    queries(p.q);
    place("k", p.k.data);
    place("v", p.v.data);
    cache(p.past.cache);
  }
  void operator()(const PrefillParams& p) const {
    queries(p.q);
    place("k", p.k.data);
    place("v", p.v.data);
    place("out", p.out.data);
    place("lse", p.lse.data());
    cache(p.past.cache);
  }
  void operator()(const DecodeParams& p) const {
    queries(p.q);
    place("out", p.out.data);
    place("lse", p.lse.data());
    cache(p.cache);
  }
  void operator()(const TailScoreParams& p) const {
    queries(p.q);
    place("lse", p.lse.data());
    on_host("out", p.out);
    cache(p.cache);
  }
  template <class Params>
  void operator()(std::span<const Params> batch) const {
    for (const Params& params : batch) (*this)(params);
  }
  void on_host(const char* name, std::span<const float> values) const {
    const bool there = !values.empty() && cuda::Device::gpu_of(values.data()) >= 0;
    check_argument(!there, operation_, ": ", name, " lies in GPU memory; expected host memory");
  }

 private:
  void queries(const TensorView& q) const {
    check_supported(std::find(std::begin(kHeadDims), std::end(kHeadDims), q.head_dim) != std::end(kHeadDims),
                    "head_dim is ", q.head_dim, "; the cuda backend supports 64, 96, 128, 256");
    check_supported(q.dtype != DType::kF32, "q, k and v are fp32; the cuda backend supports bf16, fp16");
    place("q", q.data);
  }
  void place(const char* name, const void* address) const {
    const int there = cuda::Device::gpu_of(address);
    check_argument(there < 0 || there == device_.ordinal(), operation_, ": ", name, " lies in the memory of GPU ",
                   there, ", but the backend is on GPU ", device_.ordinal());
  }
  void cache(const KvCache* cache) const {
    if (cache == nullptr) return;
    const int there = static_cast<const cuda::DevicePages&>(KvPoolAccess::pages(*cache->pool())).device().ordinal();
    check_argument(there == device_.ordinal(), operation_, ": the cache's pages lie on GPU ", there,
                   ", but the backend is on GPU ", device_.ordinal(), "; make its pool with this backend");
  }

  const cuda::Device& device_;
  const char* operation_;
};

cuda::KernelFamily choose_kernels(int compute_capability) {
  const char* const forced = std::getenv("TCA_CUDA_KERNELS");
  const std::string_view wanted = forced == nullptr ? "" : forced;
  check_supported(wanted.empty() || wanted == "sm80" || wanted == "sm90", "TCA_CUDA_KERNELS is \"", wanted,
                  "\"; expected sm80 or sm90");
  check_supported(wanted != "sm90" || compute_capability == 90,
                  "TCA_CUDA_KERNELS is \"sm90\", but this GPU is not one");
  return compute_capability == 90 && wanted != "sm80" ? cuda::KernelFamily::kSm90 : cuda::KernelFamily::kSm80;
}

class CudaBackend final : public Backend {
 public:
  explicit CudaBackend(std::shared_ptr<cuda::Device> device)
      : device_(std::move(device)), kernels_(choose_kernels(device_->compute_capability())) {}

  std::string_view name() const override { return "cuda"; }
  std::optional<Stream> stream() const override { return device_->id(); }
  void synchronize() const override { device_->synchronize(); }

  Capabilities capabilities() const override {
    return {.dtypes = {DType::kBF16, DType::kF16},
            .head_dims = {std::begin(kHeadDims), std::end(kHeadDims)},
            .isa = kernels_ == cuda::KernelFamily::kSm90 ? "sm_90a" : "sm_80"};
  }

  std::shared_ptr<KvPool> create_kv_pool(std::size_t budget_bytes, std::int32_t head_dim, DType dtype) const override {
    check_pool(head_dim, dtype);
    return KvPoolAccess::create(std::make_unique<cuda::DevicePages>(device_, budget_bytes, head_dim, dtype));
  }

  void probe_scores(const ProbeParams& params, std::span<float> out) const override {
    validate_params(params, out, PageLayout::kSwizzled);
    const Entry entry(*this, "probe_scores");
    entry.check(params);
    entry.check.on_host("out", out);
    cuda::probe_scores(*device_, params, out);
  }

  KeptSet select(const SelectParams& params) const override {
    validate_params(params, PageLayout::kSwizzled);
    const Entry entry(*this, "select");
    entry.check(params);
    return cuda::select(*device_, params);
  }

  void prefill_attention(std::span<const PrefillParams> batch) const override {
    validate_params(batch, PageLayout::kSwizzled);
    const Entry entry(*this, "prefill_attention");
    entry.check(batch);
    for (const PrefillParams& params : batch) {
      if (params.cancel != nullptr && params.cancel->load(std::memory_order_relaxed)) {
        fail(ErrorCategory::kCancelled, "prefill_attention: cancelled");
      }
      cuda::prefill_attention(*device_, params, kernels_);
    }
  }

  void decode_attention(std::span<const DecodeParams> batch) const override {
    validate_params(batch, PageLayout::kSwizzled);
    const Entry entry(*this, "decode_attention");
    entry.check(batch);
    for (const DecodeParams& params : batch) cuda::decode_attention(*device_, params, kernels_);
  }

  void tail_scores(std::span<const TailScoreParams> batch) const override {
    validate_params(batch, PageLayout::kSwizzled);
    const Entry entry(*this, "tail_scores");
    entry.check(batch);
    cuda::tail_scores(*device_, batch);
  }

  std::vector<HeadCertificate> certify(const CertifyParams& params, std::span<float> deltas) const override {
    validate_params(params, deltas, PageLayout::kSwizzled);
    const Entry entry(*this, "certify");
    entry.check(params);
    entry.check.on_host("deltas", deltas);
    return cuda::certify(*device_, params, deltas);
  }

  /// On an H200 sparse prefill, selection included, loses to dense at 4096 tokens and wins at 8192 for 12 to 39 % kept
  /// (docs/benchmarks.md). For larger shares these are careful estimates, not measurements.
  std::int64_t break_even_tokens(double kept_share, std::int32_t /*head_dim*/) const override {
    if (kept_share <= 0.4) return 8192;
    if (kept_share <= 0.6) return 16384;
    if (kept_share <= 0.8) return 32768;
    return std::numeric_limits<std::int64_t>::max();
  }

 private:
  /// With the backend's GPU as the thread's current device.
  struct Entry {
    Entry(const CudaBackend& backend, const char* operation)
        : guard(backend.device_->ordinal()), check(*backend.device_, operation) {}
    cuda::DeviceGuard guard;
    Checks check;
  };

  std::shared_ptr<cuda::Device> device_;
  cuda::KernelFamily kernels_;
};

}  // namespace

std::unique_ptr<Backend> create_cuda_backend(std::shared_ptr<cuda::Device> device) {
  return std::make_unique<CudaBackend>(std::move(device));
}

}  // namespace tca
