#include "evaluation/task_lines.h"

#include <algorithm>
#include <span>
#include <vector>

#include "core/json.h"
#include "evaluation/answers.h"
#include "evaluation/task_files.h"

namespace tca::evaluation {
namespace {

std::vector<std::string> values_of(const std::string& answer) {
  std::vector<std::string> values;
  for (std::size_t begin = 0; begin < answer.size();) {
    const std::size_t end = std::min(answer.find(", ", begin), answer.size());
    values.push_back(answer.substr(begin, end - begin));
    begin = end + 2;
  }
  return values;
}

}  // namespace

std::string task_line(const LookupDocument& document, const runtime::ChatFrames& chat) {
  const std::span<const std::int32_t> ids = document.context;
  const std::size_t before = chat.before_document().size(), after = chat.after_document().size();
  nlohmann::json questions = nlohmann::json::array();
  for (std::size_t i = 0; i < document.facts.size(); ++i) {
    const Fact& fact = document.facts[i];
    const std::vector<std::string> answers = fact.accepted.empty() ? values_of(fact.answer) : fact.accepted;
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
  nlohmann::json line;
  line["context"] = chat.form().tokenizer().decode(ids.subspan(before, ids.size() - before - after));
  line["context_ids"] = document.context;
  line["questions"] = std::move(questions);
  return line.dump(-1, ' ', /*ensure_ascii=*/false, nlohmann::json::error_handler_t::replace);
}

}  // namespace tca::evaluation
