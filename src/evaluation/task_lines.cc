#include "evaluation/task_lines.h"

#include <span>
#include <vector>

#include "evaluation/answers.h"
#include "evaluation/task_files.h"

namespace tca::evaluation {

nlohmann::json task_row(const LookupDocument& document, const runtime::ChatFrames& chat) {
  const std::span<const std::int32_t> ids = document.context;
  const std::size_t before = chat.before_document().size(), after = chat.after_document().size();
  nlohmann::json questions = nlohmann::json::array();
  for (std::size_t i = 0; i < document.facts.size(); ++i) {
    const Fact& fact = document.facts[i];
    const std::vector<std::string> answers = fact.accepted.empty() ? answer_values(fact.answer) : fact.accepted;
    const bool several = fact.accepted.empty() && answers.size() > 1;
    nlohmann::json question;
    question["task"] = fact_kind_name(fact.kind);
    question["question"] = fact.question;
    question["ids"] = document.questions[i];
    question["answers"] = answers;
    question["metric"] = task_metric_name(several ? TaskMetric::kAll : TaskMetric::kWords);
    question["max_tokens"] = max_answer_tokens(fact, std::ssize(document.answers[i]));
    questions.push_back(std::move(question));
  }
  nlohmann::json row;
  row["context"] = chat.form().tokenizer().decode(ids.subspan(before, ids.size() - before - after));
  row["context_ids"] = document.context;
  row["questions"] = std::move(questions);
  return row;
}

}  // namespace tca::evaluation
