#include "runtime/tokenizer/chat_template.h"

#include <algorithm>
#include <utility>

#include "core/check.h"
#include "runtime/tokenizer/unicode.h"

namespace tca::runtime {
namespace {

// What str.strip of Python removes, which templates call.
bool is_stripped(char32_t c) { return is_white_space(c) || (c >= 0x1C && c <= 0x1F); }

std::string strip(const std::string& bytes) {
  std::string storage;
  const std::string text(repair_utf8(bytes, storage));
  std::size_t begin = 0;
  for (std::size_t next = 0; next < text.size() && is_stripped(next_code_point(text, next));) begin = next;
  std::size_t end = text.size();
  while (end > begin) {
    const std::size_t start = previous_start(text, end);
    std::size_t position = start;
    if (!is_stripped(next_code_point(text, position))) break;
    end = start;
  }
  return text.substr(begin, end - begin);
}

std::string strip_newlines_left(std::string text) {
  text.erase(0, std::min(text.find_first_not_of('\n'), text.size()));
  return text;
}

std::string_view role_name(Role role) {
  return role == Role::kSystem ? "system" : role == Role::kUser ? "user" : "assistant";
}

// Gathers text until a token ends it, so that text is encoded in the stretches that a whole conversation has.
class Writer {
 public:
  Writer(const Tokenizer& tokenizer, TextStart start) : tokenizer_(tokenizer), start_(start) {}

  void text(std::string_view part) { run_ += part; }
  void id(std::int32_t id) {
    flush();
    ids_.push_back(id);
    start_ = TextStart::kAfterToken;
  }
  // A token where the vocabulary has it as one, else text: "[INST]" is either, by the model.
  void marker(std::string_view name) {
    const auto token = tokenizer_.token_id(name);
    if (token && tokenizer_.is_added(*token)) {
      id(*token);
    } else {
      run_ += name;
    }
  }
  void text_around(std::string_view part, std::string_view name) {
    const std::size_t at = part.find(name);
    text(part.substr(0, at));
    if (at == std::string_view::npos) return;
    marker(name);
    text(part.substr(at + name.size()));
  }
  void begin(const ChatDetails& details) {
    if (details.bos) {
      if (!details.bos->empty()) marker(*details.bos);
    } else {
      for (const std::int32_t leading : tokenizer_.leading_ids()) id(leading);
    }
  }
  std::vector<std::int32_t> take() {
    flush();
    return std::move(ids_);
  }

 private:
  void flush() {
    if (run_.empty()) return;
    const auto ids = tokenizer_.encode_plain(run_, start_);
    ids_.insert(ids_.end(), ids.begin(), ids.end());
    run_.clear();
    start_ = TextStart::kContinues;
  }

  const Tokenizer& tokenizer_;
  TextStart start_;
  std::string run_;
  std::vector<std::int32_t> ids_;
};

void write_chatml_turn(Writer& out, std::string_view role, std::string_view content) {
  out.marker("<|im_start|>");
  out.text(role);
  out.text("\n");
  out.text(content);
  out.marker("<|im_end|>");
  out.text("\n");
}

// An answer as Qwen3's template shows it again: what comes after "</think>", and after the last question also what was
// thought.
std::string without_reasoning(const std::string& content, bool after_last_question, bool is_last) {
  constexpr std::string_view kOpen = "<think>";
  constexpr std::string_view kClose = "</think>";
  const std::size_t close = content.rfind(kClose);
  std::string answer = content;
  std::string reasoning;
  if (close != std::string::npos) {
    answer = strip_newlines_left(content.substr(close + kClose.size()));
    reasoning = content.substr(0, content.find(kClose));
    reasoning.erase(reasoning.find_last_not_of('\n') + 1);
    const std::size_t open = reasoning.rfind(kOpen);
    if (open != std::string::npos) reasoning.erase(0, open + kOpen.size());
    reasoning = strip_newlines_left(reasoning);
  }
  if (!after_last_question || !(is_last || !reasoning.empty())) return answer;
  reasoning.erase(reasoning.find_last_not_of('\n') + 1);
  return text("<think>\n", reasoning, "\n</think>\n\n", strip_newlines_left(answer));
}

void write_chatml(Writer& out, const ChatDetails& details, const std::vector<ChatMessage>& messages, bool begins,
                  bool add_generation_prompt) {
  if (begins) {
    out.begin(details);
    const bool has_system = !messages.empty() && messages.front().role == Role::kSystem;
    if (!has_system && !details.default_system.empty()) write_chatml_turn(out, "system", details.default_system);
  }
  std::size_t last_question = messages.size();
  for (std::size_t i = 0; i < messages.size(); ++i) {
    if (messages[i].role == Role::kUser) last_question = i;
  }
  for (std::size_t i = 0; i < messages.size(); ++i) {
    const ChatMessage& message = messages[i];
    std::string content = details.trims_content ? strip(message.content) : message.content;
    if (details.has_reasoning && message.role == Role::kAssistant) {
      content = without_reasoning(content, i > last_question, i + 1 == messages.size());
    }
    write_chatml_turn(out, role_name(message.role), content);
  }
  if (add_generation_prompt) {
    out.marker("<|im_start|>");
    out.text("assistant\n");
    out.text(details.assistant_opening);
  }
}

void write_llama3_header(Writer& out, std::string_view role) {
  out.marker("<|start_header_id|>");
  out.text(role);
  out.marker("<|end_header_id|>");
  out.text("\n\n");
}

void write_llama3(Writer& out, const ChatDetails& details, const std::vector<ChatMessage>& messages, bool begins,
                  bool add_generation_prompt) {
  std::size_t first = 0;
  if (begins) {
    out.begin(details);
    if (!details.system_preamble.empty()) {
      write_llama3_header(out, "system");
      out.text(details.system_preamble);
      if (!messages.empty() && messages.front().role == Role::kSystem) out.text(strip(messages[first++].content));
      out.marker("<|eot_id|>");
    }
  }
  for (std::size_t i = first; i < messages.size(); ++i) {
    write_llama3_header(out, role_name(messages[i].role));
    out.text(strip(messages[i].content));
    out.marker("<|eot_id|>");
  }
  if (add_generation_prompt) write_llama3_header(out, "assistant");
}

void write_llama2(Writer& out, const ChatDetails& details, const std::vector<ChatMessage>& messages) {
  std::string system;
  for (const ChatMessage& message : messages) {
    if (message.role == Role::kSystem) {
      system = text("<<SYS>>\n", message.content, "\n<</SYS>>\n\n");
    } else if (message.role == Role::kUser) {
      out.begin(details);  // every question
      out.text("[INST] ");
      out.text(strip(std::exchange(system, std::string()) + message.content));
      out.text(" [/INST]");
    } else {
      out.text(" ");
      out.text(strip(message.content));
      out.text(" ");
      out.marker(details.eos);
    }
  }
}

void write_mistral(Writer& out, const ChatDetails& details, const std::vector<ChatMessage>& messages, bool begins) {
  if (begins) out.begin(details);
  std::string system;
  bool after_answer = !begins;
  for (std::size_t i = 0; i < messages.size(); ++i) {
    const ChatMessage& message = messages[i];
    if (message.role == Role::kSystem) {
      system = message.content + "\n\n";
    } else if (message.role == Role::kUser) {
      if (after_answer) out.text(details.after_eos);
      out.text_around(details.user_opening, "[INST]");
      const bool takes_system = !details.system_goes_last || i + 1 == messages.size();
      if (takes_system) out.text(std::exchange(system, std::string()));
      out.text(message.content);
      out.text_around(details.user_closing, "[/INST]");
    } else {
      out.text(details.answer_opening);
      out.text(details.trims_answer ? strip(message.content) : message.content);
      out.marker(details.eos);
    }
    after_answer = message.role == Role::kAssistant;
  }
}

}  // namespace

std::string_view ChatTemplate::name(ChatFamily family) {
  switch (family) {
    case ChatFamily::kChatML:
      return "chatml";
    case ChatFamily::kLlama2:
      return "llama2";
    case ChatFamily::kLlama3:
      return "llama3";
    case ChatFamily::kMistral:
      return "mistral";
  }
  return {};
}

std::vector<std::int32_t> ChatTemplate::encode(const Tokenizer& tokenizer, const std::vector<ChatMessage>& messages,
                                               bool begins, bool add_generation_prompt) const {
  const bool system_needs_user = family_ == ChatFamily::kLlama2 || family_ == ChatFamily::kMistral;
  if (system_needs_user && !messages.empty()) {
    check_argument(messages.back().role != Role::kSystem, "chat: the last message has the role system; the ",
                   name(family_), " form writes it into a user message, which must follow it");
  }
  // A further answer goes on from the question's text unless that ended with a token; all else begins with a token.
  const auto closing = tokenizer.token_id("[/INST]");
  const bool follows_token = family_ == ChatFamily::kMistral && !messages.empty() &&
                             (messages.front().role != Role::kAssistant || (closing && tokenizer.is_added(*closing)));
  Writer out(tokenizer, begins ? TextStart::kText : follows_token ? TextStart::kAfterToken : TextStart::kContinues);
  switch (family_) {
    case ChatFamily::kChatML:
      write_chatml(out, details_, messages, begins, add_generation_prompt);
      break;
    case ChatFamily::kLlama3:
      write_llama3(out, details_, messages, begins, add_generation_prompt);
      break;
    case ChatFamily::kLlama2:
      write_llama2(out, details_, messages);
      break;
    case ChatFamily::kMistral:
      write_mistral(out, details_, messages, begins);
      break;
  }
  return out.take();
}

std::vector<std::int32_t> ChatTemplate::encode_turn_end(const Tokenizer& tokenizer, bool end_token_generated) const {
  Writer out(tokenizer, end_token_generated ? TextStart::kAfterToken : TextStart::kContinues);
  switch (family_) {
    case ChatFamily::kChatML:
      if (!end_token_generated) out.marker("<|im_end|>");
      out.text("\n");
      break;
    case ChatFamily::kLlama3:
      if (!end_token_generated) out.marker("<|eot_id|>");
      break;
    case ChatFamily::kLlama2:
      if (!end_token_generated) {
        out.text(" ");
        out.marker(details_.eos);
      }
      break;
    case ChatFamily::kMistral:
      if (!end_token_generated) out.marker(details_.eos);
      break;
  }
  return out.take();
}

std::vector<std::int32_t> ChatTemplate::stop_ids(const Tokenizer& tokenizer) const {
  std::vector<std::string_view> names = {details_.eos};
  if (family_ == ChatFamily::kChatML) names = {"<|im_end|>"};
  if (family_ == ChatFamily::kLlama3) names = {"<|eot_id|>", "<|eom_id|>", "<|end_of_text|>"};
  std::vector<std::int32_t> ids;
  for (const std::string_view token : names) {
    if (const auto id = tokenizer.token_id(token)) ids.push_back(*id);
  }
  return ids;
}

}  // namespace tca::runtime
