#include <algorithm>
#include <array>

#include "core/check.h"
#include "runtime/model/answer_pass.h"
#include "runtime/model/ops.h"
#include "runtime/model/rope.h"

namespace tca::runtime {
AnswerPass::AnswerPass(const ModelConfig& model_config, const Weights& model_weights, ThreadPool& thread_pool)
    : config(model_config),
      weights(model_weights),
      pool(thread_pool),
      shape{model_config.num_heads, model_config.num_kv_heads, model_config.head_dim},
      hidden(model_config.hidden_size),
      q_width(shape.heads * shape.dim),
      kv_width(shape.kv_heads * shape.dim),
      inner(model_config.widest_mlp()),
      eps(static_cast<float>(model_config.rms_norm_eps)),
      attention(shape, thread_pool),
      margins(model_weights.lm_head, thread_pool) {
  check_supported(weights.lm_head.scales.empty(),
                  "gradients of answers need the stored weights, and these are int8; load the model without it");
  for (const LayerSpec& layer : config.layers) {
    check_supported(!layer.experts, "gradients of answers are not computed through the experts of ",
                    config.architecture, "; calibrate with --objective tail-risk");
  }
}

void AnswerPass::check_document(std::span<const DocumentLayer> document) const {
  check_argument(std::ssize(document) == config.num_layers, "the document has ", document.size(),
                 " layers; expected the model's ", config.num_layers);
  for (std::size_t layer = 0; layer < document.size(); ++layer) {
    for (const TensorView* view : {&document[layer].k, &document[layer].v}) {
      check_argument(view->num_tokens == document[0].k.num_tokens && view->num_heads == config.num_kv_heads &&
                         view->head_dim == config.head_dim,
                     "layer ", layer, " of the document is [", view->num_tokens, ", ", view->num_heads, ", ",
                     view->head_dim, "]; expected [", document[0].k.num_tokens, ", ", config.num_kv_heads, ", ",
                     config.head_dim, "]");
    }
  }
}

void AnswerPass::prepare(std::span<const DocumentLayer> document, const QuestionRows& rows) {
  check_document(document);
  rows.validate(config.vocab_size);
  n = rows.num_rows();
  std::int64_t longest = 0;
  for (std::int64_t question = 0; question < rows.num_questions(); ++question) {
    longest = std::max(longest, rows.end(question) - rows.begins[static_cast<std::size_t>(question)]);
  }
  const std::int64_t context = document[0].k.num_tokens + longest;
  check_supported(context <= config.sliding_window.value_or(context),
                  "gradients of answers are not computed through a "
                  "sliding window: ",
                  config.architecture, " has one of ", config.sliding_window.value_or(0),
                  " tokens, and document and questions have ", context, "; calibrate with --objective tail-risk");
  rotations.resize(config.ropes.size());
  const std::int64_t tokens = document[0].k.num_tokens, half = shape.dim / 2;
  const std::vector<RopeFrequencies> frequencies = model_frequencies(config, config.is_long_context(tokens));
  for (std::size_t rope = 0; rope < rotations.size(); ++rope) {
    RopeTable table;
    table.fill(frequencies[rope], tokens, longest, pool);
    auto& [cosine, sine, back_sine] = rotations[rope];
    for (std::vector<float>* values : {&cosine, &sine, &back_sine}) values->resize(static_cast<std::size_t>(n * half));
    for (std::int64_t question = 0; question < rows.num_questions(); ++question) {
      const std::int64_t begin = rows.begins[static_cast<std::size_t>(question)];
      const std::int64_t count = (rows.end(question) - begin) * half;
      std::copy_n(table.cos(0), count, cosine.data() + begin * half);
      std::copy_n(table.sin(0), count, sine.data() + begin * half);
    }
    std::transform(sine.begin(), sine.end(), back_sine.begin(), [](float value) { return -value; });
  }
  for (Buffer* buffer : {&x, &d_x, &normed, &branch, &d_branch}) buffer->floats(n * hidden);
  for (Buffer* buffer : {&raw_q, &q, &d_out, &d_q}) buffer->floats(n * q_width);
  for (Buffer* buffer : {&raw_k, &k, &v, &d_k, &d_v}) buffer->floats(n * kv_width);
  for (Buffer* buffer : {&gate, &up, &d_inner}) buffer->floats(n * inner);
}

/// keep: everything that back() reads.
std::vector<double> AnswerPass::forth(std::span<const DocumentLayer> document, const QuestionRows& rows,
                                      const QueryObserver& observer, bool keep) {
  const std::int64_t layers = keep ? config.num_layers : 1;
  inputs.floats(layers * n * hidden);
  outputs.floats(layers * n * q_width);
  lses.floats(layers * n * shape.heads);
  float* const now = x.as<float>();
  embed(weights.embedding, rows.ids, static_cast<float>(config.embedding_scale), now, pool);
  for (std::size_t layer = 0; layer < document.size(); ++layer) {
    const LayerSpec& spec = config.layers[layer];
    const LayerWeights& w = weights.layers[layer];
    const std::size_t at = keep ? layer : 0;
    std::copy_n(now, n * hidden, input(at));
    project(now, w);
    if (observer) observe_queries(static_cast<std::int32_t>(layer), w, observer);
    rotate_queries_and_keys(spec, w);
    heads.fill(document[layer], pool);
    attention.forth(heads, rows,
                    {.q = q.as<float>(),
                     .k = k.as<float>(),
                     .v = v.as<float>(),
                     .out = output(at),
                     .lse = lses.as<float>() + static_cast<std::int64_t>(at) * n * shape.heads});
    add_branch(w.o, output(at), w.attention_out_norm, now);
    open_mlp(now, w);
    activate(spec.activation, gate.data(), up.data(), DType::kF32, n, w.mlp.gate.out, pool);
    add_branch(w.mlp.down, gate.as<float>(), w.mlp_out_norm, now);
  }
  return end(rows, now, keep);
}

/// From the last layer's output to the margins, and back to it: d_x.
std::vector<double> AnswerPass::end(const QuestionRows& rows, const float* last, bool keep) {
  std::vector<std::int64_t> asked;
  std::vector<std::int32_t> targets;
  for (std::int64_t row = 0; row < n; ++row) {
    if (rows.targets[static_cast<std::size_t>(row)] < 0) continue;
    asked.push_back(row);
    targets.push_back(rows.targets[static_cast<std::size_t>(row)]);
  }
  const auto count = std::ssize(asked);
  Buffer picked, d_picked;
  float* const from = picked.floats(count * hidden);
  float* const d_from = d_picked.floats(count * hidden);
  for (std::int64_t i = 0; i < count; ++i) {
    std::copy_n(last + asked[static_cast<std::size_t>(i)] * hidden, hidden, from + i * hidden);
  }
  normalise(from, weights.final_norm, hidden, count, normed.as<float>());
  std::vector<double> found(targets.size());
  margins.run(normed.as<float>(), targets, products, found.data(), keep ? d_from : nullptr);
  std::vector<double> result(static_cast<std::size_t>(n));
  for (std::size_t i = 0; i < found.size(); ++i) result[static_cast<std::size_t>(asked[i])] = found[i];
  if (!keep) return result;
  rms_norm_back({.x = from,
                 .weight = weights.final_norm.data(),
                 .d_out = d_from,
                 .d_x = d_from,
                 .rows = count,
                 .width = hidden,
                 .eps = eps},
                pool);
  std::fill_n(d_x.as<float>(), n * hidden, 0.0f);
  for (std::int64_t i = 0; i < count; ++i) {
    std::copy_n(d_from + i * hidden, hidden, d_x.as<float>() + asked[static_cast<std::size_t>(i)] * hidden);
  }
  return result;
}

void AnswerPass::normalise(const float* from, const std::vector<float>& weight, std::int64_t width, std::int64_t count,
                           float* out) {
  rms_norm(
      {.x = from, .weight = weight.data(), .out = out, .rows = count, .width = width, .eps = eps, .dtype = DType::kF32},
      pool);
}

void AnswerPass::take(const float* from, const std::vector<float>& weight) {
  if (weight.empty()) {
    std::copy_n(from, n * hidden, normed.as<float>());
  } else {
    normalise(from, weight, hidden, n, normed.as<float>());
  }
}

void AnswerPass::add_branch(const Linear& linear, const float* from, const std::vector<float>& norm, float* to) {
  if (norm.empty() && config.residual_scale == 1) return multiply(linear, from, to, /*add=*/true);
  multiply(linear, from, branch.as<float>());
  runtime::add_branch({.x = to,
                       .branch = branch.as<float>(),
                       .weight = norm.empty() ? nullptr : norm.data(),
                       .rows = n,
                       .width = hidden,
                       .eps = eps,
                       .factor = static_cast<float>(config.residual_scale)},
                      pool);
}

/// From a layer's input: q and k before norm and rotation, and v.
void AnswerPass::project(const float* from, const LayerWeights& w) {
  take(from, w.attention_norm);
  const auto product = [&](const Linear& linear, const Buffer& out) {
    return Product{
        .linear = &linear, .x = normed.data(), .x_dtype = DType::kF32, .out = out.data(), .out_dtype = DType::kF32};
  };
  products.run(n, std::array{product(w.q, raw_q), product(w.k, raw_k), product(w.v, v)}, pool);
}

void AnswerPass::rotate_queries_and_keys(const LayerSpec& spec, const LayerWeights& w) {
  const Rotation& turn = rotation(spec);
  const auto heads_of = [&](const Buffer& from, const Buffer& out, std::int32_t count, const std::vector<float>& norm,
                            double factor) {
    norm_and_rotate({.x = from.data(),
                     .out = out.data(),
                     .norm = norm.empty() ? nullptr : norm.data(),
                     .cos = turn.cosine.data(),
                     .sin = turn.sine.data(),
                     .rows = n,
                     .heads = count,
                     .head_dim = config.head_dim,
                     .as_one = spec.norms_heads_as_one(),
                     .eps = eps,
                     .factor = static_cast<float>(factor),
                     .dtype = DType::kF32,
                     .out_dtype = DType::kF32},
                    pool);
  };
  heads_of(raw_q, q, config.num_heads, w.q_norm, config.query_scale);
  heads_of(raw_k, k, config.num_kv_heads, w.k_norm, 1);
}

/// With norm and scale, before the rotation: d_q is free for them.
void AnswerPass::observe_queries(std::int32_t layer, const LayerWeights& w, const QueryObserver& observer) {
  float* queries = raw_q.as<float>();
  if (!w.q_norm.empty()) {
    const std::int64_t width = std::ssize(w.q_norm);
    normalise(queries, w.q_norm, width, n * q_width / width, d_q.as<float>());
    queries = d_q.as<float>();
  }
  if (config.query_scale != 1) {
    const auto scale = static_cast<float>(config.query_scale);
    std::transform(queries, queries + n * q_width, d_q.as<float>(), [&](float value) { return value * scale; });
    queries = d_q.as<float>();
  }
  observer(layer, contiguous(static_cast<const float*>(queries), DType::kF32, n, config.num_heads, config.head_dim));
}

void AnswerPass::open_mlp(const float* middle, const LayerWeights& w) {
  take(middle, w.mlp_norm);
  const auto product = [&](const Linear& linear, const Buffer& out) {
    return Product{
        .linear = &linear, .x = normed.data(), .x_dtype = DType::kF32, .out = out.data(), .out_dtype = DType::kF32};
  };
  products.run(n, std::array{product(w.mlp.gate, gate), product(w.mlp.up, up)}, pool);
}

void AnswerPass::multiply(const Linear& linear, const float* from, float* out, bool add) {
  const Product product{
      .linear = &linear, .x = from, .x_dtype = DType::kF32, .out = out, .out_dtype = DType::kF32, .add = add};
  products.run(n, std::array{product}, pool);
}

}  // namespace tca::runtime
