// The form of a model's chats: its Jinja template rendered, and the text encoded so that what came with the messages
// never becomes a control token.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <unordered_set>
#include <vector>

#include "runtime/chat/messages.h"
#include "runtime/chat/template_files.h"
#include "runtime/tokenizer/tokenizer.h"

namespace tca::runtime {

struct ChatInput {
  jinja::Value messages;  // chat_messages(), messages_from_json()
  jinja::Value tools = jinja::Value::none();
  bool add_generation_prompt = true;
  std::optional<bool> enable_thinking = {};                       // nothing: the template does not get it
  std::optional<std::chrono::system_clock::time_point> now = {};  // what templates write as today; nothing: now
};

struct ChatPrompt {
  jinja::Text text;
  std::vector<std::int32_t> ids;
};

/// Immutable and cheap to copy. The tokenizer must outlive it.
class ChatTemplate {
 public:
  /// The model's own, or the one in file (TemplateFiles::load). Throws kUnsupported for what the interpreter lacks, and
  /// for a form whose marker tokens the tokenizer lacks.
  static ChatTemplate load(const std::string& dir, const Tokenizer& tokenizer, const std::string& file = "");
  ChatTemplate(TemplateFiles files, const Tokenizer& tokenizer);

  /// Throws kInvalidArgument with the template's name and line for what the template refuses.
  ChatPrompt encode(const ChatInput& input) const;
  /// Tokens that end the assistant's turn in this form.
  const std::vector<std::int32_t>& stop_ids() const;
  /// The template refuses or loses a user message that follows another.
  bool needs_alternation() const;
  /// Added tokens that stay text inside messages, beside the special ones: the end token, what the template names, and
  /// whatever is written as <|...|>.
  const std::unordered_set<std::int32_t>& controls() const;

  const Tokenizer& tokenizer() const;
  /// The file of the template that chats without tools get.
  const std::string& name() const;
  /// Hash of all that decides about the text besides the input.
  const std::string& sha256() const;

 private:
  struct Impl;
  std::shared_ptr<const Impl> impl_;
};

/// From several user messages that are one turn (a document, a question), as many messages as the template takes.
std::vector<ChatMessage> user_turn(const ChatTemplate& chat, const std::vector<jinja::Text>& texts);

}  // namespace tca::runtime
