#include "evaluation/task_files.h"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <span>
#include <utility>

#include "core/check.h"
#include "core/json.h"
#include "evaluation/task_rows.h"
#include "evaluation/task_scores.h"

namespace tca::evaluation {
namespace {

using nlohmann::json;

constexpr std::int64_t kMostAnswerTokens = 65536;

constexpr TaskMetric kMetrics[] = {TaskMetric::kAny, TaskMetric::kAll,    TaskMetric::kWords,
                                   TaskMetric::kF1,  TaskMetric::kNumber, TaskMetric::kChoice};

// What a benchmark's own scorer does with a task, by how the task's name begins. The last one is of any other name.
// No metric: that scorer compares long texts (ROUGE, edit distances) or counts Chinese characters, which nothing here
// stands for.
struct Settings {
  std::string_view begins;
  std::optional<TaskMetric> metric;
  std::int64_t max_tokens;
};
constexpr Settings kRuler[] = {{"qa", TaskMetric::kAny, 32},
                               {"vt", TaskMetric::kAll, 30},
                               {"cwe", TaskMetric::kAll, 120},
                               {"fwe", TaskMetric::kAll, 50},
                               {"", TaskMetric::kAll, 128}};
constexpr Settings kScbench[] = {
    {"scbench_vt", TaskMetric::kAll, 30},       {"scbench_kv", TaskMetric::kAny, 150},
    {"scbench_hashhop", TaskMetric::kAny, 150}, {"scbench_prefix_suffix", TaskMetric::kAny, 150},
    {"scbench_qa_eng", TaskMetric::kAny, 40},   {"scbench_many_shot", TaskMetric::kAny, 10},
    {"scbench_mf", TaskMetric::kNumber, 5},     {"scbench_passkey", TaskMetric::kNumber, 15},
    {"scbench_qa_chn", std::nullopt, 40},       {"scbench_summary", std::nullopt, 200},
    {"scbench_repoqa", std::nullopt, 1024},     {"", TaskMetric::kAny, 64}};
constexpr Settings kOwn[] = {{"", TaskMetric::kWords, 64}};

// The file's name, or its folder's where the name says only which split of the data it is.
std::string task_of(const std::string& file) {
  const std::filesystem::path path(file);
  const std::string stem = path.stem().string(), folder = path.parent_path().filename().string();
  const bool is_split = stem == "validation" || stem == "test" || stem == "train" || stem == "dev";
  return is_split && !folder.empty() ? folder : stem;
}

std::string get_text(const json& object, const char* field, const std::string& where) {
  std::string value = get_string(object, field, where);
  if (value.empty()) fail_field(where, field, object[field], "a text that is not empty");
  return value;
}

std::string answer_text(const json& value, const std::string& field, const std::string& where) {
  if (value.is_string() && !value.get_ref<const std::string&>().empty()) return value.get<std::string>();
  if (!value.is_number()) fail_field(where, field, value, "a text that is not empty, or a number");
  constexpr double kWhole = 1e15;  // 3.0 is what models write as 3
  const double number = value.get<double>();
  if (number == std::trunc(number) && std::abs(number) < kWhole) return text(static_cast<std::int64_t>(number));
  return value.dump();
}

// One answer, or a list of them.
std::vector<std::string> get_answers(const json& object, const std::string& field, const std::string& where) {
  const json& value = get_field(object, field.c_str(), where);
  if (!value.is_array()) return {answer_text(value, field, where)};
  if (value.empty()) fail_field(where, field, value, "one answer or more");
  std::vector<std::string> answers;
  for (std::size_t i = 0; i < value.size(); ++i)
    answers.push_back(answer_text(value[i], text(field, "[", i, "]"), where));
  return answers;
}

std::vector<std::string> get_choices(const json& object, const std::string& field, const std::string& where) {
  const json& value = get_array(object, field.c_str(), where);
  if (value.size() < 2 || std::ssize(value) > kMostChoices) {
    fail_field(where, field, value, text("2 to ", kMostChoices, " choices"));
  }
  std::vector<std::string> choices;
  for (std::size_t i = 0; i < value.size(); ++i) {
    if (!value[i].is_string()) fail_field(where, text(field, "[", i, "]"), value[i], "a string");
    choices.push_back(value[i].get<std::string>());
  }
  return choices;
}

// Letters of the right choices. Answers are choices, word for word, or letters; lists may hold both of one choice.
std::vector<std::string> letters_of(const TaskQuestion& question, const json& value, const std::string& field,
                                    const std::string& where) {
  std::vector<std::string> letters;
  for (const std::string& answer : question.answers) {
    const auto choice = std::find(question.choices.begin(), question.choices.end(), answer);
    const bool is_letter =
        answer.size() == 1 && answer[0] >= 'A' && answer[0] - 'A' < static_cast<int>(question.choices.size());
    if (choice == question.choices.end() && !is_letter) continue;
    const char letter =
        choice != question.choices.end() ? static_cast<char>('A' + (choice - question.choices.begin())) : answer[0];
    letters.emplace_back(1, letter);
  }
  if (letters.empty()) fail_field(where, field, value, "one of the choices, or its letter");
  return letters;
}

std::optional<TaskMetric> get_metric(const json& object, const std::string& where) {
  const auto name = get_optional_string(object, "metric", where);
  if (!name) return std::nullopt;
  const auto metric = std::find_if(std::begin(kMetrics), std::end(kMetrics),
                                   [&](TaskMetric m) { return task_metric_name(m) == *name; });
  if (metric == std::end(kMetrics)) {
    fail_field(where, "metric", object["metric"], "any, all, words, f1, number or choice");
  }
  return *metric;
}

// The metric and length of an answer: what the object says, else what is usual for the task.
TaskQuestion question_of(const json& object, std::string task, std::span<const Settings> usual,
                         const std::string& where) {
  const Settings& settings =
      *std::find_if(usual.begin(), usual.end(), [&](const Settings& s) { return task.starts_with(s.begins); });
  const std::optional<TaskMetric> asked = get_metric(object, where), metric = asked ? asked : settings.metric;
  if (!metric) {
    fail_field(where, "task", task,
               "one that is scored by answers in the text; this benchmark scores it otherwise, unless a field "
               "\"metric\" beside the answer says how to");
  }
  TaskQuestion question{.task = std::move(task), .metric = *metric, .max_tokens = settings.max_tokens};
  const auto most = get_optional_int(object, "max_tokens", where, 1, kMostAnswerTokens);
  question.max_tokens = most.value_or(question.max_tokens);
  return question;
}

// Answers of a question whose other fields are set.
void read_answers(const json& object, const char* field, const std::string& where, TaskQuestion& question) {
  question.answers = get_answers(object, field, where);
  if (question.metric != TaskMetric::kNumber) return;
  for (const std::string& answer : question.answers) {
    if (!parse_number(answer)) fail_field(where, field, answer, "a number, as the metric of this task has it");
  }
}

// A list that is empty is none.
bool has(const json& object, const char* field) { return object.contains(field) && !object[field].empty(); }

// The same, and the choices where there are any.
void read_answers(const json& object, const char* answers, const char* choices, const std::string& where,
                  TaskQuestion& question) {
  if (has(object, choices) && !has(object, "metric")) question.metric = TaskMetric::kChoice;
  read_answers(object, answers, where, question);
  if (question.metric != TaskMetric::kChoice) return;
  question.choices = get_choices(object, choices, where);
  question.answers = letters_of(question, object[answers], answers, where);
}

void read_ruler(const json& row, const std::string& where, TaskDocument& document) {
  document.order = QuestionOrder::kInside;
  document.context = get_text(row, "input", where);
  document.answer_prefix = get_optional_string(row, "answer_prefix", where).value_or("");
  TaskQuestion question = question_of(row, task_of(document.file), kRuler, where);
  if (question.metric == TaskMetric::kChoice) {
    fail_field(where, "metric", row["metric"], "any, all, words, f1 or number");
  }
  get_array(row, "outputs", where);
  read_answers(row, "outputs", where, question);
  document.questions.push_back(std::move(question));
}

// Objects of an array that is not empty, each with where it stands.
template <class Read>
void for_each_object(const json& row, const char* field, const std::string& where, const Read& read) {
  const json& list = get_array(row, field, where);
  if (list.empty()) fail_field(where, field, list, "one question or more");
  for (std::size_t i = 0; i < list.size(); ++i) {
    if (!list[i].is_object()) fail_field(where, text(field, "[", i, "]"), list[i], "an object");
    read(list[i], text(where, ": ", field, "[", i, "]."));
  }
}

void read_scbench(const json& row, const std::string& where, TaskDocument& document) {
  document.order = QuestionOrder::kTurns;
  document.context = get_text(row, "context", where);
  for_each_object(row, "multi_turns", where, [&](const json& turn, const std::string& at) {
    const std::string task = get_optional_string(turn, "task", at).value_or(task_of(document.file));
    TaskQuestion question = question_of(turn, task, kScbench, at);
    question.text = get_text(turn, "input", at);
    read_answers(turn, "answer", "options", at, question);
    document.questions.push_back(std::move(question));
  });
}

void read_longbench(const json& row, const std::string& where, TaskDocument& document) {
  document.context = get_text(row, "context", where);
  TaskQuestion question{.task = get_optional_string(row, "domain", where).value_or(task_of(document.file)),
                        .text = get_text(row, "question", where),
                        .metric = TaskMetric::kChoice};
  for (const char* choice : {"choice_A", "choice_B", "choice_C", "choice_D"}) {
    question.choices.push_back(get_string(row, choice, where));
  }
  const std::string answer = get_string(row, "answer", where);
  if (answer.size() != 1 || answer[0] < 'A' || answer[0] > 'D') {
    fail_field(where, "answer", row["answer"], "A, B, C or D");
  }
  question.answers = {answer};
  document.questions.push_back(std::move(question));
}

void read_own(const json& row, const std::string& where, TaskDocument& document) {
  document.context = get_text(row, "context", where);
  const std::string task = get_optional_string(row, "task", where).value_or(task_of(document.file));
  for_each_object(row, "questions", where, [&](const json& asked, const std::string& at) {
    const std::string kind = get_optional_string(asked, "task", at).value_or(task);
    TaskQuestion question = question_of(asked, kind, kOwn, at);
    question.text = get_text(asked, "question", at);
    get_array(asked, "answers", at);
    read_answers(asked, "answers", "choices", at, question);
    document.questions.push_back(std::move(question));
  });
}

// By the field that only one of the forms has.
struct Form {
  const char* field;
  void (*read)(const json&, const std::string&, TaskDocument&);
};
constexpr Form kForms[] = {
    {"outputs", read_ruler}, {"multi_turns", read_scbench}, {"choice_A", read_longbench}, {"questions", read_own}};

TaskDocument read_row(const json& row, const std::string& where, TaskDocument document) {
  if (!row.is_object()) {
    fail(ErrorCategory::kBadFile, text(where, ": holds something of type ", row.type_name(), "; expected an object"));
  }
  for (const Form& form : kForms) {
    if (!row.contains(form.field)) continue;
    form.read(row, where, document);
    return document;
  }
  std::string fields;
  for (const auto& [name, value] : row.items()) {
    constexpr std::size_t kShown = 200;
    if (fields.size() < kShown) fields += text(fields.empty() ? "" : ", ", name.substr(0, kShown));
  }
  fail(ErrorCategory::kBadFile,
       text(where, ": the fields are ", fields.empty() ? "none" : fields,
            "; expected outputs (RULER), multi_turns (SCBench), choice_A (LongBench v2) or questions (docs/cli.md)"));
}

}  // namespace

std::string_view task_metric_name(TaskMetric metric) {
  switch (metric) {
    case TaskMetric::kAny:
      return "any";
    case TaskMetric::kAll:
      return "all";
    case TaskMetric::kWords:
      return "words";
    case TaskMetric::kF1:
      return "f1";
    case TaskMetric::kNumber:
      return "number";
    case TaskMetric::kChoice:
      return "choice";
  }
  return "unknown";
}

std::string place_of(const TaskDocument& document) { return text(document.file, ":", document.line); }

std::vector<TaskDocument> parse_task_file(std::string_view content, const std::string& file,
                                          std::optional<std::int64_t> limit) {
  TaskRows rows(content, file);
  std::vector<TaskDocument> documents;
  while (!limit || std::ssize(documents) < *limit) {
    const auto row = rows.next();
    if (!row) break;
    TaskDocument document{.file = file, .line = rows.number()};
    const std::string where = place_of(document);
    const JsonDocument parsed(parse_json(*row, where));
    documents.push_back(read_row(*parsed, where, std::move(document)));
  }
  if (documents.empty())
    fail(ErrorCategory::kBadFile, text(file, ": holds no documents; expected one JSON object a line"));
  return documents;
}

}  // namespace tca::evaluation
