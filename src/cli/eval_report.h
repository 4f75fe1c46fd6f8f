// What eval prints.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "cli/output.h"
#include "cli/terminal.h"
#include "evaluation/quality.h"
#include "evaluation/survival.h"

namespace tca::cli {

struct MethodResult {
  evaluation::LookupResult lookup;
  std::optional<evaluation::TextResult> text;
  std::optional<evaluation::Survival> survival;  // of the answers of full, where that is one of the methods
};

/// One row a method: totals; answers found by kind; what survives of full's answers.
std::string eval_tables(const std::vector<MethodResult>& results, const Style& style);
Json method_json(const MethodResult& result);
/// One line of JSON for each answer of each method.
std::string answer_lines(const std::vector<MethodResult>& results,
                         std::span<const evaluation::LookupDocument> documents);

}  // namespace tca::cli
