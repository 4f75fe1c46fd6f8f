#include "cli/conversation.h"

#include <fmt/format.h>

#include <limits>

#include "cli/format.h"
#include "cli/progress.h"
#include "cli/report.h"
#include "cli/signals.h"
#include "core/json.h"

namespace tca::cli {

namespace {

constexpr char kSavedFormat[] = "tca-chat/1";

}  // namespace

Conversation::Conversation(const LoadedModel& loaded, const runtime::SessionOptions& options,
                           const std::string& chat_template)
    : loaded_(loaded),
      template_(runtime::ChatTemplate::load(loaded.dir, chat_template)),
      session_(loaded.model, *loaded.backend, *loaded.pool, options) {}

void Conversation::set_system(const std::string& text) { system_ = text; }

std::vector<std::int32_t> Conversation::next_ids(const std::string& message, bool answer) const {
  std::vector<std::int32_t> ids;
  if (state_.answer_open) ids = template_.encode_turn_end(loaded_.tokenizer, state_.answer_ended);
  std::vector<runtime::ChatMessage> messages;
  if (!state_.begun && !system_.empty()) messages.push_back({runtime::Role::kSystem, system_});
  messages.push_back({runtime::Role::kUser, message});
  const auto turn = template_.encode(loaded_.tokenizer, messages, !state_.begun, answer);
  ids.insert(ids.end(), turn.begin(), turn.end());
  return ids;
}

void Conversation::read(const std::vector<std::int32_t>& ids, const std::string& what) {
  logits_ = read_with_bar(session_, ids, fmt::format("reading {}, {} tokens", what, format_count(std::ssize(ids))));
  state_.begun = true;
}

void Conversation::read_document(std::string text) {
  if (!text.ends_with('\n')) text += '\n';
  read(next_ids(text, /*answer=*/false), "the document");
}

Conversation::Turn Conversation::say(const std::string& message, const SamplingArgs& sampling,
                                     const std::function<bool(const std::string&)>& on_text) {
  const std::vector<std::int32_t> ids = next_ids(message, /*answer=*/true);
  const Stopwatch watch;
  read(ids, "the message");
  state_.answer_open = true;
  state_.answer_ended = false;
  ++state_.turns;

  Turn turn;
  turn.prompt_tokens = std::ssize(ids);
  turn.first_token_seconds = watch.seconds();
  runtime::GenerateOptions options;
  options.max_tokens = sampling.max_tokens;
  options.sampling = sampling.sampling;
  options.stop_ids = template_.stop_ids(loaded_.tokenizer);
  options.on_text = on_text;
  turn.answer = runtime::generate(session_, loaded_.tokenizer, logits_, options);
  state_.answer_ended = turn.answer.stopped_by_id;
  turn.stop = turn.answer.stopped_by_id                            ? "stop_token"
              : std::ssize(turn.answer.ids) >= sampling.max_tokens ? "max_tokens"
                                                                   : "context";
  return turn;
}

void Conversation::save(const std::string& path) const {
  const nlohmann::json state = {{"format", kSavedFormat},
                                {"template", runtime::ChatTemplate::name(template_.family())},
                                {"begun", state_.begun},
                                {"answer_open", state_.answer_open},
                                {"answer_ended", state_.answer_ended},
                                {"turns", state_.turns}};
  const WritingGuard guard;
  session_.save(path, state.dump());
}

void Conversation::load(const std::string& path) {
  std::string text;
  runtime::Session session =
      runtime::Session::load(path, loaded_.model, *loaded_.backend, *loaded_.pool, session_.options(), &text);
  const nlohmann::json saved = parse_json(text, path + ": conversation");
  if (get_string(saved, "format", path) != kSavedFormat) {
    throw Error(ErrorCategory::kBadFile,
                fmt::format("{}: not a conversation of this version ({})", path, kSavedFormat));
  }
  const std::string family = get_string(saved, "template", path);
  if (family != runtime::ChatTemplate::name(template_.family())) {
    throw Error(ErrorCategory::kInvalidArgument,
                fmt::format("{} was written in the chat form {}, not {}: choose it with --chat-template", path, family,
                            runtime::ChatTemplate::name(template_.family())));
  }
  State state;
  state.begun = get_bool(saved, "begun", path);
  state.answer_open = get_bool(saved, "answer_open", path);
  state.answer_ended = get_bool(saved, "answer_ended", path);
  state.turns = static_cast<int>(get_int(saved, "turns", path, 0, std::numeric_limits<int>::max()));
  session_ = std::move(session);
  state_ = state;
  system_.clear();
  logits_ = {};
}

}  // namespace tca::cli
