// tca eval: what keeping less costs in answers and in loss, methods side by side.
#include <fmt/format.h>

#include <algorithm>

#include "cli/commands.h"
#include "cli/format.h"
#include "cli/input.h"
#include "cli/keep.h"
#include "cli/lengths.h"
#include "cli/locate.h"
#include "cli/options.h"
#include "cli/output.h"
#include "cli/progress.h"
#include "cli/report.h"
#include "cli/signals.h"
#include "cli/text_table.h"
#include "cli/wrap.h"
#include "evaluation/answers.h"
#include "evaluation/quality.h"
#include "tca/version.h"

namespace tca::cli {
namespace {

constexpr std::int64_t kUsualContext = 32768;
constexpr std::int64_t kLeastContext = 256;

struct EvalArgs {
  ModelArgs model;
  AttentionArgs attention;
  std::string text = kDefaultText;
  std::string chat_template;
  std::optional<std::int64_t> asked_context;
  std::int64_t context = kUsualContext;
  int documents = 4;
  std::int32_t facts = 8;
  std::vector<std::string> methods = {"full", "tca:0.2", "tca:0.1", "paper:0.39", "window:0.39"};
  std::uint64_t seed = 0;
  bool asked_first = false;
  bool nll = false;
  bool json = false;
};

void add_options(CLI::App& app, EvalArgs& args) {
  app.add_option("--text", args.text, "What the facts are planted in")->type_name("FILE")->capture_default_str();
  app.add_option("--ctx", args.asked_context, "Tokens of each document")
      ->check(in_int_range(kLeastContext, std::numeric_limits<std::int32_t>::max()))
      ->type_name("N")
      ->default_str(std::to_string(kUsualContext));
  app.add_option("--documents", args.documents, "How many documents")
      ->check(in_int_range(1, 100000))
      ->type_name("N")
      ->capture_default_str();
  app.add_option("--facts", args.facts, "Facts in each document, all asked for")
      ->check(in_int_range(1, 1024))
      ->type_name("N")
      ->capture_default_str();
  app.add_option("--methods", args.methods, "What is compared")
      ->delimiter(',')
      ->type_name("METHOD,...")
      ->capture_default_str();
  app.add_flag("--asked-first", args.asked_first, "Each question is read with the document, not after it");
  app.add_flag("--nll", args.nll, "Also the loss on plain text of the same length");
  add_seed_option(app, args.seed, "Of the facts and their places");
  app.add_option("--chat-template", args.chat_template, "Chat form of the questions (default: the model's)")
      ->type_name("FILE");
  add_model_options(app, args.model);
  app.add_option("--profile", args.attention.profile, "Calibrated profile (default: profile.json of the model)")
      ->type_name("FILE")
      ->group("Attention");
  app.add_flag("--json", args.json, "One JSON object on standard output (docs/cli.md)")->group("Output");
}

struct MethodResult {
  evaluation::LookupResult lookup;
  std::optional<evaluation::TextResult> text;
};

struct Material {
  std::vector<evaluation::LookupDocument> documents;
  std::vector<std::vector<std::int32_t>> texts;  // with --nll: as many, plain
  std::vector<std::int32_t> stop_ids;
};

// What a session can hold: a document and any one of its questions and answers must fit.
std::int64_t most_tokens(const LoadedModel& loaded) {
  const runtime::ModelConfig& config = loaded.model->config();
  return std::min(config.max_position, config.sliding_window.value_or(config.max_position));
}

Material make_material(const EvalArgs& args, const LoadedModel& loaded) {
  const runtime::ChatFrames chat(runtime::ChatTemplate::load(loaded.dir, loaded.tokenizer, args.chat_template));
  const std::string text = read_text_not_empty(locate_text(args.text), "text");
  const evaluation::LookupGenerator generator(loaded.tokenizer, chat, text);
  Material material;
  material.stop_ids = stop_ids(loaded.model->config(), &chat.form());
  for (int i = 0; i < args.documents; ++i) {
    evaluation::LookupOptions options;
    options.context_tokens = args.context;
    options.most_tokens = most_tokens(loaded);
    options.num_facts = args.facts;
    options.random_start = true;
    options.seed = args.seed + static_cast<std::uint64_t>(i);
    material.documents.push_back(with_options("--ctx, --facts, --text", [&] { return generator.make(options); }));
    // Overlapping where the text is shorter than all of them together.
    const std::int64_t starts = std::max<std::int64_t>(1, generator.text_tokens() - args.context);
    if (!args.nll) continue;
    material.texts.push_back(
        with_options("--ctx, --text", [&] { return generator.plain_text(i * args.context % starts, args.context); }));
  }
  const auto shortest = std::min_element(material.documents.begin(), material.documents.end(),
                                         [](auto& a, auto& b) { return a.context.size() < b.context.size(); });
  if (std::ssize(shortest->context) < args.context) {
    warn(
        fmt::format("the shortest document has {} tokens, so that a question and its answer fit behind it into the {} "
                    "that the model can hold",
                    shortest->context.size(), most_tokens(loaded)));
  }
  return material;
}

std::vector<evaluation::Method> make_methods(const EvalArgs& args, const LoadedModel& loaded) {
  const runtime::SessionOptions base = session_options(args.attention, loaded);
  std::vector<evaluation::Method> methods;
  for (const std::string& form : args.methods) {
    methods.push_back(evaluation::parse_method(form, base, loaded.model->fingerprint(), args.context));
    const runtime::SessionOptions& options = methods.back().options;
    if (options.profile == nullptr || options.profile != base.profile) continue;
    const std::string text =
        nearest_budget_note(*options.profile, options.keep, options.objective, "--methods " + form);
    if (!text.empty()) note(text);
  }
  return methods;
}

std::vector<MethodResult> evaluate(const EvalArgs& args, const LoadedModel& loaded, const Material& material,
                                   const std::vector<evaluation::Method>& methods) {
  const evaluation::Setup setup{loaded.model, *loaded.backend, *loaded.pool, loaded.tokenizer, material.stop_ids};
  const auto order = args.asked_first ? evaluation::AskOrder::kFirst : evaluation::AskOrder::kLater;
  std::vector<MethodResult> results;
  for (std::size_t i = 0; i < methods.size(); ++i) {
    const std::string label = fmt::format("{} ({} of {})", methods[i].name, i + 1, methods.size());
    MethodResult result;
    {
      ProgressBar bar(label + ": questions");
      result.lookup = evaluate_lookup(setup, methods[i], material.documents, order, bar.callback());
    }
    if (args.nll) {
      ProgressBar bar(label + ": plain text");
      result.text = evaluate_text(setup, methods[i], material.texts, bar.callback());
    }
    results.push_back(std::move(result));
  }
  return results;
}

std::string totals_table(const std::vector<MethodResult>& results, bool nll, const Style& style) {
  std::vector<Column> columns = {
      {"method"},      {"kept", true},     {"KV cache", true}, {"answers found", true}, {"tokens right", true},
      {"exact", true}, {"log prob", true}, {"read", true}};
  if (nll) columns.push_back({"loss, plain text", true});
  TextTable table(columns);
  for (const MethodResult& result : results) {
    const evaluation::LookupResult& lookup = result.lookup;
    std::vector<Cell> row = {{lookup.method},
                             {format_percent(lookup.kept_share)},
                             {format_bytes(static_cast<std::uint64_t>(lookup.kv_bytes))},
                             {fmt::format("{} of {}", lookup.total.found, lookup.total.questions)},
                             {fmt::format("{:.3f}", lookup.total.token_accuracy())},
                             {fmt::format("{}", lookup.total.exact)},
                             {fmt::format("{:.3f}", lookup.total.mean_log_prob())},
                             {format_seconds(lookup.read_seconds)}};
    if (result.text) row.push_back({fmt::format("{:.4f}", result.text->nll)});
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
      row.push_back({fmt::format("{} of {}", kind.score.found, kind.score.questions)});
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

Json to_json(const MethodResult& result) {
  const evaluation::LookupResult& lookup = result.lookup;
  Json kinds = Json::object();
  for (const evaluation::KindScore& kind : lookup.kinds) {
    kinds[std::string(evaluation::fact_kind_name(kind.kind))] = score_json(kind.score);
  }
  Json object = {
      {"method", lookup.method},     {"kept_share", lookup.kept_share},     {"density", lookup.density},
      {"kv_bytes", lookup.kv_bytes}, {"read_seconds", lookup.read_seconds}, {"total", score_json(lookup.total)},
      {"kinds", std::move(kinds)}};
  object["plain_text"] = Json();
  if (result.text) {
    object["plain_text"] = {{"tokens", result.text->tokens},
                            {"nll", result.text->nll},
                            {"kept_share", result.text->kept_share},
                            {"density", result.text->density},
                            {"read_seconds", result.text->read_seconds}};
  }
  return object;
}

int run(const EvalArgs& given) {
  const LoadedModel loaded = load_model(given.model);
  EvalArgs args = given;
  args.context =
      choose_length("--ctx", given.asked_context, kUsualContext, kLeastContext, evaluation::kTokensPerQuestion, loaded);
  const std::vector<evaluation::Method> methods = make_methods(args, loaded);
  const Material material = make_material(args, loaded);
  const std::vector<MethodResult> results = evaluate(args, loaded, material, methods);
  if (!args.json) {
    const Style style = style_of(STDOUT_FILENO);
    const std::string what = fmt::format("{} of {}, {} each, asked {}", counted(args.documents, "document"),
                                         counted(args.context, "token"), counted(args.facts, "question"),
                                         args.asked_first ? "with the document" : "after tokens were dropped");
    write_output(fill(what, style.width(), 0) + "\n" + totals_table(results, args.nll, style) + "\n" +
                 kinds_table(results, style));
    return 0;
  }
  Json list = Json::array();
  for (const MethodResult& result : results) list.push_back(to_json(result));
  write_json({{"command", "eval"},
              {"version", TCA_VERSION},
              {"model", model_json(loaded)},
              {"text", args.text},
              {"ctx", args.context},
              {"documents", args.documents},
              {"facts", args.facts},
              {"seed", args.seed},
              {"asked", args.asked_first ? "first" : "later"},
              {"methods", std::move(list)},
              {"threads", loaded.pool->num_threads()}});
  return 0;
}

}  // namespace

void add_eval_command(CLI::App& app, Job& job) {
  add_command<EvalArgs>(app, job, "eval", "Compare the answers of different ways to keep less", add_options, run)
      .footer(
          "Methods: full; tca:R and paper:R, the profile's configurations for the share R; window:R, the last tokens "
          "alone.\n"
          "Example:\n  tca eval --ctx 8192 --documents 8 --methods full,tca:0.2,tca:0.1 --nll");
}

}  // namespace tca::cli
