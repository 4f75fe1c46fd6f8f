// What the backend does once parameters are known to be good; one file per operation.
#pragma once

#include <span>
#include <vector>

#include "cuda/device.h"
#include "tca/attention.h"

namespace tca::cuda {

/// Which prefill kernels run: the Hopper ones need compute capability 9.0 and head_dim 64 or 128.
enum class KernelFamily { kSm80, kSm90 };

void probe_scores(Device& device, const ProbeParams& params, std::span<float> out);
KeptSet select(Device& device, const SelectParams& params);
void prefill_attention(Device& device, const PrefillParams& params, KernelFamily kernels);
void decode_attention(Device& device, const DecodeParams& params, KernelFamily kernels);
void tail_scores(Device& device, std::span<const TailScoreParams> batch);
std::vector<HeadCertificate> certify(Device& device, const CertifyParams& params, std::span<float> deltas);

}  // namespace tca::cuda
