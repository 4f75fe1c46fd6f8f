// The operations of Backend as the CPU runs them. Parameters are valid: CpuBackend checked them.
#pragma once

#include <span>
#include <vector>

#include "cpu/kernels.h"
#include "tca/attention.h"
#include "tca/thread_pool.h"

namespace tca::cpu {

void prefill_attention(const KernelSet& kernels, ThreadPool& pool, std::span<const PrefillParams> batch);
void decode_attention(const KernelSet& kernels, ThreadPool& pool, std::span<const DecodeParams> batch);
void probe_scores(const KernelSet& kernels, ThreadPool& pool, const ProbeParams& params, std::span<float> out);
KeptSet select(const KernelSet& kernels, ThreadPool& pool, const SelectParams& params);
void tail_scores(const KernelSet& kernels, ThreadPool& pool, std::span<const TailScoreParams> batch);
std::vector<HeadCertificate> certify(const KernelSet& kernels, ThreadPool& pool, const CertifyParams& params,
                                     std::span<float> deltas);

}  // namespace tca::cpu
