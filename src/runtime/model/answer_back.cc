#include <algorithm>

#include "runtime/model/answer_pass.h"
#include "runtime/model/ops.h"

namespace tca::runtime {

void AnswerPass::multiply_back(const Linear& linear, const float* from, float* out, bool add) {
  multiply(transposed(linear), from, out, add);
}

void AnswerPass::back(std::span<const DocumentLayer> document, const QuestionRows& rows,
                      const GradientObserver& observer, const Readings& readings) {
  float* const reading_weights = readings.observer ? reading.floats(n * shape.heads) : nullptr;
  for (std::size_t layer = document.size(); layer-- > 0;) {
    const LayerWeights& w = weights.layers[layer];
    float* const middle = x.as<float>();
    std::copy_n(input(layer), n * hidden, middle);
    multiply(w.o, output(layer), middle, /*add=*/true);
    back_through_mlp(middle, w);
    multiply_back(w.o, d_x.as<float>(), d_out.as<float>());
    project(input(layer), w);
    rotate_queries_and_keys(w);
    if (observer) hand_over(static_cast<std::int32_t>(layer), observer);
    if (layer == 0 && !readings.observer) return;  // nobody asks for the embedding's gradient
    heads.fill(document[layer], pool);
    attention.back(heads, rows,
                   {.q = q.as<float>(),
                    .k = k.as<float>(),
                    .v = v.as<float>(),
                    .out = output(layer),
                    .lse = lses.as<float>() + static_cast<std::int64_t>(layer) * n * shape.heads,
                    .d_out = d_out.as<float>(),
                    .d_q = d_q.as<float>(),
                    .d_k = d_k.as<float>(),
                    .d_v = d_v.as<float>(),
                    .reading = reading_weights,
                    .sinks = readings.sinks});
    if (readings.observer) {
      readings.observer(static_cast<std::int32_t>(layer), {reading_weights, static_cast<std::size_t>(n * shape.heads)});
    }
    if (layer == 0) return;
    back_through_projections(input(layer), w);
  }
}

/// d_x from the layer's output to its middle, behind attention.
void AnswerPass::back_through_mlp(const float* middle, const LayerWeights& w) {
  open_mlp(middle, w);
  multiply_back(w.down, d_x.as<float>(), d_inner.as<float>());
  swiglu_back(gate.as<float>(), up.as<float>(), d_inner.as<float>(), n, inner, pool);
  multiply_back(w.gate, gate.as<float>(), normed.as<float>());
  multiply_back(w.up, up.as<float>(), normed.as<float>(), /*add=*/true);
  rms_norm_back({.x = middle,
                 .weight = w.mlp_norm.data(),
                 .d_out = normed.as<float>(),
                 .d_x = d_x.as<float>(),
                 .rows = n,
                 .width = hidden,
                 .eps = eps,
                 .add = true},
                pool);
}

void AnswerPass::hand_over(std::int32_t layer, const GradientObserver& observer) {
  const auto view = [&](const Buffer& buffer, std::int32_t count) {
    return contiguous(static_cast<const void*>(buffer.data()), DType::kF32, n, count, config.head_dim);
  };
  observer({.layer = layer,
            .q = view(q, config.num_heads),
            .k = view(k, config.num_kv_heads),
            .v = view(v, config.num_kv_heads),
            .lse = {lses.as<float>() + layer * n * shape.heads, static_cast<std::size_t>(n * shape.heads)},
            .gradient = view(d_out, config.num_heads)});
}

/// d_x from the layer's middle to its input `from`, by way of d_q, d_k and d_v.
void AnswerPass::back_through_projections(const float* from, const LayerWeights& w) {
  const auto unrotate = [&](const Buffer& d, const Buffer& raw, std::int32_t count, const std::vector<float>& norm) {
    norm_and_rotate({.x = d.data(),
                     .out = d.data(),
                     .cos = cosine.data(),
                     .sin = back_sine.data(),
                     .rows = n,
                     .heads = count,
                     .head_dim = config.head_dim,
                     .dtype = DType::kF32,
                     .out_dtype = DType::kF32},
                    pool);
    if (norm.empty()) return;
    rms_norm_back({.x = raw.as<float>(),
                   .weight = norm.data(),
                   .d_out = d.as<float>(),
                   .d_x = d.as<float>(),
                   .rows = n * count,
                   .width = shape.dim,
                   .eps = eps},
                  pool);
  };
  unrotate(d_q, raw_q, config.num_heads, w.q_norm);
  unrotate(d_k, raw_k, config.num_kv_heads, w.k_norm);
  multiply_back(w.q, d_q.as<float>(), normed.as<float>());
  multiply_back(w.k, d_k.as<float>(), normed.as<float>(), /*add=*/true);
  multiply_back(w.v, d_v.as<float>(), normed.as<float>(), /*add=*/true);
  rms_norm_back({.x = from,
                 .weight = w.attention_norm.data(),
                 .d_out = normed.as<float>(),
                 .d_x = d_x.as<float>(),
                 .rows = n,
                 .width = hidden,
                 .eps = eps,
                 .add = true},
                pool);
}

}  // namespace tca::runtime
