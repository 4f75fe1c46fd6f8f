// Results and answers of eval are untrusted: what is wrong with them is said by file, field and value.
#include "cli/html/results.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "cli/html/answers.h"
#include "tca/error.h"

namespace tca::cli::html {
namespace {

using nlohmann::json;

json method_json(const std::string& name, double kept, int found) {
  return {{"method", name},
          {"kept_share", kept},
          {"density", 1},
          {"kv_bytes", 1024.5},
          {"read_seconds", 0.25},
          {"total", {{"questions", 4}, {"found", found}}},
          {"kinds", {{"person", {{"questions", 4}, {"found", found}}}}},
          {"survival",
           {{"found", 4},
            {"survived", found},
            {"share", found / 4.0},
            {"low", 0.1},
            {"high", 0.9},
            {"worst_kind", "person"},
            {"kinds", {{"person", {{"found", 4}, {"survived", found}}}}}}},
          {"plain_text", nullptr}};
}

json facts_json() {
  return {{"command", "eval"},
          {"version", "0.1.0"},
          {"model",
           {{"name", "m"},
            {"architecture", "A"},
            {"compute", "bf16"},
            {"kv", "bf16"},
            {"weights", "stored"},
            {"weights_sha256", "ab12"},
            {"weight_bytes", 7}}},
          {"text", nullptr},
          {"ctx", 2048},
          {"documents", 1},
          {"facts", "natural"},
          {"questions", 4},
          {"seed", 3},
          {"ask", "later"},
          {"methods", {method_json("full", 1, 4), method_json("tca:0.2", 0.2, 3)}}};
}

json tasks_json() {
  json root = facts_json();
  for (const char* const field : {"text", "ctx", "facts", "questions", "ask"}) root.erase(field);
  root["files"] = {{{"path", "t.jsonl"}, {"documents", 1}, {"left_out", 2}}};
  root["shortest_document"] = 500;
  root["longest_document"] = 700;
  const json score = {{"questions", 4}, {"score", 0.625}, {"right", 3}};
  root["methods"] = {{{"method", "full"},
                      {"kept_share", 1},
                      {"density", 1},
                      {"kv_bytes", 1},
                      {"read_seconds", 1},
                      {"total", score},
                      {"tasks", {{"law", score}}},
                      {"survival", nullptr}}};
  return root;
}

// The message of a refusal.
std::string refusal(const json& root) {
  try {
    (void)parse_result(root.dump(), "r.json");
  } catch (const Error& error) {
    EXPECT_EQ(error.category(), ErrorCategory::kBadFile);
    return error.what();
  }
  return "nothing is wrong";
}

json with(json root, const char* pointer, json value) {
  root[json::json_pointer(pointer)] = std::move(value);
  return root;
}

TEST(HtmlResults, FactsAreRead) {
  const Result result = parse_result(facts_json().dump(), "r.json");
  EXPECT_FALSE(result.of_tasks());
  EXPECT_EQ(result.length(), 2048);
  EXPECT_EQ(result.seed, 3u);
  ASSERT_EQ(result.methods.size(), 2u);
  const MethodFigures& tca = result.methods[1];
  EXPECT_EQ(tca.method, "tca:0.2");
  EXPECT_EQ(tca.total.right, 3);
  ASSERT_TRUE(tca.survival);
  EXPECT_EQ(tca.survival->worst, "person");
  EXPECT_EQ(tca.survival->groups.at(0).survived, 3);
}

TEST(HtmlResults, TasksAreRead) {
  const Result result = parse_result(tasks_json().dump(), "r.json");
  EXPECT_TRUE(result.of_tasks());
  EXPECT_EQ(result.length(), 600);
  EXPECT_EQ(result.task_files.at(0).left_out, 2);
  EXPECT_EQ(result.methods.at(0).groups.at(0).name, "law");
  EXPECT_EQ(result.methods.at(0).groups.at(0).score, 0.625);
  EXPECT_FALSE(result.methods.at(0).survival);
}

TEST(HtmlResults, WhatIsWrongIsNamed) {
  const json good = facts_json();
  EXPECT_EQ(refusal(good), "nothing is wrong");
  EXPECT_EQ(refusal(json::array()),
            "r.json: the file is an array of 0; expected an object, as `tca eval --json` writes it");
  EXPECT_EQ(refusal(with(good, "/command", "bench")),
            "r.json: command is \"bench\"; expected \"eval\": what `tca eval --json` writes");
  EXPECT_EQ(refusal(with(good, "/ctx", -1)), "r.json: ctx is -1; expected an integer in [1, 9007199254740992]");
  EXPECT_EQ(refusal(with(good, "/seed", 0.5)), "r.json: seed is 0.5; expected an integer that is not negative");
  EXPECT_EQ(refusal(with(good, "/model/weights", 8)), "r.json: model.weights is 8; expected a string");
  EXPECT_EQ(refusal(with(good, "/methods", json::array())),
            "r.json: methods is an array of 0; expected one method or more");
  EXPECT_EQ(refusal(with(good, "/methods/1", 1)), "r.json: methods[1] is 1; expected an object");
  EXPECT_EQ(refusal(with(good, "/methods/1/kept_share", 20)),
            "r.json: methods[1].kept_share is 20; expected a number in [0, 1]");
  EXPECT_EQ(refusal(with(good, "/methods/1/method", "full")),
            "r.json: methods[1].method is \"full\"; expected a method that is not there before");
  EXPECT_EQ(refusal(with(good, "/methods/1/total/found", 5)),
            "r.json: methods[1].total.found is 5; expected an integer in [0, 4]");
  EXPECT_EQ(refusal(with(good, "/methods/1/kinds/person/found", nullptr)),
            "r.json: methods[1].kinds.person.found is missing or null");
  EXPECT_EQ(refusal(with(good, "/methods/1/survival/high", 0.05)),
            "r.json: methods[1].survival.high is 0.05; expected a number in [0.1, 1]");
  EXPECT_EQ(refusal(with(good, "/methods/1/survival/kinds/person/survived", 5)),
            "r.json: methods[1].survival.kinds.person.survived is 5; expected an integer in [0, 4]");
  EXPECT_EQ(refusal(with(tasks_json(), "/files/0", "x")), "r.json: files[0] is \"x\"; expected an object");
  EXPECT_EQ(refusal(with(tasks_json(), "/longest_document", 400)),
            "r.json: longest_document is 400; expected an integer in [500, 9007199254740992]");
  EXPECT_EQ(refusal({{"error", {{"category", "io"}, {"message", "no such file"}}}}),
            "r.json: error.message is \"no such file\"; expected a result: that run of tca failed");
}

TEST(HtmlResults, RunsAreCalledByWhatTellsThemApart) {
  Result a = parse_result(facts_json().dump(), "a.json"), b = parse_result(facts_json().dump(), "b.json");
  const Result c = parse_result(tasks_json().dump(), "c.json");
  using Labels = std::vector<std::string>;
  EXPECT_EQ(labels_of(std::vector{a, c}), (Labels{"2,048 tokens", "500 to 700 tokens"}));
  EXPECT_EQ(labels_of(std::vector{a, b}), (Labels{"2,048 tokens, a.json", "2,048 tokens, b.json"}));
  b.model.name = "n";
  EXPECT_EQ(labels_of(std::vector{a, b}), (Labels{"2,048 tokens, m", "2,048 tokens, n"}));
}

// ---- answers

std::string line(const std::string& method, const std::string& question, bool found) {
  const json object = {{"method", method}, {"document", 0},    {"kind", "person"}, {"question", question},
                       {"expected", "x"},  {"generated", "y"}, {"found", found}};
  return object.dump() + '\n';
}

std::string answers_refusal(const std::string& content) {
  try {
    (void)parse_answers(content, "a.jsonl");
  } catch (const Error& error) {
    return error.what();
  }
  return "nothing is wrong";
}

// As facts_json() counts them: full finds four, tca:0.2 three.
std::string fitting_answers() {
  std::string content;
  for (const char* const method : {"full", "tca:0.2"}) {
    for (const char* const question : {"q0", "q1", "q2", "q3"}) {
      content += line(method, question, std::string(method) == "full" || std::string(question) != "q2");
    }
  }
  return content;
}

TEST(HtmlAnswers, QuestionsWithDifferentVerdictsAreFound) {
  const AnswerFile answers = parse_answers(fitting_answers(), "a.jsonl");
  EXPECT_EQ(answers.questions.size(), 4u);
  EXPECT_EQ(answers.questions[1].question, "q1");
  EXPECT_EQ(answers.questions[1].place, "document 0");
  EXPECT_EQ(differing(answers), std::vector<std::size_t>{2});
}

TEST(HtmlAnswers, TasksHaveScoresAndSeveralRightAnswers) {
  const json object = {{"method", "full"}, {"file", "t.jsonl"}, {"line", 3},       {"task", "law"},
                       {"place", 2},       {"question", ""},    {"metric", "all"}, {"expected", {"x", "y"}},
                       {"generated", "x"}, {"score", 0.5}};
  const AnswerFile answers = parse_answers(object.dump(), "a.jsonl");
  EXPECT_EQ(answers.questions.at(0).place, "t.jsonl:3, question 2");
  EXPECT_EQ(answers.questions.at(0).expected, "x, y");
  EXPECT_TRUE(answers.methods.at(0).answers.at(0).right);
}

TEST(HtmlAnswers, WhatIsWrongIsNamed) {
  EXPECT_EQ(answers_refusal("\n"), "a.jsonl: holds no answers; expected lines that `tca eval --answers` wrote");
  EXPECT_NE(answers_refusal(line("full", "q", true) + "{").find("a.jsonl:2: not valid JSON"), std::string::npos);
  json object = json::parse(line("full", "q", true));
  object["found"] = 1;
  EXPECT_EQ(answers_refusal("\n" + object.dump()), "a.jsonl:2: found is 1; expected true or false");
  EXPECT_EQ(answers_refusal(line("full", "q", true) + line("b", "r", true)),
            "a.jsonl:2: question is \"r\"; expected what full was asked there: \"q\" in document 0");
  EXPECT_EQ(answers_refusal(line("full", "q", true) + line("b", "q", true) + line("b", "q", true)),
            "a.jsonl:3: question is \"q\"; expected no more questions than the 1 of full");
  EXPECT_EQ(answers_refusal(line("full", "q", true) + line("full", "r", true) + line("b", "q", true)),
            "a.jsonl: b has 1 answers; expected 2, as many as full");
  EXPECT_EQ(answers_refusal(line("full", "q", true) + line("b", "q", true) + line("full", "q", true)),
            "a.jsonl:3: method is \"full\"; expected a method's lines one behind another, as eval writes them");
}

TEST(HtmlAnswers, BelongToTheResultThatCountsThem) {
  const std::vector<Result> results = {parse_result(tasks_json().dump(), "t.json"),
                                       parse_result(facts_json().dump(), "r.json")};
  const AnswerFile answers = parse_answers(fitting_answers(), "a.jsonl");
  EXPECT_EQ(result_of(answers, results, {false, false}), 1u);
  const auto refused = [&](const AnswerFile& file, const std::vector<bool>& taken) -> std::string {
    try {
      return std::to_string(result_of(file, results, taken));
    } catch (const Error& error) {
      return error.what();
    }
  };
  EXPECT_NE(refused(answers, {false, true})
                .find("a.jsonl belongs to none of the results: full has 4 of 4 right, and 3 of 4 in t.json"),
            std::string::npos);
  EXPECT_NE(refused(answers, {true, true}).find("each result has its answers already"), std::string::npos);
  AnswerFile other = answers;
  other.methods.pop_back();
  EXPECT_NE(refused(other, {true, false}).find("it has 1 methods, and r.json has 2"), std::string::npos);
}

}  // namespace
}  // namespace tca::cli::html
