// Chat forms: the common families are recognised from the model's template text; no template language is interpreted.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/tokenizer/tokenizer.h"

namespace tca::runtime {

enum class ChatFamily { kChatML, kLlama2, kLlama3, kMistral };

enum class Role { kSystem, kUser, kAssistant };
struct ChatMessage {
  Role role;
  std::string content;
};

class ChatTemplate {
 public:
  /// From dir/tokenizer_config.json or chat_template.jinja. override_name ("chatml", "llama2", "llama3", "mistral", ""
  /// = recognise) wins. Throws kUnsupported naming --chat-template and its values when the family is not recognised.
  static ChatTemplate load(const std::string& dir, const std::string& override_name = "");
  explicit ChatTemplate(ChatFamily family) : family_(family) {}
  ChatFamily family() const { return family_; }
  static std::string_view name(ChatFamily family);

  /// Ids of further messages of a conversation. begins: nothing was sent before (BOS and the like go first).
  /// add_generation_prompt: opens the assistant's turn. Content is encoded as plain text: special tokens written in it
  /// stay text.
  std::vector<std::int32_t> encode(const Tokenizer& tokenizer, const std::vector<ChatMessage>& messages, bool begins,
                                   bool add_generation_prompt) const;
  /// What closes the assistant's turn after its end token was (or was not) generated.
  std::vector<std::int32_t> encode_turn_end(const Tokenizer& tokenizer, bool end_token_generated) const;
  /// Ids that end the assistant's turn in this form.
  std::vector<std::int32_t> stop_ids(const Tokenizer& tokenizer) const;

 private:
  ChatFamily family_;
};

}  // namespace tca::runtime
