// The steps between products on the way back, each over rows in parallel, in fp32 with sums in double; and what an
// answer's margin is.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "runtime/model/buffer.h"
#include "runtime/model/linear.h"
#include "runtime/spec/model_spec.h"
#include "tca/thread_pool.h"

namespace tca::runtime {

/// Back through x / rms(x) * weight for rows of `width`.
struct RmsNormBack {
  const float* x = nullptr;  // [rows, width]
  const float* weight = nullptr;
  const float* d_out = nullptr;  // [rows, width]
  float* d_x = nullptr;          // the same; may be d_out
  std::int64_t rows = 0, width = 0;
  float eps = 0;
  bool add = false;  // d_x += ...
};
void rms_norm_back(const RmsNormBack& params, ThreadPool& pool);
/// As kernels::activate_back(), [rows, width].
void activate_back(Activation activation, float* gate, float* up, const float* out, std::int64_t rows,
                   std::int64_t width, ThreadPool& pool);

/// Logit margins of rows, some at a time.
class AnswerMargins {
 public:
  /// lm_head and pool outlive it.
  AnswerMargins(const Linear& lm_head, ThreadPool& pool);
  /// x [targets.size(), hidden], normalised. d_x: the margins' gradient, or null.
  void run(const float* x, std::span<const std::int32_t> targets, MatrixProducts& products, double* margins,
           float* d_x);

 private:
  const Linear* lm_head_;
  Linear back_;
  ThreadPool* pool_;
  Buffer logits_;  // of a chunk of rows
};

}  // namespace tca::runtime
