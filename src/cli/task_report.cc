#include "cli/task_report.h"

#include <fmt/format.h>

#include "cli/format.h"
#include "cli/survival_report.h"
#include "cli/text_table.h"

namespace tca::cli {
namespace {

std::string totals_table(const std::vector<TaskMethodResult>& results, const Style& style) {
  TextTable table(
      {{"method"}, {"kept", true}, {"KV cache", true}, {"mean score", true}, {"answers right", true}, {"read", true}});
  for (const auto& [result, survival] : results) {
    table.add_row({{result.method},
                   {format_percent(result.kept_share)},
                   {format_bytes(static_cast<std::uint64_t>(result.kv_bytes))},
                   {fmt::format("{:.3f}", result.total.mean())},
                   {fmt::format("{} of {}", result.total.right, result.total.questions)},
                   {format_seconds(result.read_seconds)}});
  }
  return table.render(style, "");
}

// Every method was asked the same questions, so the tasks are those of the first.
std::string by_task_table(const std::vector<TaskMethodResult>& results, const Style& style) {
  std::vector<Column> columns = {{"mean score"}};
  for (const auto& task : results.front().result.tasks) columns.push_back({task.name, true});
  TextTable table(columns);
  for (const auto& [result, survival] : results) {
    std::vector<Cell> row = {{result.method}};
    for (const auto& task : result.tasks) row.push_back({fmt::format("{:.3f}", task.score.mean())});
    table.add_row(std::move(row));
  }
  return table.render(style, "");
}

Json mean_json(const evaluation::TaskMean& mean) {
  return {{"questions", mean.questions}, {"score", mean.mean()}, {"right", mean.right}};
}

}  // namespace

std::string task_tables(const std::vector<TaskMethodResult>& results, const Style& style) {
  std::string tables = totals_table(results, style);
  tables += '\n';
  tables += by_task_table(results, style);
  std::vector<SurvivalRow> rows;
  for (const auto& [result, survival] : results) {
    if (survival) rows.push_back({result.method, *survival});
  }
  const std::string surviving = survival_table(rows, "task", style);
  if (!surviving.empty()) tables += '\n';
  return tables + surviving;
}

Json task_method_json(const TaskMethodResult& of_method) {
  const evaluation::TaskResult& result = of_method.result;
  Json tasks = Json::object();
  for (const auto& task : result.tasks) tasks[task.name] = mean_json(task.score);
  return {{"method", result.method},
          {"kept_share", result.kept_share},
          {"density", result.density},
          {"kv_bytes", result.kv_bytes},
          {"read_seconds", result.read_seconds},
          {"total", mean_json(result.total)},
          {"tasks", std::move(tasks)},
          {"survival", survival_json(of_method.survival, "task")}};
}

std::string task_answer_lines(const std::vector<TaskMethodResult>& results,
                              std::span<const evaluation::TaskPrompt> prompts) {
  std::string lines;
  for (const auto& [result, survival] : results) {
    for (const evaluation::TaskAnswer& answer : result.answers) {
      const evaluation::TaskDocument& document = prompts[static_cast<std::size_t>(answer.document)].document;
      const evaluation::TaskQuestion& question = document.questions[static_cast<std::size_t>(answer.question)];
      lines += json_line({{"method", result.method},
                          {"file", document.file},
                          {"line", document.line},
                          {"task", question.task},
                          {"place", answer.question + 1},
                          {"question", question.text},
                          {"metric", evaluation::task_metric_name(question.metric)},
                          {"expected", question.answers},
                          {"generated", answer.text},
                          {"score", answer.score}});
    }
  }
  return lines;
}

}  // namespace tca::cli
