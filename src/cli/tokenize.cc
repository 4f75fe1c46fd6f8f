// tca tokenize: what a model sees of a text or of messages: the rendered form, its tokens, and what ends an answer.
#include <fmt/format.h>
#include <unistd.h>

#include <filesystem>

#include "cli/commands.h"
#include "cli/format.h"
#include "cli/locate.h"
#include "cli/options.h"
#include "cli/output.h"
#include "cli/terminal.h"
#include "core/file.h"
#include "core/json.h"
#include "runtime/chat/chat_template.h"
#include "runtime/io/model_config.h"
#include "tca/version.h"

namespace tca::cli {
namespace {

constexpr std::size_t kMaxFileBytes = std::size_t{256} << 20;

struct TokenizeArgs {
  std::string model = kDefaultModel;
  std::optional<std::string> text;
  std::string messages;
  std::string tools;
  bool no_generation_prompt = false;
  ChatFormArgs form;
  bool json = false;
};

void add_options(CLI::App& app, TokenizeArgs& args) {
  app.add_option("-m,--model", args.model, "Directory, GGUF file or name of a model")
      ->type_name("DIR")
      ->capture_default_str();
  auto* text =
      app.add_option("--text", args.text, "A text, as `tca run` without a question reads it")->type_name("TEXT");
  auto* messages = app.add_option("--messages", args.messages, "JSON list of messages with role and content")
                       ->type_name("FILE")
                       ->excludes(text);
  app.add_option("--tools", args.tools, "JSON list of tools that the template gets")
      ->type_name("FILE")
      ->needs(messages);
  app.add_flag("--no-generation-prompt", args.no_generation_prompt, "Do not open the assistant's answer")
      ->needs(messages);
  add_chat_form_options(app, args.form);
  app.add_flag("--json", args.json, "One JSON object on standard output (docs/cli.md)")->group("Output");
}

struct Tokenized {
  std::string text;
  std::string chat_template;  // empty: of a text
  std::vector<std::int32_t> ids;
  std::vector<std::int32_t> stop_ids;
};

// Fields keep the order of the file, in which templates show them.
Json read_json_file(const std::string& path) {
  const std::string text = read_file(path, kMaxFileBytes);
  parse_json(text, path);  // refuses what must be refused, by name
  return Json::parse(text);
}

Tokenized tokenize(const TokenizeArgs& args, const std::string& dir, const runtime::Tokenizer& tokenizer) {
  const runtime::ModelConfig config = runtime::ModelConfig::load(dir);
  if (args.text) return {*args.text, "", tokenizer.encode(*args.text, true), stop_ids(config, nullptr)};
  const auto chat = runtime::ChatTemplate::load(dir, tokenizer, args.form.file);
  runtime::ChatInput input;
  input.messages = runtime::messages_from_json(read_json_file(args.messages), args.messages);
  if (!args.tools.empty()) input.tools = runtime::objects_from_json(read_json_file(args.tools), "tools", args.tools);
  input.add_generation_prompt = !args.no_generation_prompt;
  input.enable_thinking = args.form.thinking;
  const runtime::ChatPrompt prompt = chat.encode(input);
  return {prompt.text.bytes(), chat.name(), prompt.ids, stop_ids(config, &chat)};
}

std::string piece(const runtime::Tokenizer& tokenizer, std::int32_t id) {
  return tokenizer.decode({&id, 1}, /*skip_special_tokens=*/false);
}

Json to_json(const std::string& dir, const runtime::Tokenizer& tokenizer, const Tokenized& result) {
  Json pieces = Json::array();
  for (const std::int32_t id : result.ids) pieces.push_back(piece(tokenizer, id));
  return {{"command", "tokenize"},
          {"version", TCA_VERSION},
          {"model", dir},
          {"chat_template", result.chat_template.empty() ? Json() : Json(result.chat_template)},
          {"text", result.text},
          {"ids", result.ids},
          {"pieces", std::move(pieces)},
          {"stop_ids", result.stop_ids}};
}

// In quotes, with escapes for what a terminal would not show.
std::string quoted(const std::string& text) {
  return without_controls(Json(text).dump(-1, ' ', false, Json::error_handler_t::replace));
}

std::string to_text(const runtime::Tokenizer& tokenizer, const Tokenized& result, const Style& style) {
  const bool terminal = is_terminal(STDOUT_FILENO);
  std::string out = terminal ? without_controls(result.text) : result.text;
  if (!out.ends_with('\n')) out += '\n';
  out += '\n' + style.bold(counted(std::ssize(result.ids), "token")) + '\n';
  for (std::size_t i = 0; i < result.ids.size(); ++i) {
    out += fmt::format("{:>7} {:>7}  {}\n", i, result.ids[i], quoted(piece(tokenizer, result.ids[i])));
  }
  out += '\n' + style.bold("an answer ends with") + '\n';
  for (const std::int32_t id : result.stop_ids) {
    out += fmt::format("{:>15}  {}\n", id, quoted(piece(tokenizer, id)));
  }
  if (result.stop_ids.empty()) out += "  no token: neither the configuration nor the chat form names one\n";
  return out;
}

int run(const TokenizeArgs& args) {
  if (!args.text && args.messages.empty()) {
    throw UsageError("nothing to tokenize: give --text or --messages (see tca tokenize --help)");
  }
  const std::string dir = locate_model(args.model);
  const runtime::Tokenizer tokenizer = runtime::Tokenizer::load(dir);
  const Tokenized result = tokenize(args, dir, tokenizer);
  if (args.json) {
    write_json(to_json(dir, tokenizer, result));
  } else {
    write_output(to_text(tokenizer, result, Style(may_colour(STDOUT_FILENO))));
  }
  return 0;
}

}  // namespace

void add_tokenize_command(CLI::App& app, Job& job) {
  add_command<TokenizeArgs>(app, job, "tokenize", "What a model sees of a text or of messages", add_options, run)
      .footer(
          "Examples:\n"
          "  tca tokenize --text 'Once upon a time'\n"
          "  echo '[{\"role\": \"user\", \"content\": \"Hello\"}]' | tca tokenize --messages /dev/stdin");
}

}  // namespace tca::cli
