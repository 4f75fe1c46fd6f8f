#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "cli/format.h"
#include "cli/html/sections.h"
#include "cli/html/table.h"

namespace tca::cli::html {
namespace {

// Without repetition, in the order in which they first come: "a, b".
template <class Get>
std::string distinct(const std::vector<Result>& results, const Get& get) {
  std::vector<std::string> seen;
  std::string joined;
  for (const Result& result : results) {
    const std::string value = get(result);
    if (std::find(seen.begin(), seen.end(), value) != seen.end()) continue;
    seen.push_back(value);
    if (!joined.empty()) joined += ", ";
    joined += value;
  }
  return joined;
}

std::string lengths_text(const std::vector<Result>& results) {
  const auto shortest =
      std::min_element(results.begin(), results.end(), [](auto& a, auto& b) { return a.shortest < b.shortest; });
  const auto longest =
      std::max_element(results.begin(), results.end(), [](auto& a, auto& b) { return a.longest < b.longest; });
  return shortest->shortest == longest->longest
             ? counted(longest->longest, "token")
             : fmt::format("{} to {}", format_count(shortest->shortest), counted(longest->longest, "token"));
}

std::string precision_text(const ModelFacts& model) {
  return fmt::format("computed in {}, KV cache in {}", model.compute, model.kv);
}

Markup fact(const char* name, const std::string& value) {
  return element("div", element("dt", name) + element("dd", value));
}

// A word for a shell, whatever it holds.
std::string shell_word(const std::string& word) {
  constexpr std::string_view kPlain = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_./:,+=@-";
  if (!word.empty() && word.front() != '-' && word.find_first_not_of(kPlain) == std::string::npos) return word;
  std::string quoted = "'";
  for (const char c : word) {
    if (c == '\'') {
      quoted += "'\\''";
    } else {
      quoted += c;
    }
  }
  quoted += '\'';
  return quoted;
}

// What results say of the command that made them.
std::string command_of(const Result& result) {
  std::string methods;
  for (const MethodFigures& method : result.methods) {
    if (!methods.empty()) methods += ',';
    methods += method.method;
  }
  std::string command = fmt::format("tca eval --model {}", shell_word(result.model.name));
  if (result.of_tasks()) {
    command += " --from";
    for (const TaskFileFacts& file : result.task_files) command += fmt::format(" {}", shell_word(file.path));
  } else {
    command += fmt::format(" --facts {} --ctx {} --documents {} --questions {} --ask {}", shell_word(result.facts),
                           result.longest, result.documents, result.questions, shell_word(result.ask));
    if (result.text) command += fmt::format(" --text {}", shell_word(*result.text));
  }
  command += fmt::format(" --methods {} --seed {}", shell_word(methods), result.seed);
  if (result.model.weights != "stored") command += fmt::format(" --weights {}", shell_word(result.model.weights));
  return command;
}

std::string asked_text(const Result& result) {
  if (!result.of_tasks()) {
    return fmt::format("{} facts, {}", result.facts,
                       result.ask == "first" ? "asked with the document" : "asked after tokens were dropped");
  }
  std::string text = "tasks of ";
  for (const TaskFileFacts& file : result.task_files) {
    if (&file != &result.task_files.front()) text += ", ";
    text += file.path;
    if (file.left_out > 0) text += fmt::format(" ({} too long, left out)", counted(file.left_out, "document"));
  }
  return text;
}

}  // namespace

std::string report_title(const Report& report) {
  return distinct(report.results, [](const Result& result) { return result.model.name; });
}

Markup summary(const Report& report) {
  const std::vector<Result>& results = report.results;
  std::set<std::string> methods;
  std::int64_t questions = 0;
  for (const Result& result : results) {
    for (const MethodFigures& method : result.methods) methods.insert(method.method);
    questions += result.methods.front().total.questions;
  }
  Markup markup =
      element("p", {{"class", "lead"}},
              fmt::format("What keeping less of the KV cache costs in answers, and saves in memory and time: "
                          "{} over {} of {}, {}.",
                          counted(static_cast<std::int64_t>(methods.size()), "method"),
                          counted(std::ssize(results), "run"), lengths_text(results), counted(questions, "question")));
  Markup facts = fact("Architecture", distinct(results, [](auto& result) { return result.model.architecture; }));
  facts += fact("Weights", distinct(results, [](auto& result) {
                  return fmt::format("{}, {}", format_bytes(static_cast<std::uint64_t>(result.model.weight_bytes)),
                                     result.model.weights);
                }));
  facts += fact("Precision", distinct(results, [](auto& result) { return precision_text(result.model); }));
  facts += fact("Program", distinct(results, [](auto& result) { return fmt::format("tca {}", result.version); }));
  facts += fact("Seed", distinct(results, [](auto& result) { return fmt::format("{}", result.seed); }));
  return markup + element("dl", {{"class", "facts"}}, facts);
}

Markup runs_section(const Report& report) {
  const std::vector<std::string> labels = labels_of(report.results);
  HtmlTable table(
      {{"run"}, {"model"}, {"what was asked"}, {"documents", true}, {"questions", true}, {"seed", true}, {"file"}});
  std::string commands;
  for (std::size_t i = 0; i < report.results.size(); ++i) {
    const Result& result = report.results[i];
    table.add_row({escaped(labels[i]), escaped(result.model.name), escaped(asked_text(result)),
                   escaped(format_count(result.documents)),
                   escaped(format_count(result.methods.front().total.questions)),
                   escaped(fmt::format("{}", result.seed)), escaped(result.file)});
    commands += command_of(result);
    commands += '\n';
  }
  Markup details = element("summary", "Commands");
  details += element("pre", commands);
  details += element("p", {{"class", "note"}},
                     "As far as results record them: the profile, the device and --no-distractors are not among it.");
  return table.markup("What each run asked, in all documents together") + element("details", details);
}

}  // namespace tca::cli::html
