// Prompts against the ids of whole conversations; answers with the shipped model against sessions that are put together
// by hand; survival against outcomes counted by hand.
#include "evaluation/tasks.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "core/check.h"
#include "core/expect_error.h"
#include "core/file.h"
#include "runtime/engine/generate.h"

namespace tca::evaluation {
namespace {

using runtime::ChatFrames;
using runtime::ChatTemplate;
using runtime::Model;
using runtime::Session;
using runtime::Tokenizer;
using testing::expect_error;
using Ids = TaskPrompt::Ids;
using Texts = std::vector<std::string>;

Ids joined(std::initializer_list<Ids> parts) {
  Ids all;
  for (const Ids& part : parts) all.insert(all.end(), part.begin(), part.end());
  return all;
}

class Tasks : public ::testing::Test {
 protected:
  static ThreadPool& pool() {
    static ThreadPool instance;
    return instance;
  }
  static const Tokenizer& tokenizer() {
    static const Tokenizer instance = Tokenizer::load(TCA_SOURCE_DIR "/models/lookback-28m");
    return instance;
  }
  static const ChatFrames& chat() {
    static const ChatFrames instance(ChatTemplate::load(TCA_SOURCE_DIR "/models/lookback-28m", tokenizer()));
    return instance;
  }
  static const evaluation::Setup& setup() {
    static const auto backend = create_backend("cpu", pool());
    static const evaluation::Setup instance{Model::load(TCA_SOURCE_DIR "/models/lookback-28m", pool()), *backend,
                                            pool(), tokenizer(), chat().form().stop_ids()};
    return instance;
  }
  static MethodFor method(const std::string& form) {
    return [form](std::int64_t tokens) { return parse_method(form, {}, setup().model->fingerprint(), tokens); };
  }
  static Session full_session() {
    return Session(setup().model, setup().backend, setup().pool, method("full")(1).options);
  }

  // A page of the novel with two numbers in it, asked for in the words that the model knows.
  static std::string page() {
    static const std::string novel = read_file(TCA_SOURCE_DIR "/examples/data/michael-armstrong.txt", 4 << 20);
    return novel.substr(2000, 500) + " The special magic number for amber-falcon is: 4815162. " +
           novel.substr(2500, 500) + " The special magic number for quiet-harbour is: 23421. " +
           novel.substr(3000, 500);
  }
  static std::string asked(const std::string& key) {
    return text("What is the special magic number for ", key, " mentioned in the text?");
  }
  static TaskQuestion falcon() { return {.task = "numbers", .text = asked("amber-falcon"), .answers = {"4815162"}}; }
  static TaskQuestion harbour() { return {.task = "more", .text = asked("quiet-harbour"), .answers = {"23421"}}; }
  static TaskQuestion choice() {
    return {.task = "choices",
            .text = asked("amber-falcon"),
            .answers = {"B"},
            .choices = {"one", "4815162", "two"},
            .metric = TaskMetric::kChoice};
  }
  static TaskPrompt prompt(QuestionOrder order, std::vector<TaskQuestion> questions) {
    return make_task_prompt(
        chat(), {.file = "f", .line = 3, .order = order, .context = page(), .questions = std::move(questions)});
  }
  // Whole text as one user turn, its answer begun.
  static TaskPrompt inside(const std::string& prefix) {
    TaskQuestion question = falcon();
    const std::string whole = page() + "\n" + question.text;
    question.text = "";
    return make_task_prompt(chat(), {.file = "f",
                                     .line = 1,
                                     .order = QuestionOrder::kInside,
                                     .context = whole,
                                     .answer_prefix = prefix,
                                     .questions = {question}});
  }
  static TaskResult evaluate(const std::vector<TaskPrompt>& prompts, const std::string& form = "full") {
    return evaluate_tasks(setup(), chat(), method(form), prompts);
  }
  static runtime::GenerateResult say(Session& session, std::span<const float> logits, std::int64_t max_tokens = 64) {
    runtime::GenerateOptions options;
    options.max_tokens = max_tokens;
    options.stop_ids = setup().stop_ids;
    return runtime::generate(session, tokenizer(), logits, options);
  }
};

// ---- prompts

TEST_F(Tasks, QuestionsOfForksFollowTheDocument) {
  TaskQuestion longer = harbour();
  longer.max_tokens = 9;
  const TaskPrompt made = prompt(QuestionOrder::kForks, {falcon(), longer});
  EXPECT_EQ(made.context, chat().document(page()));
  ASSERT_EQ(made.questions.size(), 2u);
  EXPECT_EQ(made.questions[0], chat().first_question(asked("amber-falcon")));
  EXPECT_EQ(made.questions[1], chat().first_question(asked("quiet-harbour")));
  EXPECT_TRUE(made.letters[0].empty());
  EXPECT_EQ(made.most_tokens, std::ssize(made.context) + std::ssize(made.questions[0]) + 64);
  EXPECT_EQ(made.document.context, "");
  EXPECT_EQ(place_of(made.document), "f:3");
}

TEST_F(Tasks, TurnsMakeTheConversation) {
  const TaskPrompt made = prompt(QuestionOrder::kTurns, {falcon(), harbour()});
  const Ids answer = tokenizer().encode_plain("4815162", runtime::TextStart::kContinues);
  const Ids ids = joined({made.context, made.questions[0], answer, chat().turn_end(false), made.questions[1]});
  const std::vector<runtime::ChatMessage> messages = {{"user", runtime::foreign_text(page())},
                                                      {"user", runtime::foreign_text(asked("amber-falcon"))},
                                                      {"assistant", runtime::foreign_text("4815162")},
                                                      {"user", runtime::foreign_text(asked("quiet-harbour"))}};
  EXPECT_EQ(ids, chat().form().encode({.messages = runtime::chat_messages(messages)}).ids);
  EXPECT_EQ(made.most_tokens, std::ssize(made.context) + std::ssize(made.questions[0]) + std::ssize(made.questions[1]) +
                                  2 * (64 + std::ssize(chat().turn_end(false))));
}

TEST_F(Tasks, APromptWithItsQuestionIsOneTurn) {
  const TaskPrompt made = inside(" The number is");
  const runtime::ChatMessage message{"user", runtime::foreign_text(page() + "\n" + asked("amber-falcon"))};
  EXPECT_EQ(made.context, chat().form().encode({.messages = runtime::chat_messages({&message, 1})}).ids);
  EXPECT_EQ(made.questions[0], tokenizer().encode_plain(" The number is", runtime::TextStart::kContinues));
  EXPECT_EQ(made.most_tokens, std::ssize(made.context) + std::ssize(made.questions[0]) + 64);
  EXPECT_TRUE(inside("").questions[0].empty());
}

TEST_F(Tasks, NothingOfAFileBecomesAControlToken) {
  const std::string marker = "<|im_end|>";
  TaskQuestion question = falcon();
  question.text += marker;
  const auto count = [&](const Ids& ids) { return std::count(ids.begin(), ids.end(), *tokenizer().token_id(marker)); };
  const TaskDocument document{.order = QuestionOrder::kForks, .context = marker, .questions = {question}};
  const TaskPrompt forks = make_task_prompt(chat(), document);
  EXPECT_EQ(count(forks.context), 1);  // the form's own
  EXPECT_EQ(count(forks.questions[0]), 1);
  TaskDocument whole = document;
  whole.order = QuestionOrder::kInside;
  whole.answer_prefix = marker;
  const TaskPrompt made = make_task_prompt(chat(), whole);
  EXPECT_EQ(count(made.context), 1);
  EXPECT_EQ(count(made.questions[0]), 0);
}

TEST_F(Tasks, ChoicesAreWrittenWithTheirLetters) {
  const TaskPrompt made = prompt(QuestionOrder::kForks, {choice()});
  const std::string asked = tokenizer().decode(made.questions[0]);
  EXPECT_NE(asked.find("\nA. one\nB. 4815162\nC. two\n"), std::string::npos) << asked;
  ASSERT_EQ(made.letters[0].size(), 3u);
  for (std::size_t i = 0; i < 3; ++i) {
    const char letter = static_cast<char>('A' + i);
    ASSERT_FALSE(made.letters[0][i].empty());
    for (const std::int32_t id : made.letters[0][i]) {
      const std::string spelling = tokenizer().decode({&id, 1});
      EXPECT_TRUE(spelling == std::string(1, letter) || spelling == text(' ', letter)) << spelling;
    }
  }
  EXPECT_EQ(made.most_tokens, std::ssize(made.context) + std::ssize(made.questions[0]) + 1);
}

// ---- answers

TEST_F(Tasks, ForksAnswerEachQuestionFromTheDocument) {
  const std::vector<TaskPrompt> prompts = {prompt(QuestionOrder::kForks, {falcon(), harbour(), falcon()})};
  const TaskResult result = evaluate(prompts);
  Session session = full_session();
  session.read(prompts[0].context);
  for (std::size_t i = 0; i < 3; ++i) {
    Session fork = session.fork();
    EXPECT_EQ(result.answers[i].text, say(fork, fork.read(prompts[0].questions[i])).text);
    EXPECT_EQ(result.answers[i].question, static_cast<std::int64_t>(i));
  }
  EXPECT_EQ(result.answers[0].text, "4815162");
  EXPECT_EQ(result.total.questions, 3);
  EXPECT_EQ(result.total.right, 3);
  EXPECT_EQ(result.total.mean(), 1);
  ASSERT_EQ(result.tasks.size(), 2u);  // in the order in which they come
  EXPECT_EQ(result.tasks[0].name, "numbers");
  EXPECT_EQ(result.tasks[0].score.questions, 2);
  EXPECT_EQ(result.tasks[1].name, "more");
  EXPECT_EQ(result.method, "full");
  EXPECT_EQ(result.kept_share, 1);
  EXPECT_EQ(result.kv_bytes, static_cast<double>(session.kv_bytes()));
}

TEST_F(Tasks, TurnsFollowWhatTheModelSaid) {
  const std::vector<TaskPrompt> prompts = {prompt(QuestionOrder::kTurns, {falcon(), harbour()})};
  const TaskResult result = evaluate(prompts);
  Session session = full_session();
  session.read(prompts[0].context);
  const auto first = say(session, session.read(prompts[0].questions[0]));
  const auto second =
      say(session, session.read(joined({chat().turn_end(first.stopped_by_id), prompts[0].questions[1]})));
  EXPECT_EQ(result.answers[0].text, first.text);
  EXPECT_EQ(result.answers[1].text, second.text);
  EXPECT_EQ(result.total.right, 2);
}

TEST_F(Tasks, AnswersThatAreCutOffAreClosed) {
  TaskQuestion cut = falcon();
  cut.max_tokens = 3;
  const std::vector<TaskPrompt> prompts = {prompt(QuestionOrder::kTurns, {cut, harbour()})};
  const TaskResult result = evaluate(prompts);
  Session session = full_session();
  session.read(prompts[0].context);
  EXPECT_EQ(say(session, session.read(prompts[0].questions[0]), 3).text, "481");
  EXPECT_EQ(result.answers[0].text, "481");
  EXPECT_EQ(result.answers[0].score, 0);
  const auto second = say(session, session.read(joined({chat().turn_end(false), prompts[0].questions[1]})));
  EXPECT_EQ(result.answers[1].text, second.text);
}

TEST_F(Tasks, TheLikeliestLetterIsTheChoice) {
  for (const QuestionOrder order : {QuestionOrder::kForks, QuestionOrder::kTurns}) {
    const std::vector<TaskPrompt> prompts = {prompt(order, {choice(), harbour()})};
    const TaskResult result = evaluate(prompts);
    Session session = full_session();
    session.read(prompts[0].context);
    Session fork = session.fork();
    const auto logits = fork.read(prompts[0].questions[0]);
    std::int32_t likeliest = prompts[0].letters[0][0][0];
    std::size_t chosen = 0;
    for (std::size_t i = 0; i < 3; ++i) {
      for (const std::int32_t id : prompts[0].letters[0][i]) {
        if (logits[static_cast<std::size_t>(id)] <= logits[static_cast<std::size_t>(likeliest)]) continue;
        likeliest = id;
        chosen = i;
      }
    }
    EXPECT_EQ(result.answers[0].text, std::string(1, static_cast<char>('A' + chosen)));
    EXPECT_EQ(result.answers[0].score, chosen == 1 ? 1 : 0);
    if (order == QuestionOrder::kForks) continue;
    fork.read({&likeliest, 1});
    const auto next = say(fork, fork.read(joined({chat().turn_end(false), prompts[0].questions[1]})));
    EXPECT_EQ(result.answers[1].text, next.text);
  }
}

TEST_F(Tasks, AnswersGoOnFromTheirPrefix) {
  for (const std::string prefix : {"", "481"}) {
    const std::vector<TaskPrompt> prompts = {inside(prefix)};
    const TaskResult result = evaluate(prompts);
    Session session = full_session();
    auto logits = session.read(prompts[0].context);
    if (!prefix.empty()) logits = session.read(prompts[0].questions[0]);
    EXPECT_EQ(result.answers[0].text, say(session, logits).text);
    EXPECT_EQ(result.answers[0].text, prefix.empty() ? "4815162" : "5162");
  }
}

TEST_F(Tasks, MethodsAreMadeForEachDocument) {
  std::vector<TaskPrompt> prompts = {prompt(QuestionOrder::kForks, {falcon()})};
  TaskDocument shorter{.order = QuestionOrder::kForks, .context = page().substr(0, 800), .questions = {harbour()}};
  prompts.push_back(make_task_prompt(chat(), shorter));
  std::vector<std::int64_t> lengths;
  const TaskResult result = evaluate_tasks(
      setup(), chat(),
      [&](std::int64_t tokens) {
        lengths.push_back(tokens);
        return method("window:0.1")(tokens);
      },
      prompts);
  EXPECT_EQ(lengths, (std::vector<std::int64_t>{std::ssize(prompts[0].context), std::ssize(prompts[1].context)}));
  EXPECT_EQ(result.answers[1].document, 1);
  EXPECT_NEAR(result.kept_share, 0.1, 0.02);
  EXPECT_EQ(result.total.right, 0);  // the numbers stand before the window
}

TEST_F(Tasks, ProgressCountsWhatIsReadAndStops) {
  const std::vector<TaskPrompt> prompts = {prompt(QuestionOrder::kTurns, {falcon(), harbour()})};
  const std::int64_t all =
      std::ssize(prompts[0].context) + std::ssize(prompts[0].questions[0]) + std::ssize(prompts[0].questions[1]);
  std::int64_t last = 0, given = 0;
  evaluate_tasks(setup(), chat(), method("full"), prompts, [&](std::int64_t done, std::int64_t total) {
    EXPECT_GE(done, last);
    last = done;
    given = total;
    return true;
  });
  EXPECT_EQ(last, all);
  EXPECT_EQ(given, all);
  expect_error(ErrorCategory::kCancelled, "", [&] {
    evaluate_tasks(setup(), chat(), method("full"), prompts, [](std::int64_t, std::int64_t) { return false; });
  });
}

TEST_F(Tasks, NoDocumentsAreRefused) {
  expect_error(ErrorCategory::kInvalidArgument, "no documents", [] { evaluate({}); });
}

// ---- survival

TEST(TaskSurvival, IsOfTheAnswersThatWereRight) {
  const auto document = [](const Texts& tasks) {
    TaskPrompt prompt{.document = {}, .context = {}, .questions = {}, .letters = {}};
    for (const std::string& task : tasks) prompt.document.questions.push_back({.task = task});
    return prompt;
  };
  const std::vector<TaskPrompt> prompts = {document({"b", "a"}), document({"a", "c", "b"})};
  const auto result = [](const std::string& method, const std::vector<double>& scores) {
    TaskResult made{.method = method};
    for (const char* const task : {"b", "a", "c"}) made.tasks.push_back({task, {}});
    const std::vector<std::pair<std::int64_t, std::int64_t>> places = {{0, 0}, {0, 1}, {1, 0}, {1, 1}, {1, 2}};
    for (std::size_t i = 0; i < scores.size(); ++i) {
      made.answers.push_back({.document = places[i].first, .question = places[i].second, .score = scores[i]});
    }
    return made;
  };
  const TaskResult full = result("full", {1, 0.5, 1, 0.49, 1});
  const Survival survived = task_survival(full, result("other", {1, 0.75, 0.25, 1, 1}), prompts);
  EXPECT_EQ(survived.total.found, 4);
  EXPECT_EQ(survived.total.survived, 3);
  ASSERT_EQ(survived.groups.size(), 2u);  // full answered none of c
  EXPECT_EQ(survived.groups[0].name, "b");
  EXPECT_EQ(survived.groups[0].survivors.survived, 2);
  EXPECT_EQ(survived.groups[1].name, "a");
  EXPECT_EQ(survived.groups[1].survivors.found, 2);
  EXPECT_EQ(survived.groups[1].survivors.survived, 1);
  EXPECT_EQ(survived.worst()->name, "a");
  expect_error(ErrorCategory::kInvalidArgument, "'other' has 1 answers; expected the 5 of 'full'",
               [&] { task_survival(full, result("other", {1}), prompts); });
}

}  // namespace
}  // namespace tca::evaluation
