// tca chat: several turns over one document; the conversation can be saved and gone on with.
#include <fmt/format.h>
#include <unistd.h>

#include "cli/commands.h"
#include "cli/conversation.h"
#include "cli/format.h"
#include "cli/input.h"
#include "cli/line_reader.h"
#include "cli/options.h"
#include "cli/output.h"
#include "cli/report.h"
#include "cli/signals.h"
#include "cli/terminal.h"
#include "tca/version.h"

namespace tca::cli {
namespace {

struct ChatArgs {
  ModelArgs model;
  AttentionArgs attention;
  SamplingArgs sampling;
  std::string document;
  std::string system;
  std::string load;
  std::string save;
  ChatFormArgs form;
  bool json = false;
};

void add_options(CLI::App& app, ChatArgs& args) {
  auto* document = app.add_option("-d,--document", args.document, "Text file to talk about")->type_name("FILE");
  auto* system = app.add_option("--system", args.system, "System message, before everything else")->type_name("TEXT");
  app.add_option("--load", args.load, "Go on with a saved conversation")
      ->type_name("FILE")
      ->excludes(document)
      ->excludes(system);
  app.add_option("--save", args.save, "Save the conversation at the end")->type_name("FILE");
  add_chat_form_options(app, args.form);
  add_model_options(app, args.model);
  add_attention_options(app, args.attention);
  add_sampling_options(app, args.sampling);
  app.add_flag("--json", args.json, "One JSON object on standard output (docs/cli.md)")->group("Output");
}

constexpr char kHelp[] =
    "  /stats        tokens and memory of the conversation\n"
    "  /save FILE    save the conversation\n"
    "  /load FILE    go on with a saved one\n"
    "  /quit         leave (or end of input)\n"
    "  Ctrl-C stops an answer. A message that begins with a slash is written after a space.\n";

class Repl {
 public:
  Repl(const ChatArgs& args, const LoadedModel& loaded)
      : args_(args),
        interactive_(is_terminal(STDIN_FILENO) && !args.json),
        style_(may_colour(STDERR_FILENO)),
        conversation_(loaded, session_options(args.attention, loaded), args.form) {}

  int run();

 private:
  void open();
  void talk();
  void turn(const std::string& message);
  void command(const std::string& line);
  void save(const std::string& path);
  void load(const std::string& path);
  void note(const std::string& text) const { write_note(style_.dim(text) + "\n"); }
  // Reports what one turn or command failed of; the conversation stays as it was.
  template <class Action>
  void attempt(const Action& action);

  const ChatArgs& args_;
  const bool interactive_;
  const Style style_;
  Conversation conversation_;
  Json document_;
  Json turns_ = Json::array();
  bool quit_ = false;
  bool failed_ = false;
};

template <class Action>
void Repl::attempt(const Action& action) {
  try {
    action();
  } catch (const Error& error) {
    const bool stopped = error.category() == ErrorCategory::kCancelled && stop_requested();
    if (stopped) {
      note("[stopped; the conversation is as before]");
      return;
    }
    failed_ = true;
    report_error(category_name(error.category()), error.what(), /*json=*/false);
    if (args_.json) {
      turns_.push_back({{"error", {{"category", category_name(error.category())}, {"message", error.what()}}}});
    }
  }
}

void Repl::open() {
  if (!args_.load.empty()) load(args_.load);
  if (!args_.system.empty()) conversation_.set_system(args_.system);
  if (args_.document.empty()) return;
  const std::string text = read_text_not_empty(args_.document, "document");
  conversation_.read_document(text);
  const runtime::Session& session = conversation_.session();
  document_ = {{"path", args_.document}, {"read", read_json(session.last_read())}, {"kv", kv_json(session)}};
  note(fmt::format("[{}: {} tokens read in {}; KV cache {}]", args_.document, format_count(session.num_tokens()),
                   format_seconds(session.last_read().seconds), kv_text(session)));
}

void Repl::turn(const std::string& message) {
  const runtime::Session& session = conversation_.session();
  const std::size_t bytes_before = session.kv_bytes();
  const bool terminal = is_terminal(STDOUT_FILENO);
  bool open_line = false;
  const auto on_text = [&](const std::string& text) {
    if (!args_.json && !text.empty()) {
      write_output(terminal ? without_controls(text) : text);
      open_line = !text.ends_with('\n');
    }
    return !stop_requested();
  };
  const Conversation::Turn turn = conversation_.say(message, args_.sampling, on_text);
  if (!args_.json) {
    // An empty answer still takes a line: one for every message.
    if (open_line || turn.answer.text.empty()) write_output("\n");
    const auto grown = static_cast<std::int64_t>(session.kv_bytes()) - static_cast<std::int64_t>(bytes_before);
    note(fmt::format("[{}{} tokens; KV cache {}; {}]", stop_requested() ? "stopped; " : "",
                     format_count(session.num_tokens()), kv_text(session, grown),
                     format_rate(turn.answer.tokens_per_second)));
    return;
  }
  turns_.push_back({{"message", message},
                    {"text", turn.answer.text},
                    {"stop", stop_requested() ? "interrupted" : turn.stop},
                    {"prompt_tokens", turn.prompt_tokens},
                    {"generated_tokens", turn.answer.ids.size()},
                    {"first_token_seconds", turn.first_token_seconds},
                    {"decode_tokens_per_second", turn.answer.tokens_per_second},
                    {"kv", kv_json(session)}});
}

void Repl::save(const std::string& path) {
  conversation_.save(path);
  note(fmt::format("[saved to {}: {} tokens, KV cache {}]", path, format_count(conversation_.session().num_tokens()),
                   format_bytes(conversation_.session().kv_bytes())));
}

void Repl::load(const std::string& path) {
  conversation_.load(path);
  note(fmt::format("[{}: {} tokens; KV cache {}]", path, format_count(conversation_.session().num_tokens()),
                   kv_text(conversation_.session())));
}

void Repl::command(const std::string& line) {
  const std::size_t space = line.find(' ');
  const std::string name = line.substr(0, space);
  const std::size_t begin = space == std::string::npos ? space : line.find_first_not_of(' ', space);
  const std::string file = begin == std::string::npos ? "" : line.substr(begin, line.find_last_not_of(' ') + 1 - begin);
  const bool takes_file = name == "/save" || name == "/load";
  if (takes_file && file.empty()) {
    throw Error(ErrorCategory::kInvalidArgument, fmt::format("{} takes a file name", name));
  }
  if (name == "/quit" || name == "/exit") {
    quit_ = true;
  } else if (name == "/save") {
    save(file);
  } else if (name == "/load") {
    load(file);
  } else if (name == "/stats") {
    const runtime::Session& session = conversation_.session();
    note(fmt::format("  tokens    {} in {} turns\n  KV cache  {}\n  memory    {}", format_count(session.num_tokens()),
                     conversation_.num_turns(), kv_text(session), memory_text(conversation_.loaded())));
  } else if (name == "/help") {
    write_note(kHelp);
  } else {
    throw Error(ErrorCategory::kInvalidArgument, fmt::format("{} is no command; /help lists them", name));
  }
}

void Repl::talk() {
  LineReader reader;
  std::string line;
  bool hinted = false;
  while (!quit_) {
    if (interactive_) write_note(style_.bold("> "));
    const LineReader::Outcome outcome = reader.next(line);
    if (outcome == LineReader::Outcome::kEnd) break;
    if (outcome == LineReader::Outcome::kInterrupted) {
      // Without a terminal nobody is there to press it again.
      if (!interactive_) throw Error(ErrorCategory::kCancelled, "interrupted");
      write_note(hinted ? "\n" : "\nPress Ctrl-C again or type /quit to leave.\n");
      hinted = true;
      continue;
    }
    hinted = false;
    clear_stop_request();
    if (line.find_first_not_of(' ') == std::string::npos) continue;
    attempt([&] { line.starts_with('/') ? command(line) : turn(line); });
    clear_stop_request();
  }
  if (interactive_ && !quit_) write_note("\n");
}

int Repl::run() {
  open();
  if (interactive_) note("Type a message, /help for commands.");
  talk();
  if (!args_.save.empty()) save(args_.save);
  if (args_.json) {
    const runtime::Session& session = conversation_.session();
    const LoadedModel& loaded = conversation_.loaded();
    write_json({{"command", "chat"},
                {"version", TCA_VERSION},
                {"model", model_json(loaded)},
                {"attention", attention_json(session, profile_path(args_.attention, loaded))},
                {"document", document_},
                {"turns", turns_},
                {"saved", args_.save.empty() ? Json() : Json(args_.save)},
                {"kv", kv_json(session)},
                {"memory", memory_json(loaded)},
                {"threads", loaded.pool->num_threads()}});
  }
  return failed_ ? 1 : 0;
}

int run(const ChatArgs& args) {
  const LoadedModel loaded = load_model(args.model);
  return Repl(args, loaded).run();
}

}  // namespace

void add_chat_command(CLI::App& app, Job& job) {
  add_command<ChatArgs>(app, job, "chat", "Talk over a document, turn by turn", add_options, run)
      .footer(
          "Messages are lines of standard input; /help lists the commands.\n"
          "Examples:\n"
          "  tca chat -d book.txt --save book.chat\n"
          "  printf 'Who is the narrator?\\nWhere does he live?\\n' | tca chat --load book.chat");
}

}  // namespace tca::cli
