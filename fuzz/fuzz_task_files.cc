// Files of long-context tasks: what is accepted can be asked and scored. An input is a file, a NUL byte and what a
// model says to its questions.
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "evaluation/task_files.h"
#include "evaluation/task_scores.h"
#include "tca/error.h"

namespace {

using tca::evaluation::parse_task_file;
using tca::evaluation::task_score;
using tca::evaluation::TaskDocument;
using tca::evaluation::TaskMetric;
using tca::evaluation::TaskQuestion;

void check(bool ok) {
  if (!ok) std::abort();
}

void check(const TaskQuestion& question, std::string_view said) {
  check(!question.answers.empty() && question.max_tokens > 0);
  check((question.metric == TaskMetric::kChoice) == !question.choices.empty());
  for (const std::string& answer : question.answers) {
    check(!answer.empty());
    if (question.metric != TaskMetric::kChoice) continue;
    check(answer.size() == 1 && answer[0] >= 'A' && answer[0] - 'A' < static_cast<int>(question.choices.size()));
    check(task_score(answer, question) == 1);
  }
  const double score = task_score(said, question);
  check(score >= 0 && score <= 1);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  const std::size_t split = std::min(input.find('\0'), size);
  const std::string_view said = input.substr(std::min(split + 1, size));
  try {
    for (const TaskDocument& document : parse_task_file(input.substr(0, split), "tasks.jsonl")) {
      check(document.line > 0 && !document.context.empty() && !document.questions.empty());
      for (const TaskQuestion& question : document.questions) check(question, said);
    }
  } catch (const tca::Error&) {
  }
  return 0;
}
