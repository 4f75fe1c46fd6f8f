// tca demo: a long document with planted facts, read with full attention and with TCA, questions asked afterwards.
#include <fmt/format.h>

#include <filesystem>
#include <initializer_list>

#include "cli/commands.h"
#include "cli/demo_report.h"
#include "cli/facts.h"
#include "cli/lengths.h"
#include "cli/options.h"
#include "cli/progress.h"
#include "cli/report.h"
#include "cli/signals.h"
#include "evaluation/answers.h"
#include "runtime/engine/generate.h"
#include "tca/version.h"

namespace tca::cli {
namespace {

constexpr std::int64_t kUsualContext = 32768;
constexpr std::int64_t kLeastContext = 1024;
constexpr std::int32_t kUsualQuestions = 12;

struct DemoArgs {
  ModelArgs model;
  AttentionArgs attention;
  FactArgs facts;
  std::optional<std::int64_t> context;
  std::uint64_t seed = 0;
  bool json = false;
};

void add_options(CLI::App& app, DemoArgs& args) {
  app.add_option("--ctx", args.context, "Tokens of the document")
      ->check(in_int_range(kLeastContext, std::numeric_limits<std::int32_t>::max()))
      ->type_name("N")
      ->default_str(std::to_string(kUsualContext));
  add_seed_option(app, args.seed, "Of the facts and their places");
  add_fact_options(app, args.facts, kUsualQuestions, "The document");
  add_model_options(app, args.model);
  add_profile_options(app, args.attention);
  app.add_flag("--json", args.json, "One JSON object on standard output (docs/cli.md)")->group("Output");
}

DemoDocument make_document(const DemoArgs& args, const LoadedModel& loaded, const runtime::ChatFrames& chat) {
  evaluation::LookupOptions options = lookup_options(args.facts);
  options.context_tokens = choose_length("--ctx", args.context, kUsualContext, kLeastContext,
                                         evaluation::kTokensPerQuestion * args.facts.num_questions(), loaded);
  options.seed = args.seed;
  DemoDocument document;
  const std::optional<std::string> name = args.facts.text_name();
  document.title = name ? std::filesystem::path(*name).filename().string() : "a built-in text";
  const std::string text = fact_text(args.facts, options.context_tokens, args.seed);
  document.lookup = with_options("--ctx, --questions, --text", [&] {
    return evaluation::make_lookup_document(loaded.tokenizer, chat, text, options);
  });
  return document;
}

// Reads the document, then asks for one fact after the other in the same session.
DemoRun read_and_ask(const LoadedModel& loaded, const runtime::ChatFrames& chat, const DemoDocument& document,
                     const runtime::SessionOptions& options, const std::string& name) {
  const evaluation::LookupDocument& lookup = document.lookup;
  DemoRun run;
  run.name = name;
  runtime::Session session(loaded.model, *loaded.backend, *loaded.pool, options);
  const Stopwatch watch;
  ProgressBar bar(name + ": reading the document");
  runtime::ReadOptions reading;
  reading.progress = bar.callback();
  session.read(lookup.context, reading);
  run.read = session.last_read();
  run.kv_bytes = session.kv_bytes();
  run.full_kv_bytes = session.full_kv_bytes();
  run.kept_share = session.kept_share();

  bar.restart(fmt::format("{}: asking {} questions", name, lookup.facts.size()));
  std::vector<std::int32_t> turn_end;  // closes the answer before
  for (std::size_t i = 0; i < lookup.facts.size(); ++i) {
    bar.update(static_cast<std::int64_t>(i), std::ssize(lookup.facts));
    std::vector<std::int32_t> ids = turn_end;
    const std::vector<std::int32_t>& question = i == 0 ? lookup.questions[i] : lookup.next_questions[i];
    ids.insert(ids.end(), question.begin(), question.end());
    const auto logits = session.read(ids);
    if (i == 0) run.first_token_seconds = watch.seconds();
    runtime::GenerateOptions generation;
    generation.max_tokens = evaluation::max_answer_tokens(lookup.facts[i], std::ssize(lookup.answers[i]));
    generation.stop_ids = stop_ids(loaded.model->config(), &chat.form());
    const runtime::GenerateResult answer = runtime::generate(session, loaded.tokenizer, logits, generation);
    if (stop_requested()) throw Error(ErrorCategory::kCancelled, "interrupted");
    turn_end = chat.turn_end(answer.stopped_by_id);
    run.answers.push_back(answer.text);
    run.generated_tokens += std::ssize(answer.ids);
    run.generate_seconds += answer.seconds;
  }
  run.seconds = watch.seconds();
  return run;
}

// What a GPU does for the first time (loading kernels, choosing products, growing its memory pool) takes longer than
// reading, and is not what is compared: there the document is read once before anything is timed.
void warm_up(const LoadedModel& loaded, const DemoDocument& document,
             std::initializer_list<runtime::SessionOptions> ways) {
  if (loaded.backend->name() != "cuda") return;
  for (const runtime::SessionOptions& options : ways) {
    runtime::Session(loaded.model, *loaded.backend, *loaded.pool, options).read(document.lookup.context);
  }
}

Json to_json(const DemoArgs& args, const LoadedModel& loaded, const DemoDocument& document, const DemoRun& full,
             const DemoRun& tca) {
  return {{"command", "demo"},
          {"version", TCA_VERSION},
          {"model", model_json(loaded)},
          {"text", document.title},
          {"document_tokens", document.lookup.context.size()},
          {"seed", args.seed},
          {"facts", facts_json(document, full, tca)},
          {"full", run_json(document, full)},
          {"tca", run_json(document, tca)},
          {"comparison", comparison_json(document, full, tca)},
          {"memory", memory_json(loaded)},
          {"threads", loaded.pool->num_threads()}};
}

int run(const DemoArgs& args) {
  const LoadedModel loaded = load_model(args.model);
  const runtime::ChatFrames chat(runtime::ChatTemplate::load(loaded.dir, loaded.tokenizer));
  const DemoDocument document = make_document(args, loaded, chat);
  AttentionArgs attention = args.attention;
  attention.attention = "tca";
  const runtime::SessionOptions tca_options = session_options(attention, loaded);
  note_options(attention, tca_options, loaded, /*hints=*/false);
  runtime::SessionOptions full_options = tca_options;
  full_options.attention = runtime::AttentionMode::kFull;

  const Style style = style_of(STDOUT_FILENO);
  if (!args.json) write_output(demo_heading(document, loaded.name(), loaded.pool->num_threads(), style));
  warm_up(loaded, document, {full_options, tca_options});
  const DemoRun full = read_and_ask(loaded, chat, document, full_options, "full attention");
  const DemoRun tca = read_and_ask(loaded, chat, document, tca_options, "TCA");
  if (args.json) {
    write_json(to_json(args, loaded, document, full, tca));
  } else {
    write_output(demo_tables(document, full, tca, style));
  }
  return 0;
}

}  // namespace

void add_demo_command(CLI::App& app, Job& job) {
  add_command<DemoArgs>(app, job, "demo", "A long document, full attention and TCA side by side", add_options, run)
      .footer("Examples:\n  tca demo\n  tca demo --ctx 131072 --keep 0.1");
}

}  // namespace tca::cli
