// What an answer's logits owe to every head's output: questions that follow a document are read, and the gradient of
// their answers' logit margins is taken back through their rows. On the CPU in fp32, whatever the model computes in.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "runtime/model/question_rows.h"
#include "runtime/model/weights.h"
#include "tca/tensor.h"
#include "tca/thread_pool.h"

namespace tca::runtime {

class AnswerPass;
struct ModelConfig;

/// What a dense read of a document of T tokens left in one layer: [T, Hk, d] of any type, k after RoPE, in host memory.
struct DocumentLayer {
  TensorView k, v;
};

/// One layer of the rows; valid during the call that gets it.
struct LayerGradient {
  std::int32_t layer = 0;
  TensorView q;                // [R, Hq, d] fp32, after RoPE
  TensorView k, v;             // [R, Hk, d] fp32, the rows' own, k after RoPE
  std::span<const float> lse;  // [R, Hq]: of q.k / sqrt(d) over all that a row sees
  /// [R, Hq, d] fp32: of the question's sum of margins with respect to the heads' outputs, before the output projection
  TensorView gradient;
  /// [R, Hq]: how much what a row reads in the document matters: the sum over its tokens, the first `sinks` aside, of
  /// |gradient with respect to the row's score of the token|
  std::span<const float> reading;
};

/// Called for the last layer first.
using GradientObserver = std::function<void(const LayerGradient&)>;
/// q [R, Hq, d] fp32 before RoPE, after the norm where the model has one. Called for the first layer first.
using QueryObserver = std::function<void(std::int32_t layer, const TensorView& q)>;

/// Memory: for every row and layer hidden_size and Hq * d floats, and some ten such rows of one layer. No bit depends
/// on the number of threads.
class AnswerGradient {
 public:
  /// config, weights and pool outlive it. Throws kUnsupported for weights in eight bits.
  AnswerGradient(const ModelConfig& config, const Weights& weights, std::int64_t sinks, ThreadPool& pool);
  ~AnswerGradient();
  AnswerGradient(const AnswerGradient&) = delete;
  AnswerGradient& operator=(const AnswerGradient&) = delete;

  /// The forward pass: document [num_layers]. Returns the margins [R] of rows with a target, 0 of others: the target's
  /// logit minus the log-sum-exp of all others.
  std::vector<double> forward(std::span<const DocumentLayer> document, const QuestionRows& rows,
                              const QueryObserver& observer = {});
  /// The same, and back. The observer may throw to stop.
  std::vector<double> run(std::span<const DocumentLayer> document, const QuestionRows& rows,
                          const GradientObserver& observer, const QueryObserver& queries = {});

 private:
  std::unique_ptr<AnswerPass> pass_;
};

}  // namespace tca::runtime
