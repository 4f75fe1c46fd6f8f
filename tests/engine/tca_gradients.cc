// A developer's tool: gradients of answers' margins at every head's output, for comparisons with other implementations
// (tests/python/test_answer_gradients.py).
#include <fstream>
#include <iostream>
#include <nlohmann/json.hpp>
#include <span>
#include <string>
#include <vector>

#include "core/check.h"
#include "runtime/engine/session.h"
#include "runtime/model/answer_gradient.h"
#include "tca/backend.h"

namespace {

using namespace tca;
using namespace tca::runtime;

constexpr const char* kUsage =
    "usage: tca_gradients MODEL_DIR INPUT OUTPUT\n"
    "INPUT is JSON: {\"document\": [ids], \"questions\": [{\"ids\": [...], \"targets\": [...]}, ...]}. OUTPUT gets "
    "the\n"
    "rows' margins in fp64; the queries before RoPE of every layer; and from the last layer to the first q, k, v, lse\n"
    "and the gradient; all in fp32.\n";

/// Keeps what a dense read leaves.
class Document final : public LayerObserver {
 public:
  void on_layer(std::int32_t, const TensorView&, const TensorView& k, const TensorView& v) override {
    layers.push_back({keep(k), keep(v)});
  }
  std::vector<DocumentLayer> layers;

 private:
  TensorView keep(TensorView view) {
    const auto* const bytes = static_cast<const std::byte*>(view.data);
    const auto size = static_cast<std::size_t>(view.num_tokens * view.token_stride) * dtype_size(view.dtype);
    view.data = copies_.emplace_back(std::make_unique<std::vector<std::byte>>(bytes, bytes + size))->data();
    return view;
  }
  std::vector<std::unique_ptr<std::vector<std::byte>>> copies_;
};

template <class T>
void write(std::ofstream& out, std::span<const T> values) {
  out.write(reinterpret_cast<const char*>(values.data()), static_cast<std::streamsize>(values.size_bytes()));
}
void write(std::ofstream& out, const TensorView& view) {
  write(out, std::span(static_cast<const float*>(view.data),
                       static_cast<std::size_t>(view.num_tokens * view.num_heads * view.head_dim)));
}

int run(const std::vector<std::string>& args) {
  if (args.size() != 3) {
    std::cerr << kUsage;
    return 2;
  }
  ThreadPool pool;
  const auto backend = create_backend("cpu", pool);
  const auto model = Model::load(args[0], pool, {.compute = ComputeType::kF32});
  const nlohmann::json input = nlohmann::json::parse(std::ifstream(args[1]));
  Session session(model, *backend, pool, {.attention = AttentionMode::kFull});
  Document document;
  session.read(input.at("document").get<std::vector<std::int32_t>>(), {.observer = &document});
  QuestionRows rows;
  for (const nlohmann::json& question : input.at("questions")) {
    rows.add(question.at("ids").get<std::vector<std::int32_t>>(),
             question.at("targets").get<std::vector<std::int32_t>>());
  }

  std::ofstream out(args[2], std::ios::binary);
  AnswerGradient gradient(model->config(), model->weights(), pool);
  write(out, std::span<const double>(gradient.forward(document.layers, rows)));
  gradient.run(
      document.layers, rows,
      [&](const LayerGradient& layer) {
        for (const TensorView* view : {&layer.q, &layer.k, &layer.v}) write(out, *view);
        write(out, layer.lse);
        write(out, layer.gradient);
      },
      [&](std::int32_t, const TensorView& q) { write(out, q); });
  check_argument(out.flush().good(), args[2], " cannot be written");
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  try {
    return run(std::vector<std::string>(argv + 1, argv + argc));
  } catch (const std::exception& error) {
    std::cerr << "tca_gradients: " << error.what() << "\n";
    return 1;
  }
}
