// tca calibrate: reads a little text once with full attention and writes what each KV head needs to keep.
#include "calibration/calibrate.h"

#include <fmt/format.h>

#include <filesystem>

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
#include "tca/version.h"

namespace tca::cli {
namespace {

constexpr std::int64_t kUsualTokens = 16384;

struct CalibrateArgs {
  ModelArgs model;
  std::vector<std::string> texts;
  std::string output;
  std::string chat_template;
  calibration::CalibrationOptions options;
  std::optional<std::int64_t> tokens;
  int sequences = 3;
  bool no_facts = false;
  bool force = false;
  bool json = false;
};

void add_options(CLI::App& app, CalibrateArgs& args) {
  app.add_option("-t,--text", args.texts, "Text like what the model will read; several are put together")
      ->required()
      ->type_name("FILE...");
  app.add_option("-o,--output", args.output, "The profile to write")->required()->type_name("FILE");
  app.add_flag("--force", args.force, "Replace a file that is there");
  app.add_option("--budgets", args.options.budgets, "Shares of the tokens to keep")
      ->delimiter(',')
      ->check(in_range(0, 1, /*low_excluded=*/true))
      ->type_name("RATIO,...")
      ->capture_default_str();
  app.add_option("--objective", args.options.objectives, "How they are chosen: tail-risk, paper")
      ->delimiter(',')
      ->check(one_of({"tail-risk", "paper"}))
      ->type_name("NAME,...")
      ->capture_default_str();
  app.add_option("--tokens", args.tokens, "Tokens of each sequence")
      ->check(in_int_range(1, std::numeric_limits<std::int32_t>::max()))
      ->type_name("N")
      ->default_str(std::to_string(kUsualTokens));
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
  namespace fs = std::filesystem;
  std::error_code error;
  if (fs::exists(args.output, error) && !args.force) {
    throw Error(ErrorCategory::kInvalidArgument,
                fmt::format("--output {} exists; --force replaces it, or choose another name", args.output));
  }
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
          {"memory", memory_json(loaded)},
          {"threads", loaded.pool->num_threads()}};
}

int run(const CalibrateArgs& args) {
  check_output(args);
  const std::string text = read_texts(args.texts);
  const LoadedModel loaded = load_model(args.model);
  const auto sequences = make_sequences(args, loaded, text);
  calibration::CalibrationOptions options = args.options;
  options.text_sha256 = sha256_hex(text);

  const Stopwatch watch;
  ProgressBar bar(
      fmt::format("calibrating on {} x {}", sequences.size(), counted(std::ssize(sequences.front().ids), "token")));
  const Profile profile =
      calibration::calibrate(loaded.model, *loaded.backend, *loaded.pool, sequences, options, bar.callback());
  bar.finish();
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
  write_output(fill(heading, style.width(), 0) + "\n" + budgets_table(profile, style));
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
