#include "cli/facts.h"

#include <fmt/format.h>

#include <algorithm>

#include "cli/input.h"
#include "cli/locate.h"
#include "evaluation/natural_facts.h"

namespace tca::cli {
namespace {

// More than a token of English has on the average in the largest vocabularies, which is about 5.
constexpr std::int64_t kBytesPerToken = 8;
constexpr std::int64_t kMostTextBytes = std::int64_t{64} << 20;

}  // namespace

std::int32_t FactArgs::num_questions() const {
  return questions.value_or(natural() ? evaluation::kNaturalFacts : usual_questions);
}

std::optional<std::string> FactArgs::text_name() const {
  if (text || natural()) return text;
  return kDefaultText;
}

void add_fact_options(CLI::App& app, FactArgs& args, std::int32_t usual_questions, const std::string& text_help) {
  args.usual_questions = usual_questions;
  app.add_option("--facts", args.facts,
                 "What is planted: codes (lookback-28m knows them), natural (for any chat model)")
      ->check(one_of({"codes", "natural"}))
      ->type_name("NAME")
      ->capture_default_str();
  app.add_option("--questions", args.questions, "Facts in each document, all asked for")
      ->check(in_int_range(1, 1024))
      ->type_name("N")
      ->default_str(fmt::format("{}, natural {}", usual_questions, evaluation::kNaturalFacts));
  app.add_option("--text", args.text, text_help)
      ->type_name("FILE")
      ->default_str(fmt::format("{}, natural a built-in text", kDefaultText));
}

std::string fact_text(const FactArgs& args, std::int64_t tokens, std::uint64_t seed) {
  const std::optional<std::string> name = args.text_name();
  if (name) return read_text_not_empty(locate_text(*name), "text");
  const std::int64_t bytes = std::min(tokens, kMostTextBytes / kBytesPerToken) * kBytesPerToken;
  return evaluation::natural_text(evaluation::FactSet::kEvaluation, bytes, seed);
}

evaluation::LookupOptions lookup_options(const FactArgs& args) {
  evaluation::LookupOptions options;
  options.num_facts = args.num_questions();
  if (args.natural()) {
    options.fact_set = evaluation::FactSet::kEvaluation;
    options.kinds = evaluation::natural_kinds(options.fact_set);
  }
  return options;
}

}  // namespace tca::cli
