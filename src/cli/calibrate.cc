// tca calibrate: reads a little text once with full attention and writes what each KV head needs to keep.
#include "calibration/calibrate.h"

#include <fmt/format.h>

#include "calibration/calibrate_answers.h"
#include "cli/commands.h"
#include "cli/format.h"
#include "cli/input.h"
#include "cli/lengths.h"
#include "cli/locate.h"
#include "cli/options.h"
#include "cli/output.h"
#include "cli/profile_report.h"
#include "cli/progress.h"
#include "cli/report.h"
#include "cli/signals.h"
#include "cli/target_file.h"
#include "cli/wrap.h"
#include "core/sha256.h"
#include "evaluation/natural_facts.h"
#include "tca/version.h"

namespace tca::cli {
namespace {

constexpr std::int64_t kUsualTokens = 16384;
// Of documents that are asked about. Half as long ones foresaw less at this length.
constexpr std::int64_t kUsualAnswerTokens = 4096;
constexpr std::int64_t kBankTokens = 768;
// Codes have no set of their own for calibration: other seeds than those of `tca eval` make them other values.
constexpr std::uint64_t kCodesStream = std::uint64_t{1} << 63;

struct CalibrateArgs {
  ModelArgs model;
  std::vector<std::string> texts;
  std::string output;
  std::string chat_template;
  std::vector<std::string> objectives = {kAnswerRisk};
  calibration::CalibrationOptions options;
  calibration::AnswerOptions answers;
  std::string facts = "natural";
  int documents = 16;
  bool no_measure = false;
  std::optional<std::int64_t> tokens;
  int sequences = 3;
  bool no_facts = false;
  bool force = false;
  bool json = false;
};

void add_options(CLI::App& app, CalibrateArgs& args) {
  app.add_option("-t,--text", args.texts,
                 "Text like what the model will read; several are put together (default: sentences of everyday life)")
      ->type_name("FILE...");
  app.add_option("-o,--output", args.output, "The profile to write")->required()->type_name("FILE");
  app.add_flag("--force", args.force, "Replace a file that is there");
  app.add_option("--budgets", args.options.budgets, "Shares of the tokens to keep")
      ->delimiter(',')
      ->check(in_range(0, 1, /*low_excluded=*/true))
      ->type_name("RATIO,...")
      ->capture_default_str();
  app.add_option("--objective", args.objectives, "How they are chosen: answer-risk, tail-risk, paper")
      ->delimiter(',')
      ->check(one_of({kAnswerRisk, "tail-risk", "paper"}))
      ->type_name("NAME,...")
      ->capture_default_str();
  app.add_option("--tokens", args.tokens, "Tokens of each sequence")
      ->check(in_int_range(1, std::numeric_limits<std::int32_t>::max()))
      ->type_name("N")
      ->default_str(fmt::format("{} with answer-risk, else {}", kUsualAnswerTokens, kUsualTokens));
  app.add_option("--facts", args.facts,
                 "With answer-risk: what is planted and asked for: natural (for any chat model), codes (lookback-28m)")
      ->check(one_of({"natural", "codes"}))
      ->type_name("NAME")
      ->capture_default_str();
  app.add_option("--documents", args.documents, "With answer-risk: how many documents are read and asked about")
      ->check(in_int_range(1, 10000))
      ->type_name("N")
      ->capture_default_str();
  app.add_option("--bank", args.answers.bank_queries, "With answer-risk: queries that choose tokens, a head")
      ->check(in_int_range(1, 1024))
      ->type_name("N")
      ->capture_default_str();
  app.add_flag("--no-measure", args.no_measure, "With answer-risk: do not count how many answers each share keeps");
  app.add_option("--sequences", args.sequences, "How many sequences are read")
      ->check(in_int_range(1, 10000))
      ->type_name("N")
      ->capture_default_str();
  app.add_flag("--no-facts", args.no_facts, "Plain text only, without planted facts");
  add_seed_option(app, args.options.seed, "Of facts, places and sampled rows");
  app.add_option("--chat-template", args.chat_template, "Chat form of the questions (default: the model's)")
      ->type_name("FILE");
  add_model_options(app, args.model);
  app.add_flag("--json", args.json, "One JSON object on standard output (docs/cli.md)")->group("Output");
}

// Minutes of work are not begun for a file that cannot be written.
void check_output(const CalibrateArgs& args) {
  check_not_there(args.output, "--output", args.force);
  check_target(args.output, FileKind::kProfile, "--output", args.force);
}

std::string read_texts(const std::vector<std::string>& files) {
  std::string text;
  for (const std::string& file : files) {
    if (!text.empty()) text += "\n\n";
    text += read_text_not_empty(file == "-" ? file : locate_text(file), "text");
  }
  return text;
}

std::vector<calibration::CalibrationSequence> make_sequences(const CalibrateArgs& args, const LoadedModel& loaded,
                                                             const std::string& text) {
  calibration::SequenceOptions options;
  options.tokens = choose_length("--tokens", args.tokens, kUsualTokens, /*least=*/1, /*room=*/0, loaded);
  options.lookup_sequences = args.no_facts ? 0 : args.sequences;
  options.plain_sequences = args.no_facts ? args.sequences : 0;
  options.seed = args.options.seed;
  // Plain text has no chat form, and base models have none.
  std::optional<runtime::ChatFrames> chat;
  if (!args.no_facts) {
    chat.emplace(runtime::ChatTemplate::load(loaded.dir, loaded.tokenizer, args.chat_template));
  }
  return with_options("--tokens, --sequences, --text",
                      [&] { return calibration::make_calibration_sequences(loaded.tokenizer, chat, text, options); });
}

bool has_objective(const CalibrateArgs& args, const std::string& name) {
  return std::find(args.objectives.begin(), args.objectives.end(), name) != args.objectives.end();
}

/// Every other document has distractors: with them fewer questions are answered, without them all are easy.
evaluation::LookupOptions document_options(bool natural, std::int64_t tokens, std::int32_t facts, std::uint64_t seed) {
  evaluation::LookupOptions options{.context_tokens = tokens,
                                    .num_facts = facts,
                                    .fact_set = evaluation::FactSet::kCalibration,
                                    .distractors = seed % 2 == 0,
                                    .random_start = true,
                                    .seed = seed};
  if (natural) {
    options.kinds = evaluation::natural_kinds(options.fact_set);
  } else {
    options.seed ^= kCodesStream;
  }
  return options;
}

calibration::AnswerMaterial make_material(const CalibrateArgs& args, const LoadedModel& loaded,
                                          const runtime::ChatTemplate& chat, const std::string& text) {
  const std::int64_t tokens =
      choose_length("--tokens", args.tokens, kUsualAnswerTokens, /*least=*/1, /*room=*/256, loaded);
  const evaluation::LookupGenerator generator(loaded.tokenizer, runtime::ChatFrames(chat), text);
  calibration::AnswerMaterial material;
  std::uint64_t seed = args.options.seed << 20;
  const auto add = [&](std::vector<evaluation::LookupDocument>& documents, std::int32_t count, std::int64_t length) {
    // So many that facts are not what most of the document is.
    const auto facts = static_cast<std::int32_t>(std::clamp<std::int64_t>(length / 128, 2, evaluation::kNaturalFacts));
    for (std::int32_t i = 0; i < count; ++i)
      documents.push_back(generator.make(document_options(args.facts == "natural", length, facts, seed++)));
  };
  add(material.bank, args.documents, std::min(kBankTokens, tokens));
  add(material.risk, args.documents, tokens);
  if (!args.no_measure) add(material.measure, (args.documents + 3) / 4, tokens);  // a fifth of the questions
  return material;
}

std::int64_t tokens_of(const calibration::AnswerMaterial& material) {
  std::int64_t tokens = 0;
  for (const auto* documents : {&material.bank, &material.risk}) {
    for (const evaluation::LookupDocument& document : *documents) tokens += std::ssize(document.context);
  }
  return tokens;
}

/// Adds the curves to the profile.
void add_answer_risk(const CalibrateArgs& args, const LoadedModel& loaded, const std::string& text, Profile& profile) {
  const runtime::ChatTemplate chat = runtime::ChatTemplate::load(loaded.dir, loaded.tokenizer, args.chat_template);
  const calibration::AnswerMaterial material =
      with_options("--tokens, --text", [&] { return make_material(args, loaded, chat, text); });
  // The gradient is taken on the CPU, from the checkpoint's own weights, which are mapped and not copied.
  std::shared_ptr<const runtime::Model> host = loaded.model;
  if (loaded.model->device() != nullptr) host = runtime::Model::load(loaded.dir, *loaded.pool);
  const evaluation::Setup setup{loaded.model, *loaded.backend, *loaded.pool, loaded.tokenizer,
                                stop_ids(loaded.model->config(), &chat)};
  calibration::AnswerOptions options = args.answers;
  options.seed = args.options.seed;
  ProgressBar bar(fmt::format("calibrating on {} documents of {} tokens", format_count(std::ssize(material.risk)),
                              format_count(std::ssize(material.risk.front().context))));
  profile.answer_risk =
      calibration::calibrate_answers(setup, *host, material, loaded.model->fingerprint(), options, bar.callback());
  bar.finish();
  profile.calibration_tokens += tokens_of(material);
}

/// Of the objectives whose configurations are budgets.
Profile calibrate_budgets(const CalibrateArgs& args, const LoadedModel& loaded, const std::string& text) {
  const auto sequences = make_sequences(args, loaded, text);
  calibration::CalibrationOptions options = args.options;
  options.objectives = args.objectives;
  std::erase(options.objectives, kAnswerRisk);
  ProgressBar bar(
      fmt::format("calibrating on {} x {} tokens", sequences.size(), format_count(std::ssize(sequences.front().ids))));
  Profile profile =
      calibration::calibrate(loaded.model, *loaded.backend, *loaded.pool, sequences, options, bar.callback());
  bar.finish();
  return profile;
}

Json to_json(const CalibrateArgs& args, const LoadedModel& loaded, const Profile& profile, double seconds) {
  Json budgets = Json::array();
  for (const ProfileBudget& budget : profile.budgets) budgets.push_back(budget_json(budget));
  return {{"command", "calibrate"},
          {"version", TCA_VERSION},
          {"model", model_json(loaded)},
          {"profile", args.output},
          {"calibration_tokens", profile.calibration_tokens},
          {"seconds", seconds},
          {"budgets", std::move(budgets)},
          {"answer_risk", profile.answer_risk ? answer_risk_json(*profile.answer_risk) : Json()},
          {"memory", memory_json(loaded)},
          {"threads", loaded.pool->num_threads()}};
}

int run(const CalibrateArgs& args) {
  if (args.no_facts && has_objective(args, kAnswerRisk)) {
    throw UsageError("--no-facts leaves no answers to calibrate by: --objective tail-risk or paper goes with it");
  }
  check_output(args);
  // 400 KB are 16 documents without a sentence that comes twice.
  const std::string text = args.texts.empty()
                               ? evaluation::natural_text(evaluation::FactSet::kCalibration, 400'000, args.options.seed)
                               : read_texts(args.texts);
  const LoadedModel loaded = load_model(args.model);
  const Stopwatch watch;
  const bool budgets = has_objective(args, "tail-risk") || has_objective(args, "paper");
  Profile profile = budgets
                        ? calibrate_budgets(args, loaded, text)
                        : calibration::empty_profile(loaded.model->fingerprint(), args.answers.rule, args.options.seed);
  profile.text_sha256 = sha256_hex(text);
  if (has_objective(args, kAnswerRisk)) add_answer_risk(args, loaded, text, profile);
  if (stop_requested()) throw Error(ErrorCategory::kCancelled, "interrupted");
  {
    const WritingGuard guard;
    profile.save(args.output);
  }
  if (args.json) {
    write_json(to_json(args, loaded, profile, watch.seconds()));
    return 0;
  }
  const Style style = style_of(STDOUT_FILENO);
  const std::string heading =
      fmt::format("{}: calibrated on {} in {}", args.output, counted(profile.calibration_tokens, "token"),
                  format_seconds(watch.seconds()));
  std::string report = fill(heading, style.width(), 0) + "\n";
  if (profile.answer_risk) report += answers_table(*profile.answer_risk, style);
  if (!profile.budgets.empty()) report += budgets_table(profile, style);
  write_output(report);
  return 0;
}

}  // namespace

void add_calibrate_command(CLI::App& app, Job& job) {
  add_command<CalibrateArgs>(app, job, "calibrate", "Find how much each KV head of a model needs to keep", add_options,
                             run)
      .footer(
          "Example:\n  tca calibrate -m ~/models/Qwen3-4B -t novel.txt manual.txt -o ~/models/Qwen3-4B/profile.json");
}

}  // namespace tca::cli
