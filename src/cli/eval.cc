// tca eval: what keeping less costs in answers and in loss, methods side by side.
#include <fmt/format.h>

#include <algorithm>
#include <filesystem>

#include "cli/commands.h"
#include "cli/eval_report.h"
#include "cli/facts.h"
#include "cli/format.h"
#include "cli/keep.h"
#include "cli/lengths.h"
#include "cli/locate.h"
#include "cli/options.h"
#include "cli/output.h"
#include "cli/progress.h"
#include "cli/report.h"
#include "cli/signals.h"
#include "cli/target_file.h"
#include "cli/wrap.h"
#include "core/file.h"
#include "evaluation/answers.h"
#include "evaluation/quality.h"
#include "tca/version.h"

namespace tca::cli {
namespace {

constexpr std::int64_t kUsualContext = 32768;
constexpr std::int64_t kLeastContext = 256;
constexpr std::int32_t kUsualQuestions = 8;

struct EvalArgs {
  ModelArgs model;
  AttentionArgs attention;
  FactArgs facts;
  std::string chat_template;
  std::optional<std::int64_t> asked_context;
  std::int64_t context = kUsualContext;
  int documents = 4;
  std::vector<std::string> methods = {"full", "tca:0.2", "tca:0.1", "paper:0.39", "window:0.39"};
  std::uint64_t seed = 0;
  std::string ask = "later";
  std::string answers;
  bool force = false;
  bool no_distractors = false;
  bool nll = false;
  bool json = false;
};

void add_options(CLI::App& app, EvalArgs& args) {
  add_fact_options(app, args.facts, kUsualQuestions, "What the facts are planted in");
  app.add_option("--ctx", args.asked_context, "Tokens of each document")
      ->check(in_int_range(kLeastContext, std::numeric_limits<std::int32_t>::max()))
      ->type_name("N")
      ->default_str(std::to_string(kUsualContext));
  app.add_option("--documents", args.documents, "How many documents")
      ->check(in_int_range(1, 100000))
      ->type_name("N")
      ->capture_default_str();
  app.add_option("--methods", args.methods, "What is compared")
      ->delimiter(',')
      ->type_name("METHOD,...")
      ->capture_default_str();
  app.add_flag("--no-distractors", args.no_distractors,
               "Of natural facts: without the same said of other subjects, which makes them easier");
  app.add_option("--ask", args.ask, "When questions are read: later (tokens were dropped), first (with the document)")
      ->check(one_of({"later", "first"}))
      ->type_name("WHEN")
      ->capture_default_str();
  app.add_flag("--nll", args.nll, "Also the loss on plain text of the same length");
  add_seed_option(app, args.seed, "Of the facts and their places");
  app.add_option("--chat-template", args.chat_template, "Chat form of the questions (default: the model's)")
      ->type_name("FILE");
  add_model_options(app, args.model);
  app.add_option("--profile", args.attention.profile, "Calibrated profile (default: profile.json of the model)")
      ->type_name("FILE")
      ->group("Attention");
  app.add_option("--answers", args.answers, "Also write every answer, one JSON object a line")
      ->type_name("FILE")
      ->group("Output");
  app.add_flag("--force", args.force, "Replace a file of answers that is there")->group("Output");
  app.add_flag("--json", args.json, "One JSON object on standard output (docs/cli.md)")->group("Output");
}

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
  const std::string text = fact_text(args.facts, args.context * (args.documents + 1), args.seed);
  const evaluation::LookupGenerator generator(loaded.tokenizer, chat, text);
  Material material;
  material.stop_ids = stop_ids(loaded.model->config(), &chat.form());
  for (int i = 0; i < args.documents; ++i) {
    evaluation::LookupOptions options = lookup_options(args.facts);
    options.distractors = !args.no_distractors;
    options.context_tokens = args.context;
    options.most_tokens = most_tokens(loaded);
    options.random_start = true;
    options.seed = args.seed + static_cast<std::uint64_t>(i);
    material.documents.push_back(with_options("--ctx, --questions, --text", [&] { return generator.make(options); }));
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
  const auto order = args.ask == "first" ? evaluation::AskOrder::kFirst : evaluation::AskOrder::kLater;
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
  const auto full =
      std::find_if(results.begin(), results.end(), [](const auto& result) { return result.lookup.method == "full"; });
  if (full == results.end()) return results;
  for (MethodResult& result : results) result.survival = survival(full->lookup, result.lookup, args.seed);
  return results;
}

void check_answers_file(const EvalArgs& args) {
  if (args.answers.empty()) return;
  std::error_code error;
  if (std::filesystem::exists(args.answers, error) && !args.force) {
    throw Error(ErrorCategory::kInvalidArgument,
                fmt::format("--answers {} exists; --force replaces it, or choose another name", args.answers));
  }
  check_writable(args.answers, "--answers");
}

int run(const EvalArgs& given) {
  check_answers_file(given);
  const LoadedModel loaded = load_model(given.model);
  EvalArgs args = given;
  args.context =
      choose_length("--ctx", given.asked_context, kUsualContext, kLeastContext, evaluation::kTokensPerQuestion, loaded);
  const std::vector<evaluation::Method> methods = make_methods(args, loaded);
  const Material material = make_material(args, loaded);
  const std::vector<MethodResult> results = evaluate(args, loaded, material, methods);
  if (!args.answers.empty()) {
    const WritingGuard guard;
    write_file_atomically(args.answers, answer_lines(results, material.documents));
  }
  if (!args.json) {
    const Style style = style_of(STDOUT_FILENO);
    const std::string what = fmt::format("{} documents of {} tokens, {} questions each, asked {}", args.documents,
                                         format_count(args.context), args.facts.num_questions(),
                                         args.ask == "first" ? "with the document" : "after tokens were dropped");
    write_output(fill(what, style.width(), 0) + "\n" + eval_tables(results, style));
    return 0;
  }
  Json list = Json::array();
  for (const MethodResult& result : results) list.push_back(method_json(result));
  write_json({{"command", "eval"},
              {"version", TCA_VERSION},
              {"model", model_json(loaded)},
              {"text", args.facts.text_name() ? Json(*args.facts.text_name()) : Json()},
              {"ctx", args.context},
              {"documents", args.documents},
              {"facts", args.facts.facts},
              {"questions", args.facts.num_questions()},
              {"seed", args.seed},
              {"ask", args.ask},
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
          "Example:\n  tca eval --ctx 8192 --documents 8 --methods full,tca:0.2,tca:0.1 --nll\n"
          "  tca eval -m ~/models/SmolLM2-135M-Instruct --facts natural --ctx 4096 --questions 12 --answers a.jsonl");
}

}  // namespace tca::cli
