// tca run: one prompt, one answer, streamed to standard output; figures to standard error.
#include <fmt/format.h>
#include <unistd.h>

#include "cli/commands.h"
#include "cli/format.h"
#include "cli/input.h"
#include "cli/keep.h"
#include "cli/memory.h"
#include "cli/options.h"
#include "cli/output.h"
#include "cli/progress.h"
#include "cli/report.h"
#include "cli/signals.h"
#include "cli/terminal.h"
#include "cli/wrap.h"
#include "runtime/chat/chat_template.h"
#include "runtime/engine/generate.h"
#include "tca/version.h"

namespace tca::cli {
namespace {

struct RunArgs {
  ModelArgs model;
  AttentionArgs attention;
  SamplingArgs sampling;
  std::optional<std::string> prompt;
  std::vector<std::string> prompt_files;
  std::string question;
  ChatFormArgs form;
  bool json = false;
  bool quiet = false;
};

void add_options(CLI::App& app, RunArgs& args) {
  auto* prompt = app.add_option("-p,--prompt", args.prompt, "The text to read")->type_name("TEXT");
  app.add_option("-f,--prompt-file", args.prompt_files,
                 "The same from files and folders (- is standard input, the default)")
      ->type_name("FILE...")
      ->excludes(prompt);
  app.add_option("-q,--question", args.question, "Ask about the text, in the model's chat form")->type_name("TEXT");
  add_chat_form_options(app, args.form);
  add_model_options(app, args.model);
  add_attention_options(app, args.attention);
  app.add_flag("--certify", args.attention.certify, "Measure the attention mass that is dropped, by layer and head")
      ->group("Attention");
  add_sampling_options(app, args.sampling);
  app.add_flag("--json", args.json, "One JSON object on standard output (docs/cli.md)")->group("Output");
  app.add_flag("--quiet", args.quiet, "No progress and no summary on standard error")->group("Output");
}

std::string read_prompt(const RunArgs& args) {
  if (args.prompt) {
    if (args.prompt->empty()) throw Error(ErrorCategory::kInvalidArgument, "the prompt is empty (--prompt)");
    check_text(*args.prompt, "--prompt");
    return *args.prompt;
  }
  if (args.prompt_files.empty() && is_terminal(STDIN_FILENO)) {
    throw UsageError("no prompt: give --prompt, --prompt-file or standard input (see tca run --help)");
  }
  return read_texts(args.prompt_files.empty() ? std::vector<std::string>{"-"} : args.prompt_files, "prompt").text;
}

// Ids of the prompt, and what ends the answer.
struct Prompt {
  std::vector<std::int32_t> ids;
  std::vector<std::int32_t> stop_ids;
};

Prompt encode_prompt(const RunArgs& args, std::string text, const LoadedModel& loaded) {
  if (args.question.empty()) return {loaded.tokenizer.encode(text, true), stop_ids(loaded.model->config(), nullptr)};
  const auto chat = runtime::ChatTemplate::load(loaded.dir, loaded.tokenizer, args.form.file);
  // The text ends its last line, then the question follows: as the next turn, or in the same.
  if (!text.ends_with('\n')) text += '\n';
  const auto messages = runtime::user_turn(chat, {runtime::foreign_text(text), runtime::foreign_text(args.question)});
  return {chat.encode({.messages = runtime::chat_messages(messages), .enable_thinking = args.form.thinking}).ids,
          stop_ids(loaded.model->config(), &chat)};
}

struct RunResult {
  runtime::GenerateResult answer;
  runtime::ReadStats read;
  double first_token_seconds = 0;
};

RunResult answer(const RunArgs& args, const LoadedModel& loaded, runtime::Session& session, const Prompt& prompt) {
  const Stopwatch watch;
  const std::span<const float> logits = read_with_bar(
      session, prompt.ids, fmt::format("reading {}", counted(std::ssize(prompt.ids), "token")), !args.quiet);

  RunResult result;
  result.read = session.last_read();
  result.first_token_seconds = watch.seconds();
  const bool terminal = is_terminal(STDOUT_FILENO);
  bool open_line = false;
  const auto on_text = [&](const std::string& text) {
    if (!args.json && !text.empty()) {
      write_output(terminal ? without_controls(text) : text);
      open_line = !text.ends_with('\n');
    }
    return !stop_requested();
  };
  runtime::GenerateOptions options;
  options.max_tokens = args.sampling.max_tokens;
  options.stop_ids = prompt.stop_ids;
  options.sampling = args.sampling.sampling;
  options.on_text = on_text;
  result.answer = runtime::generate(session, loaded.tokenizer, logits, options);
  if (open_line) write_output("\n");
  if (stop_requested()) throw Error(ErrorCategory::kCancelled, "interrupted");
  return result;
}

std::string stop_reason(const RunArgs& args, const runtime::GenerateResult& answer) {
  if (answer.stopped_by_id) return "stop_token";
  return std::ssize(answer.ids) >= args.sampling.max_tokens ? "max_tokens" : "context";
}

Json to_json(const RunArgs& args, const LoadedModel& loaded, const runtime::Session& session, const RunResult& result) {
  const double prompt_rate =
      result.read.seconds > 0 ? static_cast<double>(result.read.tokens) / result.read.seconds : 0;
  Json object = {{"command", "run"},
                 {"version", TCA_VERSION},
                 {"model", model_json(loaded)},
                 {"attention", attention_json(session, profile_path(args.attention, loaded))},
                 {"prompt_tokens", result.read.tokens},
                 {"generated_tokens", result.answer.ids.size()},
                 {"text", result.answer.text},
                 {"stop", stop_reason(args, result.answer)},
                 {"first_token_seconds", result.first_token_seconds},
                 {"prompt_tokens_per_second", prompt_rate},
                 {"decode_tokens_per_second", result.answer.tokens_per_second},
                 {"read", read_json(result.read)},
                 {"kv", kv_json(session)},
                 {"memory", memory_json(loaded)},
                 {"threads", loaded.pool->num_threads()}};
  const auto& certificate = session.certificate();
  object["certificate"] = certificate ? certificate_json(*certificate) : Json();
  return object;
}

std::string summary(const RunArgs& args, const LoadedModel& loaded, const runtime::Session& session,
                    const RunResult& result, const Style& style) {
  const auto line = [&](const char* label, const std::string& text) { return labelled(style, label, 11, text); };
  const double rate = static_cast<double>(result.read.tokens) / std::max(result.read.seconds, 1e-9);
  std::string text =
      line("prompt", fmt::format("{} in {} ({}), first token after {}", counted(result.read.tokens, "token"),
                                 format_seconds(result.read.seconds), format_rate(rate),
                                 format_seconds(result.first_token_seconds)));
  text += line("answer", fmt::format("{}, {}", counted(std::ssize(result.answer.ids), "token"),
                                     format_rate(result.answer.tokens_per_second)));
  text += line("attention", result.read.sparse
                                ? fmt::format("tca, {} of the tokens kept, {} of the pairs computed",
                                              format_percent(session.kept_share()), format_percent(result.read.density))
                                : "full");
  if (result.read.predicted_loss && args.attention.tolerance) {
    text += line("--tolerance",
                 fmt::format("an answer's margin is expected to lose {:.2g} nats", *result.read.predicted_loss));
  }
  if (result.read.sparse && !args.attention.keep) text += line("--keep", default_keep_text(session.options()));
  text += line("KV cache", kv_text(session));
  text += line("memory", memory_text(loaded));
  return text;
}

int run(const RunArgs& args) {
  const std::string text = read_prompt(args);
  check_text(args.question, "--question");
  const LoadedModel loaded = load_model(args.model);
  const runtime::SessionOptions options = session_options(args.attention, loaded);
  note_options(args.attention, options, loaded, /*hints=*/!args.quiet);
  const Prompt prompt = encode_prompt(args, text, loaded);
  check_context(std::ssize(prompt.ids), args.attention, loaded);
  runtime::Session session(loaded.model, *loaded.backend, *loaded.pool, options);
  const RunResult result = answer(args, loaded, session, prompt);
  if (args.json) {
    write_json(to_json(args, loaded, session, result));
    return 0;
  }
  const Style style = style_of(STDERR_FILENO);
  if (!args.quiet) write_note("\n" + summary(args, loaded, session, result, style));
  // Asked for by name, so shown even with --quiet.
  if (session.certificate())
    write_note("\n" + certificate_table(*session.certificate(), result.read.predicted_loss.has_value(), style));
  return 0;
}

}  // namespace

void add_run_command(CLI::App& app, Job& job) {
  add_command<RunArgs>(app, job, "run", "Read a prompt and answer it or go on with it", add_options, run)
      .footer(
          "Examples:\n"
          "  tca run -f report.txt -q \"Who signed the contract?\"\n"
          "  tca run -f report.txt -q \"Who signed the contract?\" --keep 0.1 --certify\n"
          "  echo \"It was a dark night\" | tca run -n 64 --temperature 0.8");
}

}  // namespace tca::cli
