// The MLP of layers with experts, on the GPU.
#pragma once

#include <cstdint>
#include <vector>

#include "runtime/cuda/cuda_model_impl.h"

namespace tca::runtime::gpu {

class ExpertMlp {
 public:
  explicit ExpertMlp(cuda::Device& device);

  struct Params {
    const LayerSpec* spec = nullptr;
    const GpuLayer* weights = nullptr;
    const void* x = nullptr;  // [rows, hidden] bf16
    std::int64_t rows = 0;
    float* out = nullptr;  // [rows, hidden] fp32
    float factor = 1;
    bool add = true;  // out += factor * what the experts make of x; else out =
  };
  /// Rows of a segment: sorted by expert, a product an expert. The host sorts, so it waits for the rows' choices.
  void run(const Params& params, const StreamProducts& products);
  /// Few rows: every row reads the weights of its own experts, and the host nothing, so that graphs can record it.
  /// After reserve() for as many.
  void run_few(const Params& params, const StreamProducts& products, cudaStream_t stream);
  void reserve(const ModelSpec& model, std::int64_t rows);
  void release();

 private:
  void route(const Params& p, const StreamProducts& products, cudaStream_t stream);
  void add_up(const Params& p, const std::int32_t* slots, cudaStream_t stream) const;
  void multiply(const Params& p, const StreamProducts& products, const std::vector<std::int64_t>& counts);
  std::vector<std::int64_t> sort_rows(const Params& p);

  cuda::Device* device_;
  MemoryBlock logits_, chosen_, shares_;  // [rows, experts] fp32; [rows, chosen] each
  MemoryBlock rows_of_slots_;             // [slots]
  MemoryBlock slots_of_rows_;             // [rows, chosen]
  MemoryBlock x_, wide_, down_;           // [slots, hidden], [slots, 2 inner] bf16; [slots, hidden] fp32
};

}  // namespace tca::runtime::gpu
