// Speed of what calibration computes for answers, at the shape of a model of 135M parameters with random weights: rows
// a second of the way forth, of both ways, and of the risk sums beside them.
//   tca_bench_answers [DOCUMENT_TOKENS [QUESTIONS [ROWS_OF_EACH]]]
// TCA_BENCH_THREADS sets the threads. Rows a second of wall-clock time, and of a core: of the processor time that all
// threads took, which a machine shared with others changes less.
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <memory>
#include <random>
#include <vector>

#include "calibration/answer_risk.h"
#include "runtime/io/model_config.h"
#include "runtime/model/answer_gradient.h"

namespace tca::bench {
namespace {

using namespace runtime;

struct Time {
  double wall = 0, cores = 0;
  static Time now() {
    return {std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count(),
            static_cast<double>(std::clock()) / CLOCKS_PER_SEC};
  }
  Time operator-(const Time& other) const { return {wall - other.wall, cores - other.cores}; }
  void operator+=(const Time& other) { *this = {wall + other.wall, cores + other.cores}; }
};

/// Random bf16 weights that leave activations finite, and a document's keys and values.
class Problem {
 public:
  Problem(std::int64_t tokens, std::int64_t questions, std::int64_t rows_of_each) {
    config.hidden_size = 576;
    config.num_layers = 30;
    config.num_heads = 9;
    config.num_kv_heads = 3;
    config.head_dim = 64;
    config.intermediate_size = 1536;
    config.vocab_size = 49152;
    const std::int64_t hidden = 576, kv = 192, inner = 1536;
    weights.lm_head = linear(hidden, config.vocab_size);
    weights.embedding = {.data = weights.lm_head.weight, .dtype = DType::kBF16, .shape = {config.vocab_size, hidden}};
    weights.final_norm.assign(576, 1);
    for (std::int32_t layer = 0; layer < config.num_layers; ++layer) {
      config.layers.emplace_back().mlp.gate.out = inner;
      LayerWeights w;
      w.attention_norm = w.mlp_norm = weights.final_norm;
      w.q = linear(hidden, hidden);
      w.k = linear(hidden, kv);
      w.v = linear(hidden, kv);
      w.o = linear(hidden, hidden);
      w.mlp.gate = linear(hidden, inner);
      w.mlp.up = linear(hidden, inner);
      w.mlp.down = linear(inner, hidden);
      weights.layers.push_back(std::move(w));
      const auto view = [&] { return contiguous(random(tokens * kv), DType::kBF16, tokens, 3, 64); };
      document.push_back({view(), view()});
    }
    std::mt19937 draw(7);
    for (std::int64_t question = 0; question < questions; ++question) {
      std::vector<std::int32_t> ids, targets;
      for (std::int64_t row = 0; row < rows_of_each; ++row) {
        ids.push_back(static_cast<std::int32_t>(draw() % 49152));
        targets.push_back(row * 2 < rows_of_each ? -1 : static_cast<std::int32_t>(draw() % 49152));
      }
      rows.add(ids, targets);
    }
    scores.resize(static_cast<std::size_t>(3 * tokens));
    for (float& score : scores) score = static_cast<float>(draw() >> 8);
  }

  ModelConfig config;
  Weights weights;
  std::vector<DocumentLayer> document;
  QuestionRows rows;
  std::vector<float> scores;

 private:
  const void* random(std::int64_t n) {
    std::mt19937 draw(static_cast<unsigned>(storage_.size()));
    auto values = std::make_unique<std::vector<std::uint16_t>>(static_cast<std::size_t>(n));
    for (std::uint16_t& value : *values) value = static_cast<std::uint16_t>(0x3c80 | (draw() & 0x80ff));
    return storage_.emplace_back(std::move(values))->data();
  }
  Linear linear(std::int64_t in, std::int64_t out) {
    return {.weight = random(in * out), .dtype = DType::kBF16, .in = in, .out = out};
  }
  std::vector<std::unique_ptr<std::vector<std::uint16_t>>> storage_;
};

void measure(std::int64_t tokens, std::int64_t questions, std::int64_t rows_of_each) {
  ThreadPool pool(std::getenv("TCA_BENCH_THREADS") ? std::atoi(std::getenv("TCA_BENCH_THREADS")) : 0);
  const Problem problem(tokens, questions, rows_of_each);
  AnswerGradient gradient(problem.config, problem.weights, pool);
  const calibration::RiskOptions options{
      .windows = {16, 32, 64, 128, 256},
      .shares = {0, 0.005, 0.01, 0.02, 0.03, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.7, 1}};
  Time begin = Time::now(), risk;
  gradient.forward(problem.document, problem.rows);
  const Time forth = Time::now() - begin;
  begin = Time::now();
  gradient.run(problem.document, problem.rows, [&](const LayerGradient& layer) {
    const Time before = Time::now();
    calibration::margin_changes({.rows = &layer,
                                 .questions = problem.rows.begins,
                                 .document = problem.document[static_cast<std::size_t>(layer.layer)],
                                 .scores = problem.scores},
                                options, pool);
    risk += Time::now() - before;
  });
  const Time both = Time::now() - begin - risk;
  const auto rows = static_cast<double>(problem.rows.num_rows());
  std::printf("%lld tokens, %.0f rows, %d threads\n", static_cast<long long>(tokens), rows, pool.num_threads());
  const auto print = [&](const char* what, const Time& time) {
    std::printf("  %-10s %6.1f rows/s, %6.1f rows/s of a core\n", what, rows / time.wall, rows / time.cores);
  };
  print("forth", forth);
  print("both ways", both);
  print("risk sums", risk);
}

}  // namespace
}  // namespace tca::bench

int main(int argc, char** argv) {
  const auto argument = [&](int i, std::int64_t otherwise) { return argc > i ? std::atoll(argv[i]) : otherwise; };
  tca::bench::measure(argument(1, 3000), argument(2, 12), argument(3, 35));
  return 0;
}
