// Margins against a session's logits, gradients against finite differences; PyTorch's are compared with in
// tests/python.
#include "runtime/model/answer_gradient.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "core/half.h"
#include "engine/engine_fixture.h"
#include "model/test_data.h"
#include "runtime/model/place_queries.h"
#include "runtime/model/weights.h"

namespace tca::runtime {
namespace {

using test::Engine;
using test::random_floats;
using test::TinyModelOptions;

/// What a dense read of a document leaves, in a type of the test's.
class Document final : public LayerObserver {
 public:
  explicit Document(DType dtype = DType::kF32) : dtype_(dtype) {}
  void on_layer(std::int32_t, const TensorView&, const TensorView& k, const TensorView& v) override {
    layers.push_back({keep(k), keep(v)});
  }
  std::vector<DocumentLayer> layers;

 private:
  TensorView keep(const TensorView& view) {
    const std::int64_t n = view.num_tokens * view.token_stride;
    std::vector<float> values(static_cast<std::size_t>(n));
    convert_row(view.data, view.dtype, values.data(), n);
    copies_.push_back(std::make_unique<test::Elements>(values, dtype_));
    return contiguous(static_cast<const void*>(copies_.back()->data()), dtype_, view.num_tokens, view.num_heads,
                      view.head_dim);
  }
  DType dtype_;
  std::vector<std::unique_ptr<test::Elements>> copies_;
};

struct Asked {
  Engine engine;
  std::vector<std::int32_t> document;
  Document read;
  QuestionRows rows;

  explicit Asked(const TinyModelOptions& options = {}, DType dtype = DType::kF32, int threads = 2)
      : engine(options, ComputeType::kF32, threads), document(engine.prompt(300)), read(dtype) {
    Session session = engine.session({.attention = AttentionMode::kFull});
    session.read(document, {.observer = &read});
    add(17, {9, 10, 16}, 2);
    add(1, {0}, 3);
    add(120, {30, 100, 119}, 4);  // more queries than a block
  }
  void add(std::int64_t n, const std::vector<std::size_t>& asked, std::uint64_t seed) {
    const std::vector<std::int32_t> drawn = engine.prompt(n, seed + 100);
    std::vector<std::int32_t> targets(static_cast<std::size_t>(n), -1);
    for (const std::size_t row : asked) targets[row] = drawn[row];
    rows.add(engine.prompt(n, seed), targets);
  }
  AnswerGradient gradient() { return {engine.model->config(), engine.model->weights(), engine.pool}; }
};

const std::vector<TinyModelOptions>& models() {
  static const std::vector<TinyModelOptions> all = {
      {.dtype = DType::kF32},
      {.architecture = "Qwen2ForCausalLM", .layers = 3, .tied = false},
      {.architecture = "LlamaForCausalLM", .layers = 3, .kv_heads = 1, .dtype = DType::kF32}};
  return all;
}

double margin(std::span<const float> logits, std::int32_t target) {
  double sum = 0;
  for (std::int32_t id = 0; id < std::ssize(logits); ++id) {
    if (id != target) sum += std::exp(static_cast<double>(logits[static_cast<std::size_t>(id)]));
  }
  return logits[static_cast<std::size_t>(target)] - std::log(sum);
}

TEST(AnswerGradient, MarginsAreThoseOfASessionsLogits) {
  for (const TinyModelOptions& options : models()) {
    Asked asked(options);
    AnswerGradient gradient = asked.gradient();
    const std::vector<double> margins = gradient.forward(asked.read.layers, asked.rows);
    ASSERT_EQ(margins.size(), asked.rows.ids.size());
    Session session = asked.engine.session({.attention = AttentionMode::kFull});
    session.read(asked.document);
    for (std::int64_t question = 0; question < asked.rows.num_questions(); ++question) {
      const auto begin = static_cast<std::size_t>(asked.rows.begins[static_cast<std::size_t>(question)]);
      const std::vector<std::int32_t> ids(asked.rows.ids.begin() + static_cast<std::ptrdiff_t>(begin),
                                          asked.rows.ids.begin() + asked.rows.end(question));
      Session fork = session.fork();
      const std::vector<float> logits = test::copy(fork.read(ids, {.num_logits = std::ssize(ids)}));
      const std::size_t vocab = logits.size() / ids.size();
      for (std::size_t row = 0; row < ids.size(); ++row) {
        const std::int32_t target = asked.rows.targets[begin + row];
        const double expected = target < 0 ? 0 : margin(std::span(logits).subspan(row * vocab, vocab), target);
        // A margin moves by no more than twice what one logit does.
        EXPECT_NEAR(margins[begin + row], expected, 2 * test::kLogitBound) << "question " << question << " row " << row;
      }
    }
  }
}

/// Of one row and head, from what a layer hands over, in double.
double reading(const LayerGradient& layer, const DocumentLayer& document, std::int64_t begin, std::int64_t row,
               std::int32_t head) {
  const auto dot = [&](const TensorView& a, std::int64_t i, std::int32_t of_a, const TensorView& b, std::int64_t j) {
    const auto* const x = static_cast<const float*>(a.row(i, of_a));
    const auto* const y = static_cast<const float*>(b.row(j, head / (layer.q.num_heads / layer.k.num_heads)));
    double sum = 0;
    for (std::int32_t e = 0; e < a.head_dim; ++e) sum += static_cast<double>(x[e]) * y[e];
    return sum;
  };
  const double scale = 1 / std::sqrt(static_cast<double>(layer.q.head_dim));
  const float lse = layer.lse[static_cast<std::size_t>(row * layer.q.num_heads + head)];
  std::vector<double> probabilities, products;
  const auto see = [&](const TensorView& k, const TensorView& v, std::int64_t token) {
    probabilities.push_back(std::exp(dot(layer.q, row, head, k, token) * scale - lse));
    products.push_back(dot(layer.gradient, row, head, v, token));
  };
  for (std::int64_t token = 0; token < document.k.num_tokens; ++token) see(document.k, document.v, token);
  for (std::int64_t own = begin; own <= row; ++own) see(layer.k, layer.v, own);
  double mean = 0, sum = 0;
  for (std::size_t i = 0; i < products.size(); ++i) mean += probabilities[i] * products[i];
  for (std::int64_t token = 4; token < document.k.num_tokens; ++token) {
    const auto i = static_cast<std::size_t>(token);
    sum += std::abs(probabilities[i] * (products[i] - mean));
  }
  return sum;
}

TEST(AnswerGradient, ReadingIsWhatTheDocumentsScoresMove) {
  for (const TinyModelOptions& options : models()) {
    Asked asked(options);
    AnswerGradient gradient = asked.gradient();
    std::vector<int> layers;
    LayerGradient layer;  // what was handed over last: valid until the next layer
    const auto check = [&](std::int32_t index, std::span<const float> weights) {
      layers.push_back(index);
      ASSERT_EQ(layer.layer, index);
      ASSERT_EQ(std::ssize(weights), asked.rows.num_rows() * layer.q.num_heads);
      for (std::int64_t question = 0; question < asked.rows.num_questions(); ++question) {
        const std::int64_t begin = asked.rows.begins[static_cast<std::size_t>(question)];
        for (const std::int64_t row : {begin, asked.rows.end(question) - 1}) {
          for (std::int32_t head = 0; head < layer.q.num_heads; ++head) {
            const double expected =
                reading(layer, asked.read.layers[static_cast<std::size_t>(index)], begin, row, head);
            EXPECT_NEAR(weights[static_cast<std::size_t>(row * layer.q.num_heads + head)], expected,
                        1e-4 * expected + 1e-7)
                << "layer " << index << " row " << row << " head " << head;
          }
        }
      }
    };
    gradient.run(asked.read.layers, asked.rows, [&](const LayerGradient& handed) { layer = handed; }, {},
                 {.sinks = 4, .observer = check});
    EXPECT_EQ(layers.size(), asked.read.layers.size());  // the first one, too
  }
}

/// The model with another bias behind one layer's output projection.
Weights with_bias(const Weights& from, std::size_t layer, std::vector<float> bias) {
  Weights weights;
  weights.embedding = from.embedding;
  weights.layers = from.layers;
  weights.final_norm = from.final_norm;
  weights.lm_head = from.lm_head;
  weights.layers[layer].o.bias = std::move(bias);
  return weights;
}

// A bias of step * W direction is what every row's head outputs have moved by step * direction.
TEST(AnswerGradient, IsTheSlopeOfTheMargins) {
  constexpr double kStep = 1e-2;
  for (const TinyModelOptions& options : models()) {
    Asked asked(options);
    const Weights& weights = asked.engine.model->weights();
    const std::int64_t width = weights.layers[0].o.in, hidden = weights.layers[0].o.out;
    std::vector<std::vector<float>> gradients(weights.layers.size());
    AnswerGradient gradient = asked.gradient();
    gradient.run(asked.read.layers, asked.rows, [&](const LayerGradient& layer) {
      const auto* const values = static_cast<const float*>(layer.gradient.data);
      gradients[static_cast<std::size_t>(layer.layer)].assign(values, values + asked.rows.num_rows() * width);
    });
    for (std::size_t layer = 0; layer < weights.layers.size(); ++layer) {
      const std::vector<float> direction = random_floats(width, 40 + layer);
      const auto margins = [&](double step) {
        const Linear& o = weights.layers[layer].o;
        std::vector<float> bias(static_cast<std::size_t>(hidden));
        for (std::int64_t out = 0; out < hidden; ++out) {
          double sum = 0;
          for (std::int64_t i = 0; i < width; ++i) {
            sum += load_element(o.weight, o.dtype, out * width + i) * step * direction[static_cast<std::size_t>(i)];
          }
          bias[static_cast<std::size_t>(out)] = static_cast<float>(sum);
        }
        const Weights moved = with_bias(weights, layer, std::move(bias));
        return AnswerGradient(asked.engine.model->config(), moved, asked.engine.pool)
            .forward(asked.read.layers, asked.rows);
      };
      const std::vector<double> after = margins(kStep), before = margins(-kStep), twice = margins(2 * kStep),
                                back = margins(-2 * kStep);
      for (std::int64_t question = 0; question < asked.rows.num_questions(); ++question) {
        double slope = 0, expected = 0, size = 0;
        for (std::int64_t row = asked.rows.begins[static_cast<std::size_t>(question)]; row < asked.rows.end(question);
             ++row) {
          const auto at = static_cast<std::size_t>(row);
          // The error of this slope is of the fourth order of the step.
          slope += (8 * (after[at] - before[at]) - (twice[at] - back[at])) / (12 * kStep);
          for (std::int64_t i = 0; i < width; ++i) {
            const double part = gradients[layer][at * static_cast<std::size_t>(width) + static_cast<std::size_t>(i)] *
                                direction[static_cast<std::size_t>(i)];
            expected += part;
            size += part * part;
          }
        }
        // Rounding moves a margin by about 1e-5 (a hundred roundings of 2^-24 of logits of about 2), a slope by 1.5
        // such over a step.
        EXPECT_NEAR(slope, expected, 2e-3 + 2e-3 * std::sqrt(size)) << "layer " << layer << " question " << question;
        EXPECT_GT(size, 0);
      }
    }
  }
}

struct Everything {
  std::vector<double> margins;
  std::vector<float> values;  // of all observers, in order

  explicit Everything(Asked& asked) {
    const auto add = [&](const TensorView& view) {
      const auto* const data = static_cast<const float*>(view.data);
      values.insert(values.end(), data, data + view.num_tokens * view.token_stride);
    };
    AnswerGradient gradient = asked.gradient();
    margins = gradient.run(
        asked.read.layers, asked.rows,
        [&](const LayerGradient& layer) {
          for (const TensorView* view : {&layer.q, &layer.k, &layer.v, &layer.gradient}) add(*view);
          values.insert(values.end(), layer.lse.begin(), layer.lse.end());
        },
        [&](std::int32_t, const TensorView& q) { add(q); });
  }
};

TEST(AnswerGradient, ThreadsChangeNoBit) {
  Asked one({}, DType::kF32, 1), three({}, DType::kF32, 3);
  const Everything a(one), b(three);
  EXPECT_EQ(a.margins, b.margins);
  EXPECT_EQ(a.values, b.values);
}

TEST(AnswerGradient, TakesDocumentsOfAnyType) {
  Asked fp32;
  const Everything expected(fp32);
  for (const DType dtype : {DType::kBF16, DType::kF16}) {
    Asked other({}, dtype);
    const Everything found(other);
    EXPECT_NE(found.margins, expected.margins) << "the document was not read";
    double largest = 0;
    for (std::size_t i = 0; i < found.margins.size(); ++i) {
      largest = std::max(largest, std::abs(found.margins[i] - expected.margins[i]));
    }
    EXPECT_LT(largest, 1) << dtype_name(dtype);
  }
}

TEST(AnswerGradient, QueriesBeforeRopeComeToThemselvesWhenPlaced) {
  Asked asked;
  const ModelConfig& config = asked.engine.model->config();
  const RopeFrequencies frequencies = rope_frequencies(config.ropes[0], config.head_dim);
  std::vector<std::vector<float>> placed;
  const std::int64_t row = asked.rows.begins[2] + 31;
  AnswerGradient gradient = asked.gradient();
  gradient.run(
      asked.read.layers, asked.rows,
      [&](const LayerGradient& layer) {
        const auto* const q = static_cast<const float*>(layer.q.row(row, 0));
        const std::vector<float>& expected = placed[static_cast<std::size_t>(layer.layer)];
        for (std::size_t i = 0; i < expected.size(); ++i) EXPECT_NEAR(q[i], expected[i], 1e-5) << i;
      },
      [&](std::int32_t, const TensorView& q) {
        std::vector<float>& out = placed.emplace_back(static_cast<std::size_t>(q.token_stride));
        place_queries(q.tokens(row, 1), frequencies, 300 + 31,
                      contiguous(out.data(), DType::kF32, 1, q.num_heads, q.head_dim), asked.engine.pool);
      });
}

TEST(AnswerGradient, WhatCannotBeIsRefusedByName) {
  Asked asked;
  AnswerGradient gradient = asked.gradient();
  const auto message = [&](const std::vector<DocumentLayer>& document, const QuestionRows& rows) -> std::string {
    try {
      gradient.forward(document, rows);
    } catch (const Error& error) {
      return error.what();
    }
    return "";
  };
  QuestionRows rows = asked.rows;
  rows.targets[9] = 97;
  EXPECT_EQ(message(asked.read.layers, rows), "target 97 of row 9 is neither -1 nor in the vocabulary of 97");
  rows.begins[1] = 0;
  rows.targets[9] = 0;
  EXPECT_NE(message(asked.read.layers, rows), "");
  EXPECT_NE(message({}, asked.rows).find("layers"), std::string::npos);
  std::vector<DocumentLayer> shorter = asked.read.layers;
  shorter[1].v.num_tokens -= 1;
  EXPECT_NE(message(shorter, asked.rows).find("layer 1 of the document is [299, 2, 64]; expected [300, 2, 64]"),
            std::string::npos);

  const auto model = Model::load(asked.engine.files.dir(), asked.engine.pool,
                                 {.compute = ComputeType::kF32, .weights = WeightType::kInt8});
  EXPECT_THROW(AnswerGradient(model->config(), model->weights(), asked.engine.pool), Error);
}

}  // namespace
}  // namespace tca::runtime
