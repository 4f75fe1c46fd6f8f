// What `tca demo` shows: every question with both answers, the figures side by side, and a sentence that sums them up.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "cli/output.h"
#include "cli/terminal.h"
#include "evaluation/lookup_tasks.h"
#include "runtime/engine/session.h"

namespace tca::cli {

struct DemoDocument {
  std::string title;
  evaluation::LookupDocument lookup;
};

/// One way of reading the document and answering all questions.
struct DemoRun {
  std::string name;
  runtime::ReadStats read;
  double first_token_seconds = 0;  // document, first question, first token of its answer
  double generate_seconds = 0;
  double seconds = 0;  // all of it
  std::int64_t generated_tokens = 0;
  std::size_t kv_bytes = 0, full_kv_bytes = 0;  // after the document
  double kept_share = 1;
  std::vector<std::string> answers;  // one a fact

  double tokens_per_second() const {
    return generate_seconds > 0 ? static_cast<double>(generated_tokens) / generate_seconds : 0;
  }
};

/// "What is the special magic number for a-b mentioned in the text?" -> "magic number for a-b".
std::string short_question(const std::string& question);

std::string demo_heading(const DemoDocument& document, const std::string& model, int threads, const Style& style);
std::string demo_tables(const DemoDocument& document, const DemoRun& full, const DemoRun& tca, const Style& style);
/// What was saved and what it cost in answers, in words.
std::string demo_verdict(const DemoDocument& document, const DemoRun& full, const DemoRun& tca);

Json facts_json(const DemoDocument& document, const DemoRun& full, const DemoRun& tca);
Json run_json(const DemoDocument& document, const DemoRun& run);
Json comparison_json(const DemoDocument& document, const DemoRun& full, const DemoRun& tca);

}  // namespace tca::cli
