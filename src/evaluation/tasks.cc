#include "evaluation/tasks.h"

#include <algorithm>
#include <utility>

#include "core/check.h"
#include "evaluation/reads.h"
#include "evaluation/task_scores.h"

namespace tca::evaluation {
namespace {

using runtime::Session;
using Ids = TaskPrompt::Ids;

const TaskQuestion& question_of(const TaskAnswer& answer, std::span<const TaskPrompt> prompts) {
  return prompts[static_cast<std::size_t>(answer.document)]
      .document.questions[static_cast<std::size_t>(answer.question)];
}

// One document's questions, put to one session that has read it.
class Asking {
 public:
  Asking(const Setup& setup, const runtime::ChatFrames& chat, const TaskPrompt& prompt, ReadCounter& counter)
      : setup_(setup), chat_(chat), prompt_(prompt), counter_(counter) {}

  /// logits: of the context's last token. What the model says to each question.
  std::vector<std::string> ask_all(Session& read, std::span<const float> logits) {
    std::vector<std::string> texts;
    for (std::size_t i = 0; i < prompt_.questions.size(); ++i) {
      counter_.check_stop();
      if (prompt_.document.order == QuestionOrder::kForks) {
        Session fork = read.fork();
        texts.push_back(ask(fork, logits, i));
      } else {
        texts.push_back(ask(read, logits, i));
      }
    }
    return texts;
  }

 private:
  std::string ask(Session& session, std::span<const float> logits, std::size_t i) {
    Ids ids = std::exchange(turn_end_, {});
    ids.insert(ids.end(), prompt_.questions[i].begin(), prompt_.questions[i].end());
    if (!ids.empty()) logits = session.read(ids, {.progress = counter_.next(std::ssize(prompt_.questions[i]))});
    return prompt_.letters[i].empty() ? say(session, logits, i) : choose(session, logits, i);
  }

  std::string say(Session& session, std::span<const float> logits, std::size_t i) {
    runtime::GenerateResult said = says(setup_, session, logits, prompt_.document.questions[i].max_tokens, counter_);
    if (prompt_.document.order == QuestionOrder::kTurns) turn_end_ = chat_.turn_end(said.stopped_by_id);
    return std::move(said.text);
  }

  // The letter whose likeliest spelling is likelier than the others'.
  std::string choose(Session& session, std::span<const float> logits, std::size_t i) {
    const auto logit = [&](std::int32_t id) { return logits[static_cast<std::size_t>(id)]; };
    const auto likelier = [&](std::int32_t a, std::int32_t b) { return logit(a) < logit(b); };
    std::vector<std::int32_t> best;
    for (const Ids& letter : prompt_.letters[i])
      best.push_back(*std::max_element(letter.begin(), letter.end(), likelier));
    const auto chosen = std::max_element(best.begin(), best.end(), likelier);
    if (prompt_.document.order == QuestionOrder::kTurns) {
      session.read({&*chosen, 1});
      turn_end_ = chat_.turn_end(/*end_token_generated=*/false);
    }
    return {static_cast<char>('A' + (chosen - best.begin()))};
  }

  const Setup& setup_;
  const runtime::ChatFrames& chat_;
  const TaskPrompt& prompt_;
  ReadCounter& counter_;
  Ids turn_end_;  // closes the answer before
};

void add_answer(TaskResult& result, TaskAnswer answer, const TaskQuestion& question) {
  answer.score = task_score(answer.text, question);
  auto task = std::find_if(result.tasks.begin(), result.tasks.end(),
                           [&](const TaskResult::Task& t) { return t.name == question.task; });
  if (task == result.tasks.end()) task = result.tasks.insert(task, {question.task, {}});
  for (TaskMean* const mean : {&result.total, &task->score}) {
    ++mean->questions;
    mean->right += answer.is_right() ? 1 : 0;
    mean->sum += answer.score;
  }
  result.answers.push_back(std::move(answer));
}

std::int64_t tokens_to_read(std::span<const TaskPrompt> prompts) {
  std::int64_t total = 0;
  for (const TaskPrompt& prompt : prompts) {
    total += std::ssize(prompt.context);
    for (const Ids& question : prompt.questions) total += std::ssize(question);
  }
  return total;
}

}  // namespace

TaskResult evaluate_tasks(const Setup& setup, const runtime::ChatFrames& chat, const MethodFor& method_for,
                          std::span<const TaskPrompt> prompts, const runtime::Progress& progress) {
  check_argument(!prompts.empty(), "there are no documents to evaluate");
  TaskResult result;
  ReadCounter counter(progress, tokens_to_read(prompts));
  ReadMeans means;
  for (std::size_t d = 0; d < prompts.size(); ++d) {
    const TaskPrompt& prompt = prompts[d];
    const Method method = method_for(std::ssize(prompt.context));
    result.method = method.name;
    Session session(setup.model, setup.backend, setup.pool, method.options);
    const auto logits = session.read(prompt.context, {.progress = counter.next(std::ssize(prompt.context))});
    means.add(session);
    std::vector<std::string> texts = Asking(setup, chat, prompt, counter).ask_all(session, logits);
    for (std::size_t i = 0; i < texts.size(); ++i) {
      TaskAnswer answer{static_cast<std::int64_t>(d), static_cast<std::int64_t>(i), std::move(texts[i])};
      add_answer(result, std::move(answer), prompt.document.questions[i]);
    }
  }
  means.write_to(result);
  result.kv_bytes = means.kv_bytes();
  counter.finish();
  return result;
}

Survival task_survival(const TaskResult& reference, const TaskResult& other, std::span<const TaskPrompt> prompts,
                       std::uint64_t seed) {
  check_argument(reference.answers.size() == other.answers.size(), "'", other.method, "' has ", other.answers.size(),
                 " answers; expected the ", reference.answers.size(), " of '", reference.method, "'");
  std::vector<Outcome> outcomes;
  for (std::size_t i = 0; i < reference.answers.size(); ++i) {
    if (!reference.answers[i].is_right()) continue;
    const TaskAnswer& answer = other.answers[i];
    const std::string& task = question_of(answer, prompts).task;
    const auto place = std::find_if(reference.tasks.begin(), reference.tasks.end(),
                                    [&task](const TaskResult::Task& t) { return t.name == task; });
    outcomes.push_back({answer.document, place - reference.tasks.begin(), task, answer.is_right()});
  }
  return survival_of(outcomes, seed);
}

}  // namespace tca::evaluation
