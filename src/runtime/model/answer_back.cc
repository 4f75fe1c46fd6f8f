#include <algorithm>
#include <functional>

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
    const LayerSpec& spec = config.layers[layer];
    const LayerWeights& w = weights.layers[layer];
    float* const middle = x.as<float>();
    std::copy_n(input(layer), n * hidden, middle);
    add_branch(w.o, output(layer), w.attention_out_norm, middle);
    back_through_mlp(middle, spec, w);
    if (!w.attention_out_norm.empty()) multiply(w.o, output(layer), branch.as<float>());
    back_through_branch(w.attention_out_norm);
    multiply_back(w.o, d_branch.as<float>(), d_out.as<float>());
    project(input(layer), w);
    rotate_queries_and_keys(spec, w);
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
    back_through_projections(input(layer), spec, w);
  }
}

void AnswerPass::back_through_branch(const std::vector<float>& norm) {
  const float* const from = d_x.as<float>();
  if (norm.empty()) {
    const auto scale = static_cast<float>(config.residual_scale);
    std::transform(from, from + n * hidden, d_branch.as<float>(), [&](float value) { return value * scale; });
    return;
  }
  rms_norm_back({.x = branch.as<float>(),
                 .weight = norm.data(),
                 .d_out = from,
                 .d_x = d_branch.as<float>(),
                 .rows = n,
                 .width = hidden,
                 .eps = eps},
                pool);
}

void AnswerPass::give_back(const float* from, const std::vector<float>& weight) {
  if (weight.empty()) {
    float* const to = d_x.as<float>();
    std::transform(to, to + n * hidden, normed.as<float>(), to, std::plus<>());
    return;
  }
  rms_norm_back({.x = from,
                 .weight = weight.data(),
                 .d_out = normed.as<float>(),
                 .d_x = d_x.as<float>(),
                 .rows = n,
                 .width = hidden,
                 .eps = eps,
                 .add = true},
                pool);
}

/// d_x from the layer's output to its middle, behind attention.
void AnswerPass::back_through_mlp(const float* middle, const LayerSpec& spec, const LayerWeights& w) {
  const std::int64_t width = w.mlp.gate.out;
  open_mlp(middle, w);
  if (!w.mlp_out_norm.empty()) {
    activate(spec.activation, gate.data(), up.data(), DType::kF32, n, width, pool);
    multiply(w.mlp.down, gate.as<float>(), branch.as<float>());
    open_mlp(middle, w);
  }
  back_through_branch(w.mlp_out_norm);
  multiply_back(w.mlp.down, d_branch.as<float>(), d_inner.as<float>());
  activate_back(spec.activation, gate.as<float>(), up.as<float>(), d_inner.as<float>(), n, width, pool);
  multiply_back(w.mlp.gate, gate.as<float>(), normed.as<float>());
  multiply_back(w.mlp.up, up.as<float>(), normed.as<float>(), /*add=*/true);
  give_back(middle, w.mlp_norm);
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
void AnswerPass::back_through_projections(const float* from, const LayerSpec& spec, const LayerWeights& w) {
  const Rotation& turn = rotation(spec);
  const auto unrotate = [&](const Buffer& d, const Buffer& raw, std::int32_t count, const std::vector<float>& norm,
                            double factor) {
    norm_and_rotate({.x = d.data(),
                     .out = d.data(),
                     .cos = turn.cosine.data(),
                     .sin = turn.back_sine.data(),
                     .rows = n,
                     .heads = count,
                     .head_dim = config.head_dim,
                     .factor = static_cast<float>(factor),
                     .dtype = DType::kF32,
                     .out_dtype = DType::kF32},
                    pool);
    if (norm.empty()) return;
    rms_norm_back({.x = raw.as<float>(),
                   .weight = norm.data(),
                   .d_out = d.as<float>(),
                   .d_x = d.as<float>(),
                   .rows = n * count * shape.dim / std::ssize(norm),
                   .width = std::ssize(norm),
                   .eps = eps},
                  pool);
  };
  unrotate(d_q, raw_q, config.num_heads, w.q_norm, config.query_scale);
  unrotate(d_k, raw_k, config.num_kv_heads, w.k_norm, 1);
  multiply_back(w.q, d_q.as<float>(), normed.as<float>());
  multiply_back(w.k, d_k.as<float>(), normed.as<float>(), /*add=*/true);
  multiply_back(w.v, d_v.as<float>(), normed.as<float>(), /*add=*/true);
  give_back(from, w.attention_norm);
}

}  // namespace tca::runtime
