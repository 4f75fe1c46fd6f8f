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

/// One layer of the rows; valid during the call that gets it and the layer's call of Readings.
struct LayerGradient {
  std::int32_t layer = 0;
  TensorView q;                // [R, Hq, d] fp32, after RoPE
  TensorView k, v;             // [R, Hk, d] fp32, the rows' own, k after RoPE
  std::span<const float> lse;  // [R, Hq]: of q.k / sqrt(d) over all that a row sees
  /// [R, Hq, d] fp32: of the question's sum of margins with respect to the heads' outputs, before the output projection
  TensorView gradient;
};

/// Called for the last layer first.
using GradientObserver = std::function<void(const LayerGradient&)>;
/// q [R, Hq, d] fp32 before RoPE, after the norm where the model has one. Called for the first layer first.
using QueryObserver = std::function<void(std::int32_t layer, const TensorView& q)>;

/// How much what the rows read in the document matters.
struct Readings {
  std::int64_t sinks = 0;  // first tokens of the document that do not count
  /// weights [R, Hq]: the sum over the document's other tokens of |gradient with respect to the row's score of the
  /// token|. Called for the last layer first.
  std::function<void(std::int32_t layer, std::span<const float> weights)> observer = {};
};

/// Memory: for every row and layer hidden_size and Hq * d floats, and some ten such rows of one layer. No bit depends
/// on the number of threads.
class AnswerGradient {
 public:
  /// All three outlive it. Throws kUnsupported for weights in eight bits.
  AnswerGradient(const ModelConfig& config, const Weights& weights, ThreadPool& pool);
  ~AnswerGradient();
  AnswerGradient(const AnswerGradient&) = delete;
  AnswerGradient& operator=(const AnswerGradient&) = delete;

  /// The forward pass: document [num_layers]. Returns the margins [R] of rows with a target, 0 of others: the target's
  /// logit minus the log-sum-exp of all others.
  std::vector<double> forward(std::span<const DocumentLayer> document, const QuestionRows& rows);
  /// The same, and back. Observers that are empty are not called; they may throw to stop.
  std::vector<double> run(std::span<const DocumentLayer> document, const QuestionRows& rows,
                          const GradientObserver& observer, const QueryObserver& queries = {},
                          const Readings& readings = {});

 private:
  std::unique_ptr<AnswerPass> pass_;
};

}  // namespace tca::runtime
