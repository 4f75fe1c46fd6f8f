// What eval and demo plant and ask for, and in which text.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "cli/options.h"
#include "evaluation/lookup_tasks.h"

namespace tca::cli {

struct FactArgs {
  std::string facts = "codes";
  std::optional<std::int32_t> questions;
  std::int32_t usual_questions = 0;  // of codes
  std::optional<std::string> text;

  bool natural() const { return facts == "natural"; }
  std::int32_t num_questions() const;
  /// The file's name, as asked for or by default; none for the built-in text.
  std::optional<std::string> text_name() const;
};

/// --facts, --questions, --text.
void add_fact_options(CLI::App& app, FactArgs& args, std::int32_t usual_questions, const std::string& text_help);

/// The text to plant facts in. The built-in one has more than so many tokens. Throws kIo and kBadFile as read_text
/// does.
std::string fact_text(const FactArgs& args, std::int64_t tokens, std::uint64_t seed);

/// Kinds and number of the facts, of the evaluation set.
evaluation::LookupOptions lookup_options(const FactArgs& args);

}  // namespace tca::cli
