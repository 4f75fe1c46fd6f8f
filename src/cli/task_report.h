// What eval prints of tasks from files.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "cli/output.h"
#include "cli/terminal.h"
#include "evaluation/tasks.h"

namespace tca::cli {

struct TaskMethodResult {
  evaluation::TaskResult result;
  std::optional<evaluation::Survival> survival;  // of the answers of full, where that is one of the methods
};

/// One row a method: totals; mean scores by task; what survives of full's answers.
std::string task_tables(const std::vector<TaskMethodResult>& results, const Style& style);
Json task_method_json(const TaskMethodResult& result);
/// One line of JSON for each answer of each method. Results are of these prompts.
std::string task_answer_lines(const std::vector<TaskMethodResult>& results,
                              std::span<const evaluation::TaskPrompt> prompts);

}  // namespace tca::cli
