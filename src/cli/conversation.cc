#include "cli/conversation.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <utility>

#include "cli/format.h"
#include "cli/progress.h"
#include "cli/report.h"
#include "cli/signals.h"
#include "core/json.h"

namespace tca::cli {

using runtime::ChatMessage;
using runtime::foreign_text;
using runtime::Session;
using runtime::jinja::Origin;
using runtime::jinja::Text;

namespace {

// The opening of an answer, which the form may write differently once the answer is there. Longer than this, what
// changes is no opening, and no fork before it would help.
constexpr std::int64_t kMostOpeningTokens = 64;

std::int64_t common(const std::vector<std::int32_t>& a, const std::vector<std::int32_t>& b) {
  return std::mismatch(a.begin(), a.end(), b.begin(), b.end()).first - a.begin();
}

std::span<const float> read(Session& session, std::span<const std::int32_t> ids, const std::string& what) {
  return read_with_bar(session, ids, fmt::format("reading {}, {}", what, counted(std::ssize(ids), "token")));
}

// The text of an answer. Tokens of the form that the model generated (<think>) are the form's own: when the answer is
// read again, they are tokens again.
Text answer_text(const runtime::Tokenizer& tokenizer, const runtime::ChatTemplate& chat,
                 const runtime::GenerateResult& answer) {
  Text text;
  runtime::StreamDecoder decoder(tokenizer);
  for (const std::int32_t id : answer.ids) {
    const std::string written = decoder.push(id);
    const std::string token = chat.controls().count(id) > 0 ? tokenizer.decode({&id, 1}) : "";
    const bool is_token = !token.empty() && written.ends_with(token);
    const std::string_view before = std::string_view(written).substr(0, written.size() - (is_token ? token.size() : 0));
    text.append(before, Origin::kForeign);
    if (is_token) text.append(token, Origin::kTrusted);
  }
  text.append(decoder.finish(), Origin::kForeign);
  return text;
}

}  // namespace

Conversation::Conversation(const LoadedModel& loaded, const runtime::SessionOptions& options, const ChatFormArgs& form)
    : loaded_(loaded),
      form_(form),
      template_(runtime::ChatTemplate::load(loaded.dir, loaded.tokenizer, form.file)),
      session_(loaded.model, *loaded.backend, *loaded.pool, options) {}

void Conversation::set_system(const std::string& text) {
  state_.messages.insert(state_.messages.begin(), {"system", foreign_text(text)});
}

Conversation::Ids Conversation::encode(const Messages& messages, bool add_generation_prompt) const {
  return template_
      .encode({.messages = runtime::chat_messages(messages),
               .add_generation_prompt = add_generation_prompt,
               .enable_thinking = form_.thinking,
               .now = state_.begin})
      .ids;
}

// The messages so far and one more of the user's.
Conversation::Messages Conversation::with_user(const State& state, const Text& text) const {
  Messages messages = state.messages;
  std::vector<Text> texts;
  if (state.document) texts.push_back(*state.document);
  texts.push_back(text);
  const Messages turn = runtime::user_turn(template_, texts);
  messages.insert(messages.end(), turn.begin(), turn.end());
  return messages;
}

// What every prompt of the next turn begins with, as far as these messages tell.
Conversation::Ids Conversation::common_prefix(const State& state,
                                              std::initializer_list<std::string_view> next_messages) const {
  std::optional<Ids> prefix;
  for (const std::string_view next : next_messages) {
    Ids ids = encode(with_user(state, foreign_text(next)), /*add_generation_prompt=*/true);
    if (prefix) {
      prefix->resize(static_cast<std::size_t>(common(*prefix, ids)));
    } else {
      prefix = std::move(ids);
    }
  }
  return *prefix;
}

// How much of a prompt stays when its answer and a further question are there.
std::int64_t Conversation::stable_tokens(Messages messages, const Ids& ids) const {
  messages.push_back({"assistant", foreign_text("a")});
  messages.push_back({"user", foreign_text("a")});
  return common(ids, encode(messages, /*add_generation_prompt=*/true));
}

Conversation::Past Conversation::past_of(const Ids& ids) const {
  const Session* longest = nullptr;
  for (const Session* past :
       {&session_, before_answer_ ? &*before_answer_ : nullptr, after_document_ ? &*after_document_ : nullptr}) {
    if (past == nullptr || past->num_tokens() == 0 || past->num_tokens() >= std::ssize(ids)) continue;
    if (common(past->tokens(), ids) < past->num_tokens()) continue;
    if (longest == nullptr || past->num_tokens() > longest->num_tokens()) longest = past;
  }
  if (longest != nullptr) return {longest->fork(), longest->num_tokens()};
  runtime::SessionOptions options = session_.options();
  options.kv_pool = session_.cache().pool();  // one budget for both
  return {Session(loaded_.model, *loaded_.backend, *loaded_.pool, std::move(options)), 0};
}

void Conversation::read_document(std::string text) {
  if (!text.ends_with('\n')) text += '\n';
  State next = state_;
  next.document = foreign_text(text);
  Ids ids = common_prefix(next, {"a", "1", ".", "\n"});
  if (!template_.needs_alternation()) {
    next.messages.push_back({"user", *std::exchange(next.document, std::nullopt)});
    const Ids turn = encode(next.messages, /*add_generation_prompt=*/false);
    if (common(turn, ids) == std::ssize(turn)) ids = turn;
  }
  Past past = past_of(ids);
  read(past.session, std::span(ids).subspan(static_cast<std::size_t>(past.tokens)), "the document");
  after_document_ = past.session.fork();
  session_ = std::move(past.session);
  before_answer_.reset();
  state_ = std::move(next);
}

// A session that has read a prompt.
struct Conversation::OpenAnswer {
  Past past;
  std::optional<Session> before_answer;
  std::span<const float> logits;
};

Conversation::OpenAnswer Conversation::open_answer(const Messages& messages, const Ids& ids) const {
  OpenAnswer open{.past = past_of(ids), .before_answer = {}, .logits = {}};
  Session& session = open.past.session;
  const std::span<const std::int32_t> unread = std::span(ids).subspan(static_cast<std::size_t>(open.past.tokens));
  const std::int64_t stable = stable_tokens(messages, ids);
  if (stable <= open.past.tokens || std::ssize(ids) - stable > kMostOpeningTokens) {
    open.logits = read(session, unread, "the message");
    return open;
  }
  const auto first = static_cast<std::size_t>(stable - open.past.tokens);
  open.logits = read(session, unread.first(first), "the message");
  open.before_answer = session.fork();
  if (first < unread.size()) open.logits = read(session, unread.subspan(first), "the answer's opening");
  return open;
}

Conversation::Turn Conversation::say(const std::string& message, const SamplingArgs& sampling,
                                     const std::function<bool(const std::string&)>& on_text) {
  State next = state_;
  next.messages = with_user(state_, foreign_text(message));
  next.document.reset();
  const Ids ids = encode(next.messages, /*add_generation_prompt=*/true);
  const Stopwatch watch;
  OpenAnswer open = open_answer(next.messages, ids);

  Turn turn;
  turn.prompt_tokens = std::ssize(ids) - open.past.tokens;
  turn.rewound_tokens = session_.num_tokens() - open.past.tokens;
  turn.first_token_seconds = watch.seconds();
  runtime::GenerateOptions options;
  options.max_tokens = sampling.max_tokens;
  options.sampling = sampling.sampling;
  options.stop_ids = stop_ids(loaded_.model->config(), &template_);
  options.on_text = on_text;
  turn.answer = runtime::generate(open.past.session, loaded_.tokenizer, open.logits, options);
  turn.stop = turn.answer.stopped_by_id                            ? "stop_token"
              : std::ssize(turn.answer.ids) >= sampling.max_tokens ? "max_tokens"
                                                                   : "context";
  next.messages.push_back({"assistant", answer_text(loaded_.tokenizer, template_, turn.answer)});
  ++next.turns;
  session_ = std::move(open.past.session);
  before_answer_ = std::move(open.before_answer);
  state_ = std::move(next);
  return turn;
}

}  // namespace tca::cli
