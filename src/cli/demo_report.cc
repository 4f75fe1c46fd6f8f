#include "cli/demo_report.h"

#include <fmt/format.h>

#include <algorithm>

#include "cli/format.h"
#include "cli/report.h"
#include "cli/text_table.h"
#include "cli/wrap.h"
#include "evaluation/answers.h"

namespace tca::cli {

namespace {

std::string trimmed(const std::string& text) {
  const std::size_t begin = text.find_first_not_of(" \t\r\n");
  if (begin == std::string::npos) return "";
  return text.substr(begin, text.find_last_not_of(" \t\r\n") + 1 - begin);
}

struct Score {
  int right = 0;
  int lost = 0;    // right with full attention only
  int gained = 0;  // right with TCA only
};

Score score(const DemoDocument& document, const DemoRun& full, const DemoRun& tca) {
  Score result;
  for (std::size_t i = 0; i < document.lookup.facts.size(); ++i) {
    const bool by_full = evaluation::answer_found(full.answers[i], document.lookup.facts[i]);
    const bool by_tca = evaluation::answer_found(tca.answers[i], document.lookup.facts[i]);
    result.right += by_full;
    result.lost += by_full && !by_tca;
    result.gained += by_tca && !by_full;
  }
  return result;
}

int num_right(const DemoDocument& document, const DemoRun& run) {
  int right = 0;
  for (std::size_t i = 0; i < document.lookup.facts.size(); ++i) {
    right += evaluation::answer_found(run.answers[i], document.lookup.facts[i]);
  }
  return right;
}

// Columns of an answer: room is left for the question, and --json has them whole.
constexpr std::size_t kAnswerColumns = 18;

Cell verdict_cell(const std::string& answer, const evaluation::Fact& fact, const Style& style) {
  if (evaluation::answer_found(answer, fact)) return {"ok", CellStyle::kGood};
  const std::string said = trimmed(answer);
  return {clip(one_line(said.empty() ? "miss: no answer" : "miss: " + said), kAnswerColumns, style.glyphs().ellipsis),
          CellStyle::kBad};
}

// "2.5x faster", or the truth where it is not.
Cell ratio_cell(double ratio, const char* better, const char* worse) {
  if (!(ratio > 0)) return {};
  if (ratio >= 1) return {fmt::format("{:.1f}x {}", ratio, better), CellStyle::kGood};
  return {fmt::format("{:.1f}x {}", 1 / ratio, worse), CellStyle::kBad};
}

std::string answers_table(const DemoDocument& document, const DemoRun& full, const DemoRun& tca, const Style& style) {
  TextTable table({{"", true}, {"question", false, true}, {"expected"}, {"full attention"}, {"TCA"}});
  for (std::size_t i = 0; i < document.lookup.facts.size(); ++i) {
    const evaluation::Fact& fact = document.lookup.facts[i];
    table.add_row({{fmt::format("{}", i + 1), CellStyle::kDim},
                   {short_question(fact.question)},
                   {clip(one_line(fact.answer), kAnswerColumns, style.glyphs().ellipsis)},
                   verdict_cell(full.answers[i], fact, style),
                   verdict_cell(tca.answers[i], fact, style)});
  }
  return table.render(style);
}

std::string figures_table(const DemoDocument& document, const DemoRun& full, const DemoRun& tca, const Style& style) {
  const std::size_t facts = document.lookup.facts.size();
  const auto ratio = [](double a, double b) { return b > 0 ? a / b : 0; };
  TextTable table({{""}, {"full attention", true}, {"TCA", true}, {""}});
  table.add_row({{"answers right"},
                 {fmt::format("{} of {}", num_right(document, full), facts)},
                 {fmt::format("{} of {}", num_right(document, tca), facts)}});
  table.add_row({{"time to first token"},
                 {format_seconds(full.first_token_seconds)},
                 {format_seconds(tca.first_token_seconds)},
                 ratio_cell(ratio(full.first_token_seconds, tca.first_token_seconds), "faster", "slower")});
  table.add_row({{"generation"},
                 {format_rate(full.tokens_per_second())},
                 {format_rate(tca.tokens_per_second())},
                 ratio_cell(ratio(tca.tokens_per_second(), full.tokens_per_second()), "faster", "slower")});
  table.add_row(
      {{"KV cache"},
       {format_bytes(full.kv_bytes)},
       {format_bytes(tca.kv_bytes)},
       ratio_cell(ratio(static_cast<double>(full.kv_bytes), static_cast<double>(tca.kv_bytes)), "smaller", "larger")});
  table.add_row({{"tokens kept"}, {format_percent(full.kept_share)}, {format_percent(tca.kept_share)}});
  table.add_row(
      {{"query-key pairs computed"}, {format_percent(full.read.density)}, {format_percent(tca.read.density)}});
  return table.render(style);
}

}  // namespace

std::string short_question(const std::string& question) {
  std::string text = question;
  for (const std::string_view ending : {"?", ".", " mentioned in the text", " in the text", " map to"}) {
    if (text.ends_with(ending)) text.resize(text.size() - ending.size());
  }
  for (const std::string_view opening : {"What is the ", "What are all the ", "Which value does the ", "Tell me the ",
                                         "Find all ", "special ", "secret ", "REGISTER_CONTENT in "}) {
    if (text.starts_with(opening)) text.erase(0, opening.size());
  }
  return text;
}

std::string demo_heading(const DemoDocument& document, const std::string& model, int threads, const Style& style) {
  return fill(fmt::format("{} reads {}: {}, {} planted in them, {}.\n"
                          "All questions come after the document was read, when TCA has dropped what it does not keep.",
                          model, document.title, counted(std::ssize(document.lookup.context), "token"),
                          counted(std::ssize(document.lookup.facts), "fact"), counted(threads, "thread")),
              style.width(), 0) +
         "\n";
}

std::string demo_tables(const DemoDocument& document, const DemoRun& full, const DemoRun& tca, const Style& style) {
  return answers_table(document, full, tca, style) + "\n" + figures_table(document, full, tca, style) + "\n" +
         style.bold(fill(demo_verdict(document, full, tca), style.width(), 0));
}

std::string demo_verdict(const DemoDocument& document, const DemoRun& full, const DemoRun& tca) {
  const Score points = score(document, full, tca);
  const double ratio = full.first_token_seconds / tca.first_token_seconds;
  const std::string time = ratio >= 1 ? fmt::format("answered {:.1f} times sooner", ratio)
                                      : fmt::format("answered {:.1f} times later", 1 / ratio);
  const double share = static_cast<double>(tca.kv_bytes) / static_cast<double>(full.kv_bytes);
  std::string text = fmt::format("TCA kept {} of the KV cache ({} of {}) and {}.\n", format_percent(share),
                                 format_bytes(tca.kv_bytes), format_bytes(full.kv_bytes), time);
  if (points.lost == 0) {
    text += fmt::format("It cost no answer: what full attention got right ({} of {}), TCA got right", points.right,
                        document.lookup.facts.size());
  } else {
    text +=
        fmt::format("It cost {} of the {} that full attention got right", points.lost, counted(points.right, "answer"));
  }
  if (points.gained > 0) text += fmt::format(", and {} more that full attention missed", points.gained);
  return text + ".";
}

Json facts_json(const DemoDocument& document, const DemoRun& full, const DemoRun& tca) {
  Json facts = Json::array();
  for (std::size_t i = 0; i < document.lookup.facts.size(); ++i) {
    const evaluation::Fact& fact = document.lookup.facts[i];
    facts.push_back(
        {{"kind", evaluation::fact_kind_name(fact.kind)},
         {"question", fact.question},
         {"expected", fact.answer},
         {"full", {{"answer", full.answers[i]}, {"right", evaluation::answer_found(full.answers[i], fact)}}},
         {"tca", {{"answer", tca.answers[i]}, {"right", evaluation::answer_found(tca.answers[i], fact)}}}});
  }
  return facts;
}

Json run_json(const DemoDocument& document, const DemoRun& run) {
  return {{"right", num_right(document, run)},
          {"first_token_seconds", run.first_token_seconds},
          {"decode_tokens_per_second", run.tokens_per_second()},
          {"seconds", run.seconds},
          {"read", read_json(run.read)},
          {"kv", {{"bytes", run.kv_bytes}, {"full_bytes", run.full_kv_bytes}, {"kept_share", run.kept_share}}}};
}

Json comparison_json(const DemoDocument& document, const DemoRun& full, const DemoRun& tca) {
  const Score points = score(document, full, tca);
  return {{"first_token_speedup", full.first_token_seconds / tca.first_token_seconds},
          {"decode_speedup", tca.tokens_per_second() / full.tokens_per_second()},
          {"kv_share", static_cast<double>(tca.kv_bytes) / static_cast<double>(full.kv_bytes)},
          {"answers_lost", points.lost},
          {"answers_gained", points.gained},
          {"verdict", demo_verdict(document, full, tca)}};
}

}  // namespace tca::cli
