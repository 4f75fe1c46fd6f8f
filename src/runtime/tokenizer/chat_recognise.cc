// Which family a Jinja template belongs to, and what it does its own way: by the texts it contains.
#include <array>
#include <filesystem>
#include <optional>

#include "core/check.h"
#include "core/file.h"
#include "core/json.h"
#include "runtime/tokenizer/chat_template.h"

namespace tca::runtime {
namespace {

using nlohmann::json;

constexpr std::size_t kMaxFileBytes = std::size_t{64} << 20;  // tokenizer_config.json lists every added token
constexpr const char* kChoices = "chatml, llama2, llama3, mistral";

bool contains(std::string_view text, std::string_view part) { return text.find(part) != std::string_view::npos; }

// The template without white space outside of string literals, which all get single quotes: one spelling to search.
std::string compact(std::string_view source) {
  std::string out;
  char quote = 0;
  for (std::size_t i = 0; i < source.size(); ++i) {
    const char c = source[i];
    const bool is_space = c == ' ' || c == '\n' || c == '\t' || c == '\r';
    if (quote != 0 && c == '\\' && i + 1 < source.size()) {
      out += c;
      out += source[++i];
    } else if (quote == 0 && (c == '\'' || c == '"')) {
      quote = c;
      out += '\'';
    } else if (quote != 0 && c == quote) {
      quote = 0;
      out += '\'';
    } else if (quote != 0 || !is_space) {
      out += c;
    }
  }
  return out;
}

std::string unescape(std::string_view literal) {
  std::string out;
  for (std::size_t i = 0; i < literal.size(); ++i) {
    if (literal[i] != '\\' || i + 1 == literal.size()) {
      out += literal[i];
      continue;
    }
    const char c = literal[++i];
    out += c == 'n' ? '\n' : c == 't' ? '\t' : c;
  }
  return out;
}

std::size_t find_closing(std::string_view source, std::size_t from, char quote) {
  for (std::size_t i = from; i < source.size(); ++i) {
    if (source[i] == '\\') {
      ++i;
    } else if (source[i] == quote) {
      return i;
    }
  }
  return std::string_view::npos;
}

// What follows `opening` and a newline at or after `from`: to the end of the string literal that begins with it, or of
// the plain text of the template. from moves behind it; npos when there is no more.
std::optional<std::string> text_after(std::string_view source, std::string_view opening, std::size_t& from) {
  const std::size_t at = source.find(opening, from);
  if (at == std::string_view::npos) return std::nullopt;
  const char before = at == 0 ? '\0' : source[at - 1];
  const bool in_literal = before == '\'' || before == '"';
  from = at + opening.size();
  const std::string_view rest = source.substr(from);
  const std::size_t newline = rest.starts_with("\\n") ? 2 : rest.starts_with('\n') ? 1 : 0;
  const std::size_t end = in_literal ? find_closing(source, from, before) : source.find('{', from);
  if (newline == 0 || end == std::string_view::npos || end < from + newline) return std::string();
  const std::string_view found = source.substr(from + newline, end - from - newline);
  return in_literal ? unescape(found) : std::string(found);
}

// The string literal that holds part, e.g. " [/INST]".
std::optional<std::string> literal_around(std::string_view source, std::string_view part) {
  const std::size_t at = source.find(part);
  if (at == std::string_view::npos || at == 0) return std::nullopt;
  const std::size_t open = source.find_last_of("'\"", at - 1);
  if (open == std::string_view::npos) return std::nullopt;
  const std::size_t close = find_closing(source, open + 1, source[open]);
  if (close == std::string_view::npos || close < at + part.size()) return std::nullopt;
  return unescape(source.substr(open + 1, close - open - 1));
}

void read_chatml(std::string_view source, const std::string& packed, ChatDetails& out) {
  std::size_t from = 0;
  while (const auto system = text_after(source, "<|im_start|>system", from)) {
    const std::size_t end = system->find("<|im_end|>");
    if (end == std::string::npos || end == 0) continue;
    out.default_system = system->substr(0, end);
    break;
  }
  from = 0;
  while (const auto opening = text_after(source, "<|im_start|>assistant", from)) out.assistant_opening = *opening;
  out.trims_content = contains(packed, "content']|trim") || contains(packed, ".content|trim");
  out.has_reasoning = contains(source, "reasoning_content") && contains(source, "</think>");
}

// False when the template has a date but not the form that is known.
bool read_llama3(std::string_view source, const std::string& packed, ChatDetails& out) {
  constexpr std::string_view kKnowledge = "Cutting Knowledge Date: ";
  constexpr std::string_view kDate = "date_string='";
  const std::size_t knowledge = source.find(kKnowledge);
  if (knowledge == std::string_view::npos) return true;
  const std::size_t end = source.find_first_of("\\\n", knowledge);
  const std::size_t date = packed.find(kDate);
  if (end == std::string_view::npos || date == std::string::npos) return false;
  const std::size_t date_end = packed.find('\'', date + kDate.size());
  if (date_end == std::string::npos) return false;
  // The date written in the template, not today's: the same conversation has the same ids on every day.
  out.system_preamble =
      text(source.substr(knowledge, end - knowledge),
           "\nToday Date: ", packed.substr(date + kDate.size(), date_end - date - kDate.size()), "\n\n");
  return true;
}

void read_mistral(std::string_view source, const std::string& packed, ChatDetails& out) {
  out.user_opening = literal_around(source, "[INST]").value_or(out.user_opening);
  out.user_closing = literal_around(source, "[/INST]").value_or(out.user_closing);
  if (contains(packed, "' '+message['content']") || contains(packed, "' '+message.content")) out.answer_opening += ' ';
  if (contains(packed, "eos_token+' '")) out.after_eos += ' ';
  out.trims_answer = contains(packed, "|trim+eos_token");
  out.system_goes_last = contains(packed, "loop.lastandsystem_message");
}

std::optional<ChatTemplate> recognise(std::string_view source, ChatDetails details) {
  const std::string packed = compact(source);
  if (contains(source, "<|im_start|>")) {
    read_chatml(source, packed, details);
    return ChatTemplate(ChatFamily::kChatML, details);
  }
  if (contains(source, "<|start_header_id|>")) {
    if (contains(source, "'<|begin_of_text|>")) details.bos = "<|begin_of_text|>";
    if (!read_llama3(source, packed, details)) return std::nullopt;
    return ChatTemplate(ChatFamily::kLlama3, details);
  }
  if (contains(source, "[SYSTEM_PROMPT]") || !contains(source, "[INST]")) return std::nullopt;
  if (contains(source, "<<SYS>>")) return ChatTemplate(ChatFamily::kLlama2, details);
  read_mistral(source, packed, details);
  return ChatTemplate(ChatFamily::kMistral, details);
}

// "bos_token" and the like: a string, or an object with its "content".
std::optional<std::string> token_text(const json& config, const char* field) {
  const auto found = config.find(field);
  if (found == config.end()) return std::nullopt;
  const json* value = &*found;
  if (value->is_object() && value->contains("content")) value = &(*value)["content"];
  return value->is_string() ? std::optional(value->get<std::string>()) : std::nullopt;
}

std::optional<std::string> template_text(const json& config) {
  const auto found = config.find("chat_template");
  if (found == config.end()) return std::nullopt;
  if (found->is_string()) return found->get<std::string>();
  if (!found->is_array()) return std::nullopt;
  std::optional<std::string> chosen;  // several by name: "default", else the first
  for (const json& entry : *found) {
    if (!entry.is_object() || !entry.contains("template") || !entry["template"].is_string()) continue;
    const bool is_default = entry.contains("name") && entry["name"] == "default";
    if (is_default || !chosen) chosen = entry["template"].get<std::string>();
    if (is_default) break;
  }
  return chosen;
}

std::optional<ChatFamily> family_of(const std::string& name) {
  constexpr std::array kFamilies = {ChatFamily::kChatML, ChatFamily::kLlama2, ChatFamily::kLlama3,
                                    ChatFamily::kMistral};
  for (const ChatFamily family : kFamilies) {
    if (ChatTemplate::name(family) == name) return family;
  }
  return std::nullopt;
}

}  // namespace

ChatTemplate ChatTemplate::load(const std::string& dir, const std::string& override_name) {
  const auto wanted = family_of(override_name);
  check_argument(wanted || override_name.empty(), "--chat-template is \"", override_name, "\"; expected one of ",
                 kChoices);
  const std::string config_path = dir + "/tokenizer_config.json";
  const std::string jinja_path = dir + "/chat_template.jinja";
  std::error_code ignored;
  json config = json::object();
  if (std::filesystem::exists(config_path, ignored)) {
    config = parse_python_json(read_file(config_path, kMaxFileBytes), config_path);
    if (!config.is_object()) fail(ErrorCategory::kBadFile, config_path + ": expected a JSON object");
  }
  std::optional<std::string> source = template_text(config);
  if (std::filesystem::exists(jinja_path, ignored)) source = read_file(jinja_path, kMaxFileBytes);

  ChatDetails details;
  details.eos = token_text(config, "eos_token").value_or(details.eos);
  if (source) {
    ChatDetails from_template = details;
    from_template.bos = contains(*source, "bos_token") ? token_text(config, "bos_token") : "";
    const auto recognised = recognise(*source, from_template);
    if (recognised && (!wanted || recognised->family() == *wanted)) return *recognised;
  }
  if (wanted) return ChatTemplate(*wanted, details);
  fail(ErrorCategory::kUnsupported,
       text(dir, source ? ": the chat template is of no form that is known" : ": holds no chat template",
            "; choose one with --chat-template: ", kChoices));
}

}  // namespace tca::runtime
