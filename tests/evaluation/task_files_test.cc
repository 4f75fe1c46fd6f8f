// Every form of file as it is read, and what is refused of each, by field.
#include "evaluation/task_files.h"

#include <gtest/gtest.h>

#include "core/expect_error.h"

namespace tca::evaluation {
namespace {

using testing::expect_error;
using Texts = std::vector<std::string>;

std::vector<TaskDocument> parse(const std::string& text, const std::string& file = "data/some_task.jsonl") {
  return parse_task_file(text, file);
}

TaskDocument only(const std::string& text, const std::string& file = "data/some_task.jsonl") {
  std::vector<TaskDocument> documents = parse(text, file);
  EXPECT_EQ(documents.size(), 1u);
  return std::move(documents.at(0));
}

TEST(TaskFiles, Ruler) {
  const TaskDocument document = only(
      R"({"index": 7, "input": "Much hay. Which needle?", "outputs": ["12", "34"], "length": 4096, "answer_prefix": " It is"})",
      "niah_multikey_1.jsonl");
  EXPECT_EQ(document.order, QuestionOrder::kInside);
  EXPECT_EQ(document.line, 1);
  EXPECT_EQ(document.context, "Much hay. Which needle?");
  EXPECT_EQ(document.answer_prefix, " It is");
  ASSERT_EQ(document.questions.size(), 1u);
  const TaskQuestion& question = document.questions[0];
  EXPECT_EQ(question.task, "niah_multikey_1");
  EXPECT_EQ(question.text, "");
  EXPECT_EQ(question.answers, (Texts{"12", "34"}));
  EXPECT_EQ(question.metric, TaskMetric::kAll);
  EXPECT_EQ(question.max_tokens, 128);
}

TEST(TaskFiles, RulersTasksAreScoredByTheirNames) {
  const std::string row = R"({"input": "a", "outputs": ["b"]})";
  const auto question = [&](const std::string& file) { return only(row, file).questions[0]; };
  EXPECT_EQ(question("qa_1.jsonl").metric, TaskMetric::kAny);
  EXPECT_EQ(question("qa_1.jsonl").max_tokens, 32);
  EXPECT_EQ(question("vt.jsonl").max_tokens, 30);
  EXPECT_EQ(question("fwe.jsonl").metric, TaskMetric::kAll);
  EXPECT_EQ(question("data/cwe/validation.jsonl").task, "cwe");
  EXPECT_EQ(question("validation.jsonl").task, "validation");
  const TaskQuestion own =
      only(R"({"input": "a", "outputs": ["b"], "metric": "f1", "max_tokens": 9})", "vt.jsonl").questions[0];
  EXPECT_EQ(own.metric, TaskMetric::kF1);
  EXPECT_EQ(own.max_tokens, 9);
}

TEST(TaskFiles, Scbench) {
  const TaskDocument document = only(
      R"([{"id": 1, "context": "A text.", "multi_turns": [
            {"input": "one?", "answer": "first"}, {"input": "two?", "answer": ["x", 3.0]}, {"input": "three?", "answer": 2.5},
            {"input": "four?", "options": ["no", "yes"], "answer": "yes", "task": "other"},
            {"input": "five?", "options": ["no", "yes"], "answer": ["no", "A"]},
            {"input": "six?", "options": [], "answer": "x", "metric": null}]}])",
      "all.json");
  EXPECT_EQ(document.order, QuestionOrder::kTurns);
  ASSERT_EQ(document.questions.size(), 6u);
  EXPECT_EQ(document.questions[0].text, "one?");
  EXPECT_EQ(document.questions[0].answers, Texts{"first"});
  EXPECT_EQ(document.questions[0].metric, TaskMetric::kAny);
  EXPECT_EQ(document.questions[0].max_tokens, 64);
  EXPECT_EQ(document.questions[1].answers, (Texts{"x", "3"}));
  EXPECT_EQ(document.questions[2].answers, Texts{"2.5"});
  EXPECT_EQ(document.questions[3].metric, TaskMetric::kChoice);
  EXPECT_EQ(document.questions[3].choices, (Texts{"no", "yes"}));
  EXPECT_EQ(document.questions[3].answers, Texts{"B"});
  EXPECT_EQ(document.questions[3].task, "other");
  EXPECT_EQ(document.questions[4].answers, (Texts{"A", "A"}));
  EXPECT_EQ(document.questions[5].metric, TaskMetric::kAny);
}

TEST(TaskFiles, ScbenchsChainsCountEveryName) {
  const std::string row = R"({"context": "a", "multi_turns": [{"input": "b", "answer": ["c", "d"]}]})";
  EXPECT_EQ(only(row, "scbench_vt.jsonl").questions[0].metric, TaskMetric::kAll);
  EXPECT_EQ(only(row, "scbench_kv.jsonl").questions[0].max_tokens, 150);
}

TEST(TaskFiles, ScbenchsNumbersAreNumbers) {
  const TaskQuestion question =
      only(R"({"context": "a", "multi_turns": [{"input": "b", "answer": 3.5}]})", "scbench_mf.jsonl").questions[0];
  EXPECT_EQ(question.metric, TaskMetric::kNumber);
  EXPECT_EQ(question.max_tokens, 5);
  expect_error(
      ErrorCategory::kBadFile, "scbench_mf.jsonl:1: multi_turns[0].answer is \"three\"; expected a number",
      [] { parse(R"({"context": "a", "multi_turns": [{"input": "b", "answer": "three"}]})", "scbench_mf.jsonl"); });
}

TEST(TaskFiles, WhatScbenchScoresOtherwiseNeedsAMetric) {
  for (const char* const file : {"scbench_summary.jsonl", "scbench_repoqa.jsonl", "scbench_qa_chn.jsonl"}) {
    expect_error(ErrorCategory::kBadFile, "multi_turns[0].task is \"scbench_",
                 [&] { parse(R"({"context": "a", "multi_turns": [{"input": "b", "answer": "c"}]})", file); });
    const TaskQuestion question =
        only(R"({"context": "a", "multi_turns": [{"input": "b", "answer": "c", "metric": "f1"}]})", file).questions[0];
    EXPECT_EQ(question.metric, TaskMetric::kF1);
  }
  const std::string mixed =
      R"({"context": "a", "multi_turns": [{"input": "b", "answer": "7", "task": "scbench_passkey"}]})";
  EXPECT_EQ(only(mixed, "scbench_summary_with_needles.jsonl").questions[0].metric, TaskMetric::kNumber);
}

TEST(TaskFiles, LongBench) {
  const TaskDocument document = only(
      R"([{"_id": "1", "domain": "Law", "question": "Which?", "choice_A": "w", "choice_B": "x", "choice_C": "y",
           "choice_D": "z", "answer": "C", "context": "Long."}])",
      "data.json");
  EXPECT_EQ(document.order, QuestionOrder::kForks);
  const TaskQuestion& question = document.questions.at(0);
  EXPECT_EQ(question.task, "Law");
  EXPECT_EQ(question.text, "Which?");
  EXPECT_EQ(question.choices, (Texts{"w", "x", "y", "z"}));
  EXPECT_EQ(question.answers, Texts{"C"});
  EXPECT_EQ(question.metric, TaskMetric::kChoice);
}

TEST(TaskFiles, Own) {
  const TaskDocument document = only(
      R"([{"context": "c", "questions": [{"question": "q", "answers": ["a"]}, {"question": "r", "answers": ["b"],
          "metric": "all", "max_tokens": 5}, {"question": "s", "answers": ["two"], "choices": ["one", "two"]}]}])",
      "own.json");
  ASSERT_EQ(document.questions.size(), 3u);
  EXPECT_EQ(document.questions[0].task, "own");
  EXPECT_EQ(document.questions[0].metric, TaskMetric::kWords);
  EXPECT_EQ(document.questions[0].max_tokens, 64);
  EXPECT_EQ(document.questions[1].metric, TaskMetric::kAll);
  EXPECT_EQ(document.questions[1].max_tokens, 5);
  EXPECT_EQ(document.questions[2].metric, TaskMetric::kChoice);
  EXPECT_EQ(document.questions[2].answers, Texts{"B"});
  EXPECT_EQ(
      only(R"({"task": "t", "context": "c", "questions": [{"question": "q", "answers": ["a"]}]})").questions[0].task,
      "t");
}

const std::string kRow = R"({"input": "a, [b]} \"", "outputs": ["b"]})";

TEST(TaskFiles, LinesAndArraysAreTheSame) {
  const std::string other = R"({"context": "c", "questions": [{"question": "q", "answers": ["a"]}]})";
  const auto lines = parse("\xef\xbb\xbf" + (kRow + "\r\n\n  \n") + other);
  ASSERT_EQ(lines.size(), 2u);
  EXPECT_EQ(place_of(lines[1]), "data/some_task.jsonl:4");
  EXPECT_EQ(lines[1].order, QuestionOrder::kForks);
  const auto items = parse(" [" + (kRow + "\n,\n") + other + "\n]\n");
  ASSERT_EQ(items.size(), 2u);
  EXPECT_EQ(items[0].context, "a, [b]} \"");
  EXPECT_EQ(items[1].line, 2);
}

TEST(TaskFiles, TheLimitLeavesTheRestUnread) {
  EXPECT_EQ(parse_task_file(kRow + "\n" + kRow + "\nbroken", "f", 2).size(), 2u);
  EXPECT_EQ(parse_task_file("[" + kRow + ", broken", "f", 1).size(), 1u);
}

TEST(TaskFiles, WhatIsNoFileOfDocumentsIsRefused) {
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"", "f: holds no documents"},
      {"[]", "f: holds no documents"},
      {"\n{]", "f:2: not valid JSON"},
      {kRow + "\n[1]", "f:2: holds something of type array; expected an object"},
      {"3", "f:1: holds something of type number"},
      {"[" + kRow, "f: the array does not end: item 1"},
      {"[" + kRow + ",]", "f: item 2 of the array is empty"},
      {"[" + kRow + "] x", "f: text follows the end of the array"},
      {R"({"input": "a", "answer": "b"})", "f:1: the fields are answer, input; expected outputs (RULER)"},
      {"{}", "the fields are none"},
      {R"({"a": 1, "a": 2})", "occurs twice"},
  };
  for (const auto& [text, part] : cases) {
    expect_error(ErrorCategory::kBadFile, part, [&, &text = text] { parse_task_file(text, "f"); });
  }
}

TEST(TaskFiles, FieldsAreRefusedByName) {
  const std::vector<std::pair<std::string, std::string>> cases = {
      // RULER
      {R"({"outputs": ["b"]})", "f:1: input is missing"},
      {R"({"input": "", "outputs": ["b"]})", "f:1: input is \"\"; expected a text"},
      {R"({"input": "a", "outputs": "b"})", "f:1: outputs is \"b\"; expected an array"},
      {R"({"input": "a", "outputs": []})", "f:1: outputs is an array of 0; expected one answer"},
      {R"({"input": "a", "outputs": ["b", null]})", "f:1: outputs[1] is null"},
      {R"({"input": "a", "outputs": [""]})", "f:1: outputs[0] is \"\""},
      {R"({"input": "a", "outputs": ["b"], "answer_prefix": 1})", "f:1: answer_prefix is 1; expected a string"},
      {R"({"input": "a", "outputs": ["b"], "metric": "rouge"})",
       "f:1: metric is \"rouge\"; expected any, all, words, f1, number or choice"},
      {R"({"input": "a", "outputs": ["b"], "metric": "choice"})",
       "f:1: metric is \"choice\"; expected any, all, words, f1 or number"},
      {R"({"input": "a", "outputs": ["b"], "max_tokens": 0})", "f:1: max_tokens is 0; expected an integer in [1, "},
      // SCBench
      {R"({"context": "a", "multi_turns": {}})", "f:1: multi_turns is an object of 0; expected an array"},
      {R"({"context": "a", "multi_turns": []})", "f:1: multi_turns is an array of 0; expected one question"},
      {R"({"context": 1, "multi_turns": [{}]})", "f:1: context is 1"},
      {R"({"context": "a", "multi_turns": [1]})", "f:1: multi_turns[0] is 1; expected an object"},
      {R"({"context": "a", "multi_turns": [{"answer": 1}]})", "f:1: multi_turns[0].input is missing"},
      {R"({"context": "a", "multi_turns": [{"input": "i", "answer": true}]})", "multi_turns[0].answer is true"},
      {R"({"context": "a", "multi_turns": [{"input": "i", "answer": "x", "options": ["y"]}]})",
       "multi_turns[0].options is an array of 1; expected 2 to 26"},
      {R"({"context": "a", "multi_turns": [{"input": "i", "answer": "x", "options": ["y", "z"]}]})",
       "multi_turns[0].answer is \"x\"; expected one of the choices, or its letter"},
      {R"({"context": "a", "multi_turns": [{"input": "i", "answer": "C", "options": ["y", "z"]}]})", "answer is \"C\""},
      // LongBench v2
      {R"({"context": "a", "question": "q", "choice_A": "1", "choice_B": "2", "choice_C": "3", "answer": "A"})",
       "f:1: choice_D is missing"},
      {R"({"context": "a", "question": "q", "choice_A": "1", "choice_B": "2", "choice_C": "3", "choice_D": "4", "answer": "E"})",
       "f:1: answer is \"E\"; expected A, B, C or D"},
      // our own
      {R"({"context": "a", "questions": [{"question": "q", "answers": "x"}]})", "questions[0].answers is \"x\""},
      {R"({"context": "a", "questions": [{"question": "q", "answers": ["1", "x"], "metric": "number"}]})",
       "questions[0].answers is \"x\"; expected a number"},
      {R"({"context": "a", "questions": [{"question": "q", "answers": ["x"], "metric": "choice"}]})",
       "questions[0].choices is missing"},
      {R"({"context": "a", "questions": [{"question": "q", "answers": ["x"], "choices": ["x", 2]}]})",
       "questions[0].choices[1] is 2"},
      {R"({"task": 1, "context": "a", "questions": [{"question": "q", "answers": ["x"]}]})", "f:1: task is 1"},
  };
  for (const auto& [text, part] : cases) {
    expect_error(ErrorCategory::kBadFile, part, [&, &text = text] { parse_task_file(text, "f"); });
  }
}

}  // namespace
}  // namespace tca::evaluation
