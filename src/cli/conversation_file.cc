// Saved conversations: the session's file with the messages beside it (tca-chat/2).
#include <fmt/format.h>

#include <limits>

#include "cli/conversation.h"
#include "cli/progress.h"
#include "cli/signals.h"
#include "core/json.h"
#include "tca/error.h"

namespace tca::cli {

using nlohmann::json;
using runtime::Session;
using runtime::jinja::Origin;
using runtime::jinja::Text;

namespace {

constexpr char kFormat[] = "tca-chat/2";
constexpr char kFirstFormat[] = "tca-chat/1";

// {"text": ..., "form": [[begin, end], ...]}: which bytes are tokens of the form that the model generated.
json text_json(const Text& text) {
  json form = json::array();
  std::size_t done = 0;
  for (const auto& span : text.foreign()) {
    if (done < span.begin) form.push_back({done, span.begin});
    done = span.end;
  }
  if (done < text.size()) form.push_back({done, text.size()});
  return {{"text", text.bytes()}, {"form", std::move(form)}};
}

Text text_from(const json& object, const std::string& where) {
  const std::string bytes = get_string(object, "text", where);
  const auto is_boundary = [&](std::size_t at) {
    return at == bytes.size() || (static_cast<unsigned char>(bytes[at]) & 0xC0) != 0x80;
  };
  Text text;
  std::size_t done = 0;
  for (const json& span : get_array(object, "form", where)) {
    const bool is_pair = span.is_array() && span.size() == 2 && span[0].is_number_unsigned() &&
                         span[1].is_number_unsigned() && span[0].get<std::uint64_t>() < span[1].get<std::uint64_t>();
    if (!is_pair || span[0].get<std::uint64_t>() < done || span[1].get<std::uint64_t>() > bytes.size() ||
        !is_boundary(span[0].get<std::size_t>()) || !is_boundary(span[1].get<std::size_t>())) {
      fail_field(where, "form[...]", span, "begin and end of a part of the text, in order");
    }
    const auto begin = span[0].get<std::size_t>(), end = span[1].get<std::size_t>();
    text.append(std::string_view(bytes).substr(done, begin - done), Origin::kForeign);
    text.append(std::string_view(bytes).substr(begin, end - begin), Origin::kTrusted);
    done = end;
  }
  text.append(std::string_view(bytes).substr(done), Origin::kForeign);
  return text;
}

}  // namespace

// Where the next turn finds what this one left, nothing is read again.
Session Conversation::settled() const {
  if (state_.messages.empty() || state_.document) return session_.fork();
  const Ids ids = common_prefix(state_, {"a", "1", ".", "\n"});
  const auto& held = session_.tokens();
  const bool stays = held.size() <= ids.size() && std::equal(held.begin(), held.end(), ids.begin());
  if (stays) return session_.fork();
  Past past = past_of(ids);
  read_with_bar(past.session, std::span(ids).subspan(static_cast<std::size_t>(past.tokens)),
                "reading what the chat form changed");
  return std::move(past.session);
}

std::string Conversation::state_json() const {
  json messages = json::array();
  for (const runtime::ChatMessage& message : state_.messages) {
    messages.push_back({{"role", message.role}, {"content", text_json(message.content)}});
  }
  const auto begin = std::chrono::duration_cast<std::chrono::seconds>(state_.begin.time_since_epoch());
  return json({{"format", kFormat},
               {"template_sha256", template_.sha256()},
               {"messages", std::move(messages)},
               {"document", state_.document ? text_json(*state_.document) : json()},
               {"begin", begin.count()},
               {"turns", state_.turns}})
      .dump();
}

void Conversation::save(const std::string& path) const {
  std::optional<Session> session;
  try {
    session = settled();
  } catch (const Error& error) {
    if (error.category() != ErrorCategory::kOutOfBudget) throw;
    session = session_.fork();  // the next turn reads more then
  }
  const WritingGuard guard;
  session->save(path, state_json());
}

Conversation::State Conversation::state_from_json(const std::string& text, const std::string& path) const {
  const JsonDocument document(parse_json(text, path + ": conversation"));
  const json& saved = *document;
  const std::string format = get_string(saved, "format", path);
  if (format != kFormat) {
    const char* what =
        format == kFirstFormat ? "an older version, which did not keep the messages: begin it anew" : "another version";
    throw Error(ErrorCategory::kBadFile,
                fmt::format("{}: a conversation of format {} ({}); this is {}", path, format, what, kFormat));
  }
  if (get_string(saved, "template_sha256", path) != template_.sha256()) {
    throw Error(ErrorCategory::kInvalidArgument,
                fmt::format("{} was written with another chat template than {}: give that one with --chat-template",
                            path, template_.name()));
  }
  State state;
  for (const json& message : get_array(saved, "messages", path)) {
    if (!message.is_object()) fail_field(path, "messages[...]", message, "an object");
    state.messages.push_back(
        {get_string(message, "role", path), text_from(get_object(message, "content", path), path + ": content.")});
  }
  if (saved.contains("document") && !saved["document"].is_null()) {
    state.document = text_from(get_object(saved, "document", path), path + ": document.");
  }
  constexpr std::int64_t kLatest = 253402300799;  // the last second that strftime has four digits for
  state.begin = std::chrono::system_clock::time_point(std::chrono::seconds(get_int(saved, "begin", path, 0, kLatest)));
  state.turns = static_cast<int>(get_int(saved, "turns", path, 0, std::numeric_limits<int>::max()));
  return state;
}

void Conversation::load(const std::string& path) {
  std::string text;
  Session session = Session::load(path, loaded_.model, *loaded_.backend, *loaded_.pool, session_.options(), &text);
  State state = state_from_json(text, path);
  session_ = std::move(session);
  after_document_.reset();
  before_answer_.reset();
  state_ = std::move(state);
}

}  // namespace tca::cli
