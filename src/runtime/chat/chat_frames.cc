#include "runtime/chat/chat_frames.h"

#include "core/check.h"
#include "runtime/chat/markers.h"

namespace tca::runtime {
namespace {

// One distinct text for each message.
constexpr std::string_view kDocument = "document", kQuestion = "question", kAnswer = "answer", kNext = "next";

std::vector<std::string> text_between(const ChatTemplate& chat, const std::vector<ChatMessage>& messages,
                                      const std::vector<std::string_view>& contents) {
  const jinja::Text text = chat.encode({.messages = chat_messages(messages)}).text;
  std::vector<std::string> between;
  std::size_t done = 0;
  bool in_order = text.foreign().size() == contents.size();
  for (std::size_t i = 0; in_order && i < contents.size(); ++i) {
    const jinja::Span span = text.foreign()[i];
    between.push_back(text.bytes().substr(done, span.begin - done));
    in_order = std::string_view(text.bytes()).substr(span.begin, span.end - span.begin) == contents[i];
    done = span.end;
  }
  if (!in_order) {
    fail(ErrorCategory::kUnsupported,
         tca::text(chat.name(),
                   ": the chat template does not write every message once and in order, so no prompt of "
                   "documents and questions can be put together"));
  }
  between.push_back(text.bytes().substr(done));
  return between;
}

// What the form writes between two messages, in two: up to the first marker and what follows it before the next, and
// the rest. Where no marker is, all of it is the rest.
struct Division {
  std::string end, opening;
  bool end_is_marker = false;  // nothing follows the marker
  std::size_t after_marker = 0;
};

Division divide(const Tokenizer& tokenizer, const std::string& text) {
  const std::vector<FoundToken> markers = find_markers(tokenizer, text);
  if (markers.empty()) return {"", text};
  const std::size_t marker_end = markers[0].range.end;
  const std::size_t cut = markers.size() > 1 ? markers[1].range.begin : marker_end;
  return {text.substr(0, cut), text.substr(cut), cut == marker_end, marker_end};
}

}  // namespace

ChatFrames::ChatFrames(const ChatTemplate& chat) : chat_(chat) {
  std::vector<ChatMessage> messages = user_turn(chat, {foreign_text(kDocument), foreign_text(kQuestion)});
  const std::vector<std::string> asked = text_between(chat, messages, {kDocument, kQuestion});
  messages.push_back({"assistant", foreign_text(kAnswer)});
  messages.push_back({"user", foreign_text(kNext)});
  const auto all = text_between(chat, messages, {kDocument, kQuestion, kAnswer, kNext});
  const Tokenizer& tokenizer = chat.tokenizer();

  const auto encode = [&](const std::string& text, TextStart start) {
    return tokenizer.encode_mixed({.bytes = text}, start);
  };
  before_document_ = encode(all[0], TextStart::kText);
  document_opening_ = {all[0], TextStart::kText};
  const Division document = divide(tokenizer, all[1]);
  document_end_ = document.end;
  after_document_ = encode(document.end, TextStart::kContinues);
  before_first_ = {document.opening, document.end_is_marker ? TextStart::kAfterToken : TextStart::kContinues};
  const Division answer = divide(tokenizer, all[3]);
  turn_end_ = encode(answer.end, TextStart::kContinues);
  after_end_token_ = encode(answer.end.substr(answer.after_marker), TextStart::kAfterToken);
  before_next_ = {answer.opening, answer.end_is_marker ? TextStart::kAfterToken : TextStart::kContinues};
  after_question_ = asked[2];
}

ChatFrames::Ids ChatFrames::around(const Opening& opening, std::string_view text, const std::string& end) const {
  jinja::Text written(opening.text);
  written.append(foreign_text(text));
  written.append(end, jinja::Origin::kTrusted);
  MixedText mixed = {.bytes = written.bytes(), .controls = &chat_.controls()};
  for (const jinja::Span& span : written.foreign()) mixed.outside.push_back({span.begin, span.end});
  return chat_.tokenizer().encode_mixed(mixed, opening.start);
}

}  // namespace tca::runtime
