// tca eval: what keeping less costs in answers and in loss, methods side by side.
#include <fmt/format.h>

#include <algorithm>

#include "cli/commands.h"
#include "cli/eval_args.h"
#include "cli/eval_report.h"
#include "cli/format.h"
#include "cli/lengths.h"
#include "cli/options.h"
#include "cli/output.h"
#include "cli/progress.h"
#include "cli/report.h"
#include "cli/wrap.h"
#include "evaluation/answers.h"
#include "evaluation/quality.h"
#include "evaluation/task_lines.h"
#include "tca/version.h"

namespace tca::cli {
namespace {

constexpr std::int64_t kUsualContext = 32768;
constexpr std::int64_t kLeastContext = 256;
constexpr std::int32_t kUsualQuestions = 8;

void add_options(CLI::App& app, EvalArgs& args) {
  add_fact_options(app, args.facts, kUsualQuestions, "What the facts are planted in");
  app.add_option("--ctx", args.context, "Tokens of each document")
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
  app.add_flag("--nll", args.nll, "Also the loss on plain text of the same length, and on what follows it");
  add_seed_option(app, args.seed, "Of the facts and their places, and of intervals");
  app.add_option("--chat-template", args.chat_template, "Chat form of the questions (default: the model's)")
      ->type_name("FILE");
  add_model_options(app, args.model);
  app.add_option("--profile", args.attention.profile, "Calibrated profile (default: profile.json of the model)")
      ->type_name("FILE")
      ->group("Attention");
  app.add_option("--answers", args.answers, "Also write every answer, one JSON object a line")
      ->type_name("FILE")
      ->group("Output");
  app.add_option("--save-documents", args.saved_documents, "Also write documents and questions, as --from reads them")
      ->type_name("FILE")
      ->group("Output");
  app.add_flag("--force", args.force, "Replace files of answers and documents that are there")->group("Output");
  app.add_flag("--json", args.json, "One JSON object on standard output (docs/cli.md)")->group("Output");
  add_task_file_options(app, args.tasks);
}

struct Material {
  std::vector<evaluation::LookupDocument> documents;
  std::vector<std::vector<std::int32_t>> texts;  // with --nll: as many, plain
  std::vector<std::int32_t> stop_ids;
  std::string task_lines;  // with --save-documents
};

// A document and any one of its questions and answers must fit into a session.
Material make_material(const EvalArgs& args, std::int64_t context, const LoadedModel& loaded) {
  const runtime::ChatFrames chat(runtime::ChatTemplate::load(loaded.dir, loaded.tokenizer, args.chat_template));
  const std::string text = fact_text(args.facts, context * (args.documents + 1), args.seed);
  const evaluation::LookupGenerator generator(loaded.tokenizer, chat, text);
  Material material;
  material.stop_ids = stop_ids(loaded.model->config(), &chat.form());
  for (int i = 0; i < args.documents; ++i) {
    evaluation::LookupOptions options = lookup_options(args.facts);
    options.distractors = !args.no_distractors;
    options.context_tokens = context;
    options.most_tokens = most_session_tokens(loaded);
    options.random_start = true;
    options.seed = args.seed + static_cast<std::uint64_t>(i);
    material.documents.push_back(with_options("--ctx, --questions, --text", [&] { return generator.make(options); }));
    if (!args.saved_documents.empty()) {
      material.task_lines += json_line(evaluation::task_row(material.documents.back(), chat));
    }
    if (!args.nll) continue;
    // What follows must fit into a session, too. Overlapping where the text is shorter than all of them together.
    const std::int64_t length = std::min(context + evaluation::kContinuedTokens, most_session_tokens(loaded));
    const std::int64_t starts = std::max<std::int64_t>(1, generator.text_tokens() - length);
    material.texts.push_back(
        with_options("--ctx, --text", [&] { return generator.plain_text(i * context % starts, length); }));
  }
  const auto shortest = std::min_element(material.documents.begin(), material.documents.end(),
                                         [](auto& a, auto& b) { return a.context.size() < b.context.size(); });
  if (std::ssize(shortest->context) < context) {
    warn(
        fmt::format("the shortest document has {} tokens, so that a question and its answer fit behind it into the {} "
                    "that the model can hold",
                    shortest->context.size(), most_session_tokens(loaded)));
  }
  return material;
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
      result.text = evaluate_text(setup, methods[i], material.texts, evaluation::kContinuedTokens, bar.callback());
    }
    results.push_back(std::move(result));
  }
  const auto full =
      std::find_if(results.begin(), results.end(), [](const auto& result) { return result.lookup.method == "full"; });
  if (full == results.end()) return results;
  for (MethodResult& result : results) result.survival = survival(full->lookup, result.lookup, args.seed);
  return results;
}

void write_results(const EvalArgs& args, std::int64_t context, const LoadedModel& loaded,
                   const std::vector<MethodResult>& results) {
  Json list = Json::array();
  for (const MethodResult& result : results) list.push_back(method_json(result));
  write_json({{"command", "eval"},
              {"version", TCA_VERSION},
              {"model", model_json(loaded)},
              {"text", args.facts.text_name() ? Json(*args.facts.text_name()) : Json()},
              {"ctx", context},
              {"documents", args.documents},
              {"facts", args.facts.facts},
              {"questions", args.facts.num_questions()},
              {"seed", args.seed},
              {"ask", args.ask},
              {"methods", std::move(list)},
              {"threads", loaded.pool->num_threads()}});
}

int eval_facts(const EvalArgs& args) {
  const LoadedModel loaded = load_model(args.model);
  const std::int64_t context =
      choose_length("--ctx", args.context, kUsualContext, kLeastContext, evaluation::kTokensPerQuestion, loaded);
  std::vector<evaluation::Method> methods;
  for (const evaluation::MethodFor& method : make_methods(args, loaded)) methods.push_back(method(context));
  const Material material = make_material(args, context, loaded);
  write_lines(args.saved_documents, material.task_lines);
  const std::vector<MethodResult> results = evaluate(args, loaded, material, methods);
  write_lines(args.answers, answer_lines(results, material.documents));
  if (args.json) {
    write_results(args, context, loaded, results);
    return 0;
  }
  const Style style = style_of(STDOUT_FILENO);
  const std::string what = fmt::format("{} of {}, {} each, asked {}", counted(args.documents, "document"),
                                       counted(context, "token"), counted(args.facts.num_questions(), "question"),
                                       args.ask == "first" ? "with the document" : "after tokens were dropped");
  write_output(fill(what, style.width(), 0) + "\n" + eval_tables(results, style));
  return 0;
}

int run(const EvalArgs& args) {
  check_files_to_write(args);
  return args.tasks.files.empty() ? eval_facts(args) : eval_tasks(args);
}

}  // namespace

void add_eval_command(CLI::App& app, Job& job) {
  add_command<EvalArgs>(app, job, "eval", "Compare the answers of different ways to keep less", add_options, run)
      .footer(
          "Methods: full; tca:R and paper:R, the profile's configurations for the share R; window:R, the last tokens "
          "alone; snapkv:R, pyramidkv:R, adakv:R, expected-attention:R, adakv-ea:R and duo:R, what "
          "others would keep, on the CPU.\n"
          "Example:\n  tca eval --ctx 8192 --documents 8 --methods full,tca:0.2,tca:0.1 --nll\n"
          "  tca eval -m ~/models/SmolLM2-135M-Instruct --facts natural --ctx 4096 --questions 12 --answers a.jsonl\n"
          "  tca eval -m ~/models/Qwen3-4B --from niah_single_1/validation.jsonl scbench_kv.jsonl --skip-too-long");
}

}  // namespace tca::cli
