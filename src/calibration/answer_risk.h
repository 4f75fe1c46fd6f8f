// What answers lose, to first order, when a head keeps only some of a document's tokens: for every window and kept
// share, from one softmax a row.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "runtime/model/answer_gradient.h"
#include "tca/profile.h"
#include "tca/thread_pool.h"

namespace tca::calibration {

/// What a head may keep of a document of T tokens: the first `sinks`, the last windows[i], and of the n others the
/// floor(shares[j] * n + 0.5) with the highest scores; equal scores in position order, NaN as 0.
struct RiskOptions {
  std::int32_t sinks = 4;
  std::vector<std::int32_t> windows;  // ascending, >= 1
  std::vector<double> shares;         // ascending from 0 to 1
  std::size_t count() const { return windows.size() * shares.size(); }
};
/// Throws kInvalidArgument.
void check_risk_options(const RiskOptions& options);

struct MarginChangeParams {
  const runtime::LayerGradient* rows = nullptr;  // as an observer gets it, of document `document` and `questions`
  std::span<const std::int64_t> questions;       // QuestionRows::begins
  runtime::DocumentLayer document;
  std::span<const float> scores;  // [Hk, T] of the document's tokens
};

/// [Hk][questions][windows x shares], windows outer: gradient . (output over what is kept - output over everything),
/// summed over the question's rows and the group's query heads. What follows the document is always kept. A row that
/// sees nothing (its probabilities of all that is kept are 0 in fp32) has output 0.
std::vector<double> margin_changes(const MarginChangeParams& params, const RiskOptions& options, ThreadPool& pool);

enum class QuestionKind {
  kAnswer,  // looks something up: a loss is what counts, mean of max(0, -change)
  kPlain,   // goes on with the text: any change counts, mean of |change|
};

/// Sums over documents and questions.
class AnswerRiskSums {
 public:
  AnswerRiskSums(RiskOptions options, std::int32_t num_layers, std::int32_t num_kv_heads);

  /// changes as margin_changes() returns them; kinds [questions].
  void add(std::int32_t layer, std::span<const double> changes, std::span<const QuestionKind> kinds);
  /// The plain curves are scaled to the answers' sum over heads at the smallest window and share 0, weighted by 0.3 and
  /// added; then no option has less risk than one that keeps more. Throws kInvalidArgument without answers.
  RiskCurves curves() const;

 private:
  struct Kind {
    std::vector<double> sums;         // [layers][Hk][options]
    std::vector<std::int64_t> count;  // [layers]: questions
  };
  Kind& kind(QuestionKind which) { return which == QuestionKind::kAnswer ? answer_ : plain_; }

  RiskOptions options_;
  std::int32_t num_layers_, num_kv_heads_;
  Kind answer_, plain_;
};

}  // namespace tca::calibration
