// tca chat: several turns over one document; the conversation can be saved and gone on with.
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <unistd.h>

#include <memory>

#include "cli/commands.h"
#include "cli/conversation.h"
#include "cli/format.h"
#include "cli/input.h"
#include "cli/keep.h"
#include "cli/line_reader.h"
#include "cli/message_editor.h"
#include "cli/options.h"
#include "cli/output.h"
#include "cli/report.h"
#include "cli/signals.h"
#include "cli/target_file.h"
#include "cli/terminal.h"
#include "tca/version.h"

namespace tca::cli {
namespace {

struct ChatArgs {
  ModelArgs model;
  AttentionArgs attention;
  SamplingArgs sampling;
  std::vector<std::string> documents;
  std::string system;
  std::string load;
  std::string save;
  std::string history;
  ChatFormArgs form;
  bool force = false;
  bool json = false;
};

void add_options(CLI::App& app, ChatArgs& args) {
  auto* document =
      app.add_option("-d,--document", args.documents, "Text files and folders to talk about")->type_name("FILE...");
  auto* system = app.add_option("--system", args.system, "System message, before everything else")->type_name("TEXT");
  app.add_option("--load", args.load, "Go on with a saved conversation")
      ->type_name("FILE")
      ->excludes(document)
      ->excludes(system);
  app.add_option("--save", args.save, "Save the conversation at the end")->type_name("FILE");
  app.add_option("--history", args.history, "On a terminal, remember messages in this file (default: nowhere)")
      ->type_name("FILE");
  app.add_flag("--force", args.force, "Save over a file that is no saved conversation, too");
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
    "  Ctrl-C stops an answer. A message that begins with a slash is written after a space.\n"
    "  On a terminal Alt-Enter begins a new line in a message, a paste is one message, and the\n"
    "  arrow keys bring back earlier ones.\n";

std::unique_ptr<MessageReader> make_reader(const std::string& history) {
  constexpr std::string_view kPrompt = "> ";
  if (!is_terminal(STDIN_FILENO)) return std::make_unique<LineReader>();
  const std::string prompt = style_of(STDIN_FILENO).bold(kPrompt);
  return std::make_unique<MessageEditor>(prompt, kPrompt.size(), history);
}

class Repl {
 public:
  Repl(const ChatArgs& args, const LoadedModel& loaded)
      : args_(args),
        interactive_(is_terminal(STDIN_FILENO) && !args.json),
        style_(style_of(STDERR_FILENO)),
        reader_(make_reader(args.history)),
        conversation_(loaded, session_options(args.attention, loaded), args.form) {
    note_options(args.attention, conversation_.session().options(), loaded, /*hints=*/true);
  }

  int run();

 private:
  void open();
  void talk();
  void turn(const std::string& message);
  void command(const std::string& line);
  void save(const std::string& path);
  Json to_json(const Json& failure) const;
  void load(const std::string& path);
  void say(const std::string& text) const { write_note(style_.dim(text) + "\n"); }
  // Once tokens were dropped for the first time: by which share, when nobody asked for one.
  void say_default_keep();
  // Reports what one turn or command failed of; the conversation stays as it was.
  template <class Action>
  void attempt(const Action& action);

  const ChatArgs& args_;
  const bool interactive_;
  const Style style_;
  const std::unique_ptr<MessageReader> reader_;  // from the beginning: what is typed while the document is read waits
  Conversation conversation_;
  Json document_;
  Json turns_ = Json::array();
  bool saved_ = false;  // to the file of --save
  bool said_keep_ = false;
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
      say("[stopped; the conversation is as before]");
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
  check_text(args_.system, "--system");
  if (!args_.system.empty()) conversation_.set_system(args_.system);
  if (args_.documents.empty()) return;
  const TextInput input = read_texts(args_.documents, "document");
  conversation_.read_document(input.text);
  const runtime::Session& session = conversation_.session();
  document_ = {{"paths", args_.documents},
               {"files", input.files},
               {"left_out", input.hidden + input.binary},
               {"read", read_json(session.last_read())},
               {"kv", kv_json(session)}};
  say(fmt::format("[{}: {} read in {}; KV cache {}]", fmt::join(args_.documents, ", "),
                  counted(session.num_tokens(), "token"), format_seconds(session.last_read().seconds),
                  kv_text(session)));
  say_default_keep();
}

void Repl::say_default_keep() {
  const runtime::Session& session = conversation_.session();
  if (said_keep_ || args_.attention.keep || session.kept_share() == 1) return;
  said_keep_ = true;
  say(fmt::format("[--keep {}]", default_keep_text(session.options())));
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
    say(fmt::format("[{}{}; KV cache {}; {}]", stop_requested() ? "stopped; " : "",
                    counted(session.num_tokens(), "token"), kv_text(session, grown),
                    format_rate(turn.answer.tokens_per_second)));
    say_default_keep();
    return;
  }
  turns_.push_back({{"message", message},
                    {"text", turn.answer.text},
                    {"stop", stop_requested() ? "interrupted" : turn.stop},
                    {"prompt_tokens", turn.prompt_tokens},
                    {"rewound_tokens", turn.rewound_tokens},
                    {"generated_tokens", turn.answer.ids.size()},
                    {"first_token_seconds", turn.first_token_seconds},
                    {"decode_tokens_per_second", turn.answer.tokens_per_second},
                    {"kv", kv_json(session)}});
}

void Repl::save(const std::string& path) {
  conversation_.save(path);
  say(fmt::format("[saved to {}: {}, KV cache {}]", path, counted(conversation_.session().num_tokens(), "token"),
                  format_bytes(conversation_.session().kv_bytes())));
}

void Repl::load(const std::string& path) {
  conversation_.load(path);
  say(fmt::format("[{}: {}; KV cache {}]", path, counted(conversation_.session().num_tokens(), "token"),
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
    check_target(file, FileKind::kSession, "/save", args_.force);
    save(file);
  } else if (name == "/load") {
    load(file);
  } else if (name == "/stats") {
    const runtime::Session& session = conversation_.session();
    say(fmt::format("  tokens    {} in {}\n  KV cache  {}\n  memory    {}", format_count(session.num_tokens()),
                    counted(conversation_.num_turns(), "turn"), kv_text(session), memory_text(conversation_.loaded())));
  } else if (name == "/help") {
    write_note(kHelp);
  } else {
    throw Error(ErrorCategory::kInvalidArgument, fmt::format("{} is no command; /help lists them", name));
  }
}

void Repl::talk() {
  std::string line;
  bool hinted = false;
  while (!quit_) {
    const MessageReader::Outcome outcome = reader_->next(line);
    if (outcome == MessageReader::Outcome::kEnd) break;
    if (outcome == MessageReader::Outcome::kInterrupted) {
      // Without a terminal nobody is there to press it again.
      if (!interactive_) throw Error(ErrorCategory::kCancelled, "interrupted");
      write_note(hinted ? "\n" : "\nPress Ctrl-C again or type /quit to leave.\n");
      hinted = true;
      continue;
    }
    hinted = false;
    clear_stop_request();
    check_text(line, "a message");
    if (line.find_first_not_of(" \t\n") == std::string::npos) continue;
    // Several lines are a message, whatever they begin with: a pasted file may begin with a slash.
    const bool is_command = line.starts_with('/') && line.find('\n') == std::string::npos;
    attempt([&] { is_command ? command(line) : turn(line); });
    clear_stop_request();
  }
  if (interactive_ && !quit_) write_note("\n");
}

Json Repl::to_json(const Json& failure) const {
  const runtime::Session& session = conversation_.session();
  const LoadedModel& loaded = conversation_.loaded();
  return {{"command", "chat"},
          {"version", TCA_VERSION},
          {"model", model_json(loaded)},
          {"attention", attention_json(session, profile_path(args_.attention, loaded))},
          {"document", document_},
          {"turns", turns_},
          {"saved", saved_ ? Json(args_.save) : Json()},
          {"kv", kv_json(session)},
          {"memory", memory_json(loaded)},
          {"threads", loaded.pool->num_threads()},
          {"error", failure}};
}

int Repl::run() {
  open();
  if (interactive_) say("Type a message, /help for commands.");
  Json failure;
  int code = 0;
  try {
    talk();
    if (!args_.save.empty()) save(args_.save);
    saved_ = !args_.save.empty();
  } catch (const std::exception&) {
    if (!args_.json) throw;
    // What was answered until then is not lost with the end.
    const Failure what = current_failure();
    report_error(what.category, what.message, /*json=*/false);
    failure = {{"category", what.category}, {"message", what.message}};
    code = what.exit_code;
  }
  if (args_.json) write_json(to_json(failure));
  return code == 0 && failed_ ? 1 : code;
}

int run(const ChatArgs& args) {
  if (!args.save.empty()) check_target(args.save, FileKind::kSession, "--save", args.force);
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
