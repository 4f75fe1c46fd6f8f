// The passes behind AnswerGradient: over all rows of all questions, layer by layer.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "runtime/io/model_config.h"
#include "runtime/model/answer_attention.h"
#include "runtime/model/answer_gradient.h"
#include "runtime/model/answer_steps.h"
#include "runtime/model/buffer.h"
#include "runtime/model/document_heads.h"
#include "runtime/model/linear.h"

namespace tca::runtime {

/// Buffers and steps of one AnswerGradient.
class AnswerPass {
 public:
  AnswerPass(const ModelConfig& config, const Weights& weights, ThreadPool& pool);

  void prepare(std::span<const DocumentLayer> document, const QuestionRows& rows);
  void check_document(std::span<const DocumentLayer> document) const;
  std::vector<double> forth(std::span<const DocumentLayer> document, const QuestionRows& rows,
                            const QueryObserver& observer, bool keep);
  void back(std::span<const DocumentLayer> document, const QuestionRows& rows, const GradientObserver& observer,
            const Readings& readings);
  std::vector<double> end(const QuestionRows& rows, const float* x, bool keep);

  // Steps over all rows. x is a layer's input.
  void normalise(const float* x, const std::vector<float>& weight, std::int64_t width, std::int64_t count, float* out);
  /// What attention or MLP read of x, in normed: its norm, or x itself where there is none.
  void take(const float* x, const std::vector<float>& weight);
  void project(const float* x, const LayerWeights& w);
  void rotate_queries_and_keys(const LayerSpec& spec, const LayerWeights& w);
  void observe_queries(std::int32_t layer, const LayerWeights& w, const QueryObserver& observer);
  /// x += what linear makes of `from`, which is left in branch.
  void add_branch(const Linear& linear, const float* from, const std::vector<float>& norm, float* x);
  void open_mlp(const float* x, const LayerWeights& w);
  void multiply(const Linear& linear, const float* x, float* out, bool add = false);
  void multiply_back(const Linear& linear, const float* x, float* out, bool add = false);
  /// The gradient of what linear made in branch, from d_x: in d_branch.
  void back_through_branch(const std::vector<float>& norm);
  /// d_x += the gradient in normed of what was taken of `from`.
  void give_back(const float* from, const std::vector<float>& weight);
  void back_through_mlp(const float* middle, const LayerSpec& spec, const LayerWeights& w);
  void back_through_projections(const float* x, const LayerSpec& spec, const LayerWeights& w);
  void hand_over(std::int32_t layer, const GradientObserver& observer);

  float* input(std::size_t layer) const { return inputs.as<float>() + static_cast<std::int64_t>(layer) * n * hidden; }
  float* output(std::size_t layer) const {
    return outputs.as<float>() + static_cast<std::int64_t>(layer) * n * q_width;
  }

  const ModelConfig& config;
  const Weights& weights;
  ThreadPool& pool;
  HeadShape shape;
  std::int64_t hidden, q_width, kv_width, inner;
  float eps;
  MatrixProducts products;
  QuestionAttention attention;
  AnswerMargins margins;
  DocumentHeads heads;

  /// Of the rows, [n, d / 2] each; back_sine = -sine.
  struct Rotation {
    std::vector<float> cosine, sine, back_sine;
  };
  const Rotation& rotation(const LayerSpec& spec) const { return rotations[static_cast<std::size_t>(spec.rope)]; }

  std::int64_t n = 0;               // rows
  std::vector<Rotation> rotations;  // of the model's rotary embeddings
  Buffer inputs, outputs, lses;     // of every layer: x [n, hidden], what o takes [n, Hq * d], [n, Hq]
  Buffer x, d_x;                    // [n, hidden]: a layer's output or middle, and its gradient
  Buffer normed;                    // [n, hidden]
  Buffer branch, d_branch;          // [n, hidden]: what attention or MLP add, before its norm; its gradient
  Buffer raw_q, raw_k, q, k, v;     // before the norm; after the rotation
  Buffer d_out, d_q, d_k, d_v;      // gradients
  Buffer reading;                   // [n, Hq], when asked for
  Buffer gate, up, d_inner;         // [n, inner]
};

}  // namespace tca::runtime
