// A profile's query bank as probes for one segment: rotated to where a question about it would stand.
#pragma once

#include <cstdint>

#include "core/memory.h"
#include "runtime/io/model_config.h"
#include "runtime/model/rope.h"
#include "tca/profile.h"
#include "tca/tensor.h"
#include "tca/thread_pool.h"

namespace tca::runtime {

class BankProbes {
 public:
  /// Of the bank's values at `position`, in `memory` as queries of dtype. bank and memory must outlive it.
  BankProbes(const QueryBank& bank, const ModelConfig& config, std::int64_t position, bool long_context, DType dtype,
             Memory& memory, ThreadPool& pool);
  /// [K, Hq, d] of a layer.
  TensorView queries(std::int32_t layer) const;
  ProbeReduce reduce() const { return reduce_; }

 private:
  std::int64_t num_queries_;
  std::int32_t num_heads_, head_dim_;
  DType dtype_;
  ProbeReduce reduce_;
  MemoryBlock block_;  // [num_layers, K, Hq, d]
};

}  // namespace tca::runtime
