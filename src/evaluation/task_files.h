// Long-context tasks from files: documents and questions as RULER, SCBench and LongBench v2 publish them, and in a form
// of our own (docs/cli.md).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace tca::evaluation {

/// How an answer is scored, in [0, 1] (evaluation/task_scores.h).
enum class TaskMetric { kAny, kAll, kWords, kF1, kNumber, kChoice };

std::string_view task_metric_name(TaskMetric metric);

/// Most choices of a question: each has a letter.
inline constexpr std::int64_t kMostChoices = 26;

struct TaskQuestion {
  std::string task = {};
  std::string text = {};                  // empty: the document ends in it
  std::vector<std::string> answers = {};  // of a choice: letters of the right ones; of a number: numbers
  std::vector<std::string> choices = {};  // A, B, C, ...; of kChoice alone
  TaskMetric metric = TaskMetric::kAny;
  std::int64_t max_tokens = 64;  // of the answer
};

/// How questions follow their document.
enum class QuestionOrder {
  kInside,  // the document is the whole prompt of its one question
  kTurns,   // one after another, each after what the model said to those before
  kForks,   // each right behind the document
};

struct TaskDocument {
  std::string file = {};
  std::int64_t line = 0;  // from 1; where the file is one array, the item
  QuestionOrder order = QuestionOrder::kForks;
  std::string context = {};
  std::string answer_prefix = {};  // of kInside: what the answer begins with
  std::vector<TaskQuestion> questions = {};
};

/// "file:line", as messages name a document.
std::string place_of(const TaskDocument& document);

/// The documents of a file, the first `limit` where that is given: JSONL, or one JSON array. Throws kBadFile with file,
/// line, field, value and what was expected.
std::vector<TaskDocument> parse_task_file(std::string_view content, const std::string& file,
                                          std::optional<std::int64_t> limit = {});

}  // namespace tca::evaluation
