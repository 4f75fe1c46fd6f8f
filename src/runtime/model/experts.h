// The MLP of layers with experts, on the CPU: rows are sorted by expert, so that an expert's weights are read once for
// all of its rows, and those of experts that nobody chose not at all.
#pragma once

#include <atomic>
#include <cstdint>
#include <span>
#include <vector>

#include "runtime/model/buffer.h"
#include "runtime/model/linear.h"
#include "runtime/model/weights.h"
#include "runtime/spec/model_spec.h"
#include "tca/thread_pool.h"

namespace tca::runtime {

class ExpertMlp {
 public:
  struct Params {
    const ExpertsSpec* spec = nullptr;
    const ExpertWeights* weights = nullptr;
    Activation activation = Activation::kSilu;
    const void* x = nullptr;  // [rows, hidden] of dtype
    DType dtype = DType::kBF16;
    std::int64_t rows = 0;
    float* out = nullptr;  // [rows, hidden]: what the experts make of x is added, times factor
    float factor = 1;
    const std::atomic<bool>* cancel = nullptr;  // as in MatrixProducts::run()
  };
  /// No bit depends on the number of threads.
  void run(const Params& params, MatrixProducts& products, ThreadPool& pool);
  void release();

 private:
  /// A row in the hands of one of its experts.
  struct Slot {
    std::int64_t row = 0;
    float share = 0;
  };
  /// An expert's slots.
  struct Group {
    std::int32_t expert = 0;
    std::int64_t first = 0, count = 0;
  };
  void route(const Params& p, MatrixProducts& products, ThreadPool& pool);
  std::vector<Group> sort_by_expert(const Params& p);
  void multiply(const Params& p, std::span<const Group> groups, MatrixProducts& products, ThreadPool& pool);
  void gather(const Params& p, std::span<const Group> groups, ThreadPool& pool);
  void scatter(const Params& p, std::span<const Group> groups, ThreadPool& pool) const;

  std::vector<std::int32_t> chosen_;  // [rows, chosen]
  std::vector<float> shares_;         // the same
  std::vector<Slot> slots_;           // by expert, then by row
  Buffer logits_;                     // [rows, experts] fp32
  Buffer x_, gate_, up_, down_;       // of the groups multiplied together
};

}  // namespace tca::runtime
