// What a chat form writes around a document, the questions after it and their answers: for prompts that are put
// together from token ids.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/chat/chat_template.h"

namespace tca::runtime {

class ChatFrames {
 public:
  using Ids = std::vector<std::int32_t>;

  /// Throws kUnsupported where the template does not write every message once and in order.
  explicit ChatFrames(const ChatTemplate& chat);

  const ChatTemplate& form() const { return chat_; }
  /// The document's turn before and after its text; after: nothing where the first question belongs to the same turn.
  const Ids& before_document() const { return before_document_; }
  const Ids& after_document() const { return after_document_; }
  /// The whole of it around a text, of which nothing becomes a control token.
  Ids document(std::string_view text) const { return around(document_opening_, text, document_end_); }
  /// The question that follows the document, up to the opened answer.
  Ids first_question(std::string_view text) const { return around(before_first_, text, after_question_); }
  /// One that follows an answer and its turn_end.
  Ids next_question(std::string_view text) const { return around(before_next_, text, after_question_); }
  /// What closes an answer whose end token was (or was not) generated.
  const Ids& turn_end(bool end_token_generated) const { return end_token_generated ? after_end_token_ : turn_end_; }

 private:
  // Text of the form, and what it goes on from.
  struct Opening {
    std::string text;
    TextStart start = TextStart::kContinues;
  };
  Ids around(const Opening& opening, std::string_view text, const std::string& end) const;

  ChatTemplate chat_;
  Ids before_document_, after_document_, turn_end_, after_end_token_;
  Opening document_opening_, before_first_, before_next_;
  std::string document_end_, after_question_;
};

}  // namespace tca::runtime
