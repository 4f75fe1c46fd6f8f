#include "cuda/backend/cuda_backend.h"

#include <algorithm>
#include <cstdlib>
#include <limits>
#include <mutex>
#include <string_view>

#include "core/check.h"
#include "core/kv_pages.h"
#include "core/validate_params.h"
#include "cuda/backend/operations.h"
#include "cuda/device.h"
#include "cuda/kv/device_pages.h"

namespace tca {
namespace {

constexpr std::int32_t kHeadDims[] = {64, 96, 128, 256};

void check_tensors(const TensorView& q) {
  check_supported(std::find(std::begin(kHeadDims), std::end(kHeadDims), q.head_dim) != std::end(kHeadDims),
                  "head_dim is ", q.head_dim, "; the cuda backend supports 64, 96, 128, 256");
  check_supported(q.dtype != DType::kF32, "q, k and v are fp32; the cuda backend supports bf16, fp16");
}
template <class Params>
void check_tensors(std::span<const Params> batch) {
  for (const Params& params : batch) check_tensors(params.q);
}

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
  CudaBackend() : kernels_(choose_kernels(cuda::Device::get().compute_capability())) {}

  std::string_view name() const override { return "cuda"; }

  Capabilities capabilities() const override {
    return {.dtypes = {DType::kBF16, DType::kF16},
            .head_dims = {std::begin(kHeadDims), std::end(kHeadDims)},
            .isa = kernels_ == cuda::KernelFamily::kSm90 ? "sm_90a" : "sm_80"};
  }

  std::shared_ptr<KvPool> create_kv_pool(std::size_t budget_bytes, std::int32_t head_dim, DType dtype) const override {
    check_pool(head_dim, dtype);
    return KvPoolAccess::create(std::make_unique<cuda::DevicePages>(budget_bytes, head_dim, dtype));
  }

  void probe_scores(const ProbeParams& params, std::span<float> out) const override {
    validate_params(params, out, PageLayout::kSwizzled);
    check_tensors(params.q);
    const std::lock_guard lock(mutex_);
    cuda::probe_scores(params, out);
  }

  KeptSet select(const SelectParams& params) const override {
    validate_params(params, PageLayout::kSwizzled);
    check_tensors(params.q);
    const std::lock_guard lock(mutex_);
    return cuda::select(params);
  }

  void prefill_attention(std::span<const PrefillParams> batch) const override {
    validate_params(batch, PageLayout::kSwizzled);
    check_tensors(batch);
    const std::lock_guard lock(mutex_);
    for (const PrefillParams& params : batch) {
      if (params.cancel != nullptr && params.cancel->load(std::memory_order_relaxed)) {
        fail(ErrorCategory::kCancelled, "prefill_attention: cancelled");
      }
      cuda::prefill_attention(params, kernels_);
    }
  }

  void decode_attention(std::span<const DecodeParams> batch) const override {
    validate_params(batch, PageLayout::kSwizzled);
    check_tensors(batch);
    const std::lock_guard lock(mutex_);
    for (const DecodeParams& params : batch) cuda::decode_attention(params, kernels_);
  }

  void tail_scores(std::span<const TailScoreParams> batch) const override {
    validate_params(batch, PageLayout::kSwizzled);
    check_tensors(batch);
    const std::lock_guard lock(mutex_);
    cuda::tail_scores(batch);
  }

  std::vector<HeadCertificate> certify(const CertifyParams& params, std::span<float> deltas) const override {
    validate_params(params, deltas, PageLayout::kSwizzled);
    check_tensors(params.q);
    const std::lock_guard lock(mutex_);
    return cuda::certify(params, deltas);
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
  cuda::KernelFamily kernels_;
  mutable std::mutex mutex_;  // page tables are brought up to date by whoever reads them
};

}  // namespace

std::unique_ptr<Backend> create_cuda_backend(ThreadPool& /*pool*/) { return std::make_unique<CudaBackend>(); }

}  // namespace tca
