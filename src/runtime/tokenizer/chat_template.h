// Chat forms: the common families are recognised from the model's template text; no template language is interpreted.
#pragma once

#include <cstdint>
#include <optional>
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

/// What templates of one family do differently.
struct ChatDetails {
  std::optional<std::string> bos;  // written first ("": nothing); nothing known: what the tokenizer puts before texts
  std::string eos = "</s>";        // Llama-2, Mistral

  // ChatML
  std::string default_system;  // for conversations that begin without a system message
  bool trims_content = false;
  bool has_reasoning = false;     // Qwen3: answers lose what they thought, except after the last question
  std::string assistant_opening;  // after "assistant\n", e.g. "<think>\n"

  // Llama-3.1 and later: what the system turn, then always there, begins with
  std::string system_preamble;

  // Mistral: spacing differs from release to release
  std::string user_opening = "[INST] ", user_closing = " [/INST]", answer_opening, after_eos;
  bool trims_answer = false;
  bool system_goes_last = false;  // into the last message rather than the first
};

class ChatTemplate {
 public:
  /// From dir/chat_template.jinja or tokenizer_config.json. override_name ("chatml", "llama2", "llama3", "mistral", ""
  /// = recognise) wins. Throws kUnsupported naming --chat-template and its values when the family is not recognised.
  static ChatTemplate load(const std::string& dir, const std::string& override_name = "");
  explicit ChatTemplate(ChatFamily family, ChatDetails details = {}) : family_(family), details_(std::move(details)) {}
  ChatFamily family() const { return family_; }
  static std::string_view name(ChatFamily family);

  /// Ids of further messages of a conversation. begins: nothing was sent before (BOS and the like go first).
  /// add_generation_prompt: opens the assistant's turn. Content is encoded as plain text: special tokens written in it
  /// stay text. What a template writes after the assistant's end token (a space, in one release of Mistral) comes with
  /// the message that follows. Throws kInvalidArgument for a Llama-2 or Mistral system message without a user message
  /// after it: these forms write it into that one.
  std::vector<std::int32_t> encode(const Tokenizer& tokenizer, const std::vector<ChatMessage>& messages, bool begins,
                                   bool add_generation_prompt) const;
  /// What closes the assistant's turn after its end token was (or was not) generated.
  std::vector<std::int32_t> encode_turn_end(const Tokenizer& tokenizer, bool end_token_generated) const;
  /// Ids that end the assistant's turn in this form.
  std::vector<std::int32_t> stop_ids(const Tokenizer& tokenizer) const;

 private:
  ChatFamily family_;
  ChatDetails details_;
};

}  // namespace tca::runtime
