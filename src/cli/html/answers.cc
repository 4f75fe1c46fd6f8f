#include "cli/html/answers.h"

#include <fmt/format.h>

#include <algorithm>

#include "core/json.h"
#include "evaluation/tasks.h"
#include "tca/error.h"

namespace tca::cli::html {
namespace {

using nlohmann::json;

constexpr std::int64_t kMostCount = std::int64_t{1} << 53;

struct AnswerLine {
  std::string method = {};
  AskedQuestion asked = {};
  GivenAnswer given = {};
};

std::string joined_texts(const json& object, const std::string& where) {
  std::string joined;
  const json& list = get_array(object, "expected", where);
  for (std::size_t i = 0; i < list.size(); ++i) {
    if (!list[i].is_string()) fail_field(where, fmt::format("expected[{}]", i), list[i], "a string");
    if (i > 0) joined += ", ";
    joined += list[i].get<std::string>();
  }
  return joined;
}

AnswerLine parse_line(std::string_view text, const std::string& where) {
  const JsonDocument document(parse_json(text, where));
  const json& object = *document;
  AnswerLine line;
  line.method = get_string(object, "method", where);
  line.asked.question = get_string(object, "question", where);
  line.given.generated = get_string(object, "generated", where);
  if (object.contains("task")) {
    line.asked.group = get_string(object, "task", where);
    line.asked.place =
        fmt::format("{}:{}, question {}", get_string(object, "file", where),
                    get_int(object, "line", where, 1, kMostCount), get_int(object, "place", where, 1, kMostCount));
    line.asked.expected = joined_texts(object, where);
    line.given.right = get_number(object, "score", where, 0, 1) >= evaluation::kRightScore;
  } else {
    line.asked.group = get_string(object, "kind", where);
    line.asked.place = fmt::format("document {}", get_int(object, "document", where, 0, kMostCount));
    line.asked.expected = get_string(object, "expected", where);
    line.given.right = get_bool(object, "found", where);
  }
  return line;
}

void add_line(AnswerLine line, const std::string& where, AnswerFile& answers) {
  if (answers.methods.empty() || answers.methods.back().method != line.method) {
    const bool there = std::any_of(answers.methods.begin(), answers.methods.end(),
                                   [&](const MethodAnswers& other) { return other.method == line.method; });
    if (there)
      fail_field(where, "method", json(line.method), "a method's lines one behind another, as eval writes them");
    answers.methods.push_back({.method = line.method});
  }
  MethodAnswers& method = answers.methods.back();
  const std::size_t at = method.answers.size();
  if (answers.methods.size() == 1) {
    answers.questions.push_back(std::move(line.asked));
  } else if (at >= answers.questions.size()) {
    fail_field(
        where, "question", json(line.asked.question),
        fmt::format("no more questions than the {} of {}", answers.questions.size(), answers.methods.front().method));
  } else if (line.asked != answers.questions[at]) {
    fail_field(where, "question", json(line.asked.question),
               fmt::format("what {} was asked there: \"{}\" in {}", answers.methods.front().method,
                           answers.questions[at].question, answers.questions[at].place));
  }
  method.answers.push_back(std::move(line.given));
}

// Empty where they fit.
std::string misfit(const MethodAnswers& answers, const Result& result) {
  const auto found = std::find_if(result.methods.begin(), result.methods.end(),
                                  [&](const MethodFigures& method) { return method.method == answers.method; });
  if (found == result.methods.end()) return fmt::format("{} is not in {}", answers.method, result.file);
  const auto right = std::count_if(answers.answers.begin(), answers.answers.end(), [](auto& a) { return a.right; });
  const GroupScore& total = found->total;
  if (right == total.right && std::ssize(answers.answers) == total.questions) return "";
  return fmt::format("{} has {} of {} right, and {} of {} in {}", answers.method, right, answers.answers.size(),
                     total.right, total.questions, result.file);
}

std::string misfit(const AnswerFile& answers, const Result& result) {
  for (const MethodAnswers& method : answers.methods) {
    const std::string text = misfit(method, result);
    if (!text.empty()) return text;
  }
  if (answers.methods.size() == result.methods.size()) return "";
  return fmt::format("it has {} methods, and {} has {}", answers.methods.size(), result.file, result.methods.size());
}

}  // namespace

AnswerFile parse_answers(std::string_view content, const std::string& file) {
  AnswerFile answers;
  answers.file = file;
  std::int64_t number = 1;
  for (std::size_t begin = 0; begin < content.size(); ++number) {
    const std::size_t end = std::min(content.find('\n', begin), content.size());
    const std::string_view text = content.substr(begin, end - begin);
    begin = end + 1;
    if (text.find_first_not_of(" \t\r") == std::string_view::npos) continue;
    const std::string where = fmt::format("{}:{}", file, number);
    add_line(parse_line(text, where), where, answers);
  }
  for (const MethodAnswers& method : answers.methods) {
    if (method.answers.size() == answers.questions.size()) continue;
    throw Error(ErrorCategory::kBadFile,
                fmt::format("{}: {} has {} answers; expected {}, as many as {}", file, method.method,
                            method.answers.size(), answers.questions.size(), answers.methods.front().method));
  }
  if (answers.questions.empty()) {
    throw Error(ErrorCategory::kBadFile,
                fmt::format("{}: holds no answers; expected lines that `tca eval --answers` wrote", file));
  }
  return answers;
}

std::size_t result_of(const AnswerFile& answers, std::span<const Result> results, const std::vector<bool>& taken) {
  std::string why = "each result has its answers already";
  for (std::size_t i = 0; i < results.size(); ++i) {
    if (taken[i]) continue;
    why = misfit(answers, results[i]);
    if (why.empty()) return i;
  }
  throw Error(
      ErrorCategory::kInvalidArgument,
      fmt::format("--answers {} belongs to none of the results: {}; give the file that the same run of tca eval "
                  "wrote, or leave it out",
                  answers.file, why));
}

std::vector<std::size_t> differing(const AnswerFile& answers) {
  std::vector<std::size_t> places;
  const auto full = std::find_if(answers.methods.begin(), answers.methods.end(),
                                 [](const MethodAnswers& method) { return method.method == "full"; });
  if (full == answers.methods.end()) return places;
  for (std::size_t i = 0; i < answers.questions.size(); ++i) {
    const bool differ = std::any_of(answers.methods.begin(), answers.methods.end(), [&](const MethodAnswers& method) {
      return method.answers[i].right != full->answers[i].right;
    });
    if (differ) places.push_back(i);
  }
  return places;
}

}  // namespace tca::cli::html
