#include "cli/eval_report.h"

#include <fmt/format.h>

#include "cli/format.h"
#include "cli/survival_report.h"
#include "cli/text_table.h"

namespace tca::cli {
namespace {

std::string of(std::int64_t part, std::int64_t all) { return fmt::format("{} of {}", part, all); }

std::string totals_table(const std::vector<MethodResult>& results, const Style& style) {
  std::vector<Column> columns = {
      {"method"},      {"kept", true},     {"KV cache", true}, {"answers found", true}, {"tokens right", true},
      {"exact", true}, {"log prob", true}, {"read", true}};
  if (results.front().text) columns.insert(columns.end(), {{"loss, plain text", true}, {"loss after it", true}});
  TextTable table(columns);
  for (const MethodResult& result : results) {
    const evaluation::LookupResult& lookup = result.lookup;
    std::vector<Cell> row = {{lookup.method},
                             {format_percent(lookup.kept_share)},
                             {format_bytes(static_cast<std::uint64_t>(lookup.kv_bytes))},
                             {of(lookup.total.found, lookup.total.questions)},
                             {fmt::format("{:.3f}", lookup.total.token_accuracy())},
                             {fmt::format("{}", lookup.total.exact)},
                             {fmt::format("{:.3f}", lookup.total.mean_log_prob())},
                             {format_seconds(lookup.read_seconds)}};
    if (result.text)
      row.insert(row.end(), {{fmt::format("{:.4f}", result.text->prompt.nll)},
                             {fmt::format("{:.4f}", result.text->continued.nll)}});
    table.add_row(std::move(row));
  }
  return table.render(style, "");
}

// Every method was asked the same questions, so the kinds are those of the first.
std::string kinds_table(const std::vector<MethodResult>& results, const Style& style) {
  std::vector<Column> columns = {{"answers found"}};
  for (const evaluation::KindScore& kind : results.front().lookup.kinds) {
    columns.push_back({std::string(evaluation::fact_kind_name(kind.kind)), true});
  }
  TextTable table(columns);
  for (const MethodResult& result : results) {
    std::vector<Cell> row = {{result.lookup.method}};
    for (const evaluation::KindScore& kind : result.lookup.kinds) {
      row.push_back({of(kind.score.found, kind.score.questions)});
    }
    table.add_row(std::move(row));
  }
  return table.render(style, "");
}

Json score_json(const evaluation::Score& score) {
  return {{"questions", score.questions},          {"found", score.found},
          {"found_share", score.found_share()},    {"exact", score.exact},
          {"exact_match", score.exact_match()},    {"tokens", score.tokens},
          {"tokens_right", score.tokens_right},    {"token_accuracy", score.token_accuracy()},
          {"mean_log_prob", score.mean_log_prob()}};
}

}  // namespace

std::string eval_tables(const std::vector<MethodResult>& results, const Style& style) {
  std::string tables = totals_table(results, style);
  tables += '\n';
  tables += kinds_table(results, style);
  std::vector<SurvivalRow> rows;
  for (const MethodResult& result : results) {
    if (result.survival) rows.push_back({result.lookup.method, *result.survival});
  }
  const std::string surviving = survival_table(rows, "kind", style);
  if (!surviving.empty()) tables += '\n';
  return tables + surviving;
}

Json method_json(const MethodResult& result) {
  const evaluation::LookupResult& lookup = result.lookup;
  Json kinds = Json::object();
  for (const evaluation::KindScore& kind : lookup.kinds) {
    kinds[std::string(evaluation::fact_kind_name(kind.kind))] = score_json(kind.score);
  }
  Json object = {
      {"method", lookup.method},     {"kept_share", lookup.kept_share},     {"density", lookup.density},
      {"kv_bytes", lookup.kv_bytes}, {"read_seconds", lookup.read_seconds}, {"total", score_json(lookup.total)},
      {"kinds", std::move(kinds)}};
  object["survival"] = survival_json(result.survival, "kind");
  object["plain_text"] = Json();
  if (result.text) {
    object["plain_text"] = {{"tokens", result.text->prompt.tokens},
                            {"nll", result.text->prompt.nll},
                            {"continued_tokens", result.text->continued.tokens},
                            {"continued_nll", result.text->continued.nll},
                            {"kept_share", result.text->kept_share},
                            {"density", result.text->density},
                            {"read_seconds", result.text->read_seconds}};
  }
  return object;
}

std::string answer_lines(const std::vector<MethodResult>& results,
                         std::span<const evaluation::LookupDocument> documents) {
  std::string lines;
  for (const MethodResult& result : results) {
    for (const evaluation::Answer& answer : result.lookup.answers) {
      const evaluation::Fact& fact =
          documents[static_cast<std::size_t>(answer.document)].facts[static_cast<std::size_t>(answer.fact)];
      const Json line = {{"method", result.lookup.method},
                         {"document", answer.document},
                         {"kind", evaluation::fact_kind_name(answer.kind)},
                         {"question", fact.question},
                         {"expected", fact.answer},
                         {"generated", answer.text},
                         {"found", answer.found}};
      lines += json_line(line);
    }
  }
  return lines;
}

}  // namespace tca::cli
