#include "runtime/model/answer_gradient.h"

#include "runtime/model/answer_pass.h"

namespace tca::runtime {

AnswerGradient::AnswerGradient(const ModelConfig& config, const Weights& weights, ThreadPool& pool)
    : pass_(std::make_unique<AnswerPass>(config, weights, pool)) {}
AnswerGradient::~AnswerGradient() = default;

std::vector<double> AnswerGradient::forward(std::span<const DocumentLayer> document, const QuestionRows& rows) {
  pass_->prepare(document, rows);
  return pass_->forth(document, rows, {}, /*keep=*/false);
}

std::vector<double> AnswerGradient::run(std::span<const DocumentLayer> document, const QuestionRows& rows,
                                        const GradientObserver& observer, const QueryObserver& queries,
                                        const Readings& readings) {
  pass_->prepare(document, rows);
  std::vector<double> result = pass_->forth(document, rows, queries, /*keep=*/true);
  pass_->back(document, rows, observer, readings);
  return result;
}

}  // namespace tca::runtime
