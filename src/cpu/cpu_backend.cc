#include "cpu/cpu_backend.h"

#include <cstdlib>

#include "core/check.h"
#include "core/validate_params.h"
#include "cpu/break_even.h"
#include "cpu/operations.h"
#include "cpu/targets.h"

namespace tca {
namespace {

std::vector<std::int32_t> supported_head_dims() {
  std::vector<std::int32_t> dims;
  for (std::int32_t d = cpu::kHeadDimStep; d <= cpu::kMaxHeadDim; d += cpu::kHeadDimStep) dims.push_back(d);
  return dims;
}

void check_head_dim(std::int32_t head_dim) {
  if (head_dim % cpu::kHeadDimStep == 0 && head_dim <= cpu::kMaxHeadDim) return;
  std::string dims;
  for (const std::int32_t d : supported_head_dims()) dims += text(dims.empty() ? "" : ", ", d);
  fail(ErrorCategory::kUnsupported, text("head_dim is ", head_dim, "; the cpu backend supports ", dims));
}

template <class Params>
void check_head_dims(std::span<const Params> batch) {
  for (const Params& params : batch) check_head_dim(params.q.head_dim);
}

class CpuBackend final : public Backend {
 public:
  CpuBackend(ThreadPool& pool, const cpu::KernelSet& kernels) : pool_(pool), kernels_(kernels) {}

  std::string_view name() const override { return "cpu"; }

  Capabilities capabilities() const override {
    return {.dtypes = {DType::kF32, DType::kBF16, DType::kF16},
            .head_dims = supported_head_dims(),
            .isa = std::string(kernels_.name)};
  }

  void probe_scores(const ProbeParams& params, std::span<float> out) const override {
    validate_params(params, out);
    check_head_dim(params.q.head_dim);
    cpu::probe_scores(kernels_, pool_, params, out);
  }

  KeptSet select(const SelectParams& params) const override {
    validate_params(params);
    check_head_dim(params.q.head_dim);
    return cpu::select(kernels_, pool_, params);
  }

  void prefill_attention(std::span<const PrefillParams> batch) const override {
    validate_params(batch);
    check_head_dims(batch);
    cpu::prefill_attention(kernels_, pool_, batch);
  }

  void decode_attention(std::span<const DecodeParams> batch) const override {
    validate_params(batch);
    check_head_dims(batch);
    cpu::decode_attention(kernels_, pool_, batch);
  }

  void tail_scores(std::span<const TailScoreParams> batch) const override {
    validate_params(batch);
    check_head_dims(batch);
    cpu::tail_scores(kernels_, pool_, batch);
  }

  std::vector<HeadCertificate> certify(const CertifyParams& params, std::span<float> deltas) const override {
    validate_params(params, deltas);
    check_head_dim(params.q.head_dim);
    return cpu::certify(kernels_, pool_, params, deltas);
  }

  std::int64_t break_even_tokens(double kept_share, std::int32_t /*head_dim*/) const override {
    return cpu::break_even_tokens(kernels_, kept_share);
  }

 private:
  ThreadPool& pool_;
  const cpu::KernelSet& kernels_;
};

}  // namespace

std::vector<std::string> cpu_targets() {
  std::vector<std::string> names;
  for (const cpu::KernelSet& set : cpu::usable_targets()) names.emplace_back(set.name);
  return names;
}

std::unique_ptr<Backend> create_cpu_backend(ThreadPool& pool) {
  const char* const forced = std::getenv("TCA_CPU_TARGET");
  if (forced != nullptr && *forced != '\0') return create_cpu_backend_for_target(pool, forced);
  return std::make_unique<CpuBackend>(pool, cpu::usable_targets().front());
}

std::unique_ptr<Backend> create_cpu_backend_for_target(ThreadPool& pool, const std::string& target) {
  return std::make_unique<CpuBackend>(pool, cpu::find_target(target));
}

}  // namespace tca
