// Documents and questions from files, answered by methods side by side.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "evaluation/quality.h"
#include "evaluation/survival.h"
#include "evaluation/task_files.h"
#include "runtime/chat/chat_frames.h"

namespace tca::evaluation {

/// A document and its questions in the tokens of a chat form; nothing that a file says becomes a control token.
struct TaskPrompt {
  using Ids = std::vector<std::int32_t>;

  TaskDocument document;  // without its context
  Ids context;            // read first: tokens are chosen at its end
  /// Up to the opened answer, and of kInside the answer's prefix alone: as each follows the context, or of kTurns from
  /// the second on what closed the answer before.
  std::vector<Ids> questions;
  /// Of each question the ids that stand for its choices: one or two spellings of each letter.
  std::vector<std::vector<Ids>> letters;
  std::int64_t most_tokens = 0;  // that are in a session at once, with answers as long as they may be
};

/// Throws kUnsupported where the tokenizer has no token for the letter of a choice.
TaskPrompt make_task_prompt(const runtime::ChatFrames& chat, TaskDocument document);

/// How documents of so many tokens are read: what window:SHARE keeps depends on it.
using MethodFor = std::function<Method(std::int64_t context_tokens)>;

/// An answer is right where its score is this or more.
inline constexpr double kRightScore = 0.5;

struct TaskAnswer {
  std::int64_t document = 0, question = 0;  // places in prompts and in the document's questions
  std::string text = {};                    // of a choice its letter
  double score = 0;

  bool is_right() const { return score >= kRightScore; }
};

struct TaskMean {
  std::int64_t questions = 0;
  std::int64_t right = 0;
  double sum = 0;

  double mean() const { return questions > 0 ? sum / static_cast<double>(questions) : 0; }
};

struct TaskResult {
  std::string method = {};
  TaskMean total = {};
  struct Task {
    std::string name;
    TaskMean score;
  };
  std::vector<Task> tasks = {};          // in the order in which they come first
  std::vector<TaskAnswer> answers = {};  // by document, then by question
  // Means over documents, after the context was read
  double kept_share = 1, density = 1, kv_bytes = 0, read_seconds = 0;
};

/// setup.stop_ids end answers. Progress counts tokens read. Throws kCancelled when it returns false.
TaskResult evaluate_tasks(const Setup& setup, const runtime::ChatFrames& chat, const MethodFor& method_for,
                          std::span<const TaskPrompt> prompts, const runtime::Progress& progress = {});

/// How many of the answers that are right of one method are right of another, by task. Both results are of these
/// prompts.
Survival task_survival(const TaskResult& reference, const TaskResult& other, std::span<const TaskPrompt> prompts,
                       std::uint64_t seed = 0);

}  // namespace tca::evaluation
