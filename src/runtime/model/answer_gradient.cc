#include "runtime/model/answer_gradient.h"

#include "runtime/model/answer_pass.h"

namespace tca::runtime {

AnswerGradient::AnswerGradient(const ModelConfig& config, const Weights& weights, std::int64_t sinks, ThreadPool& pool)
    : pass_(std::make_unique<AnswerPass>(config, weights, sinks, pool)) {}
AnswerGradient::~AnswerGradient() = default;

std::vector<double> AnswerGradient::forward(std::span<const DocumentLayer> document, const QuestionRows& rows,
                                            const QueryObserver& observer) {
  pass_->prepare(document, rows);
  return pass_->forth(document, rows, observer, /*keep=*/false);
}

std::vector<double> AnswerGradient::run(std::span<const DocumentLayer> document, const QuestionRows& rows,
                                        const GradientObserver& observer, const QueryObserver& queries) {
  pass_->prepare(document, rows);
  std::vector<double> result = pass_->forth(document, rows, queries, /*keep=*/true);
  pass_->back(document, rows, observer);
  return result;
}

}  // namespace tca::runtime
