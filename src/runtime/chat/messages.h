// Messages of a chat as templates see them. Text of messages is foreign to a template; roles are not.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <span>
#include <string>
#include <string_view>

#include "runtime/jinja/text.h"
#include "runtime/jinja/value.h"

namespace tca::runtime {

struct ChatMessage {
  std::string role;
  jinja::Text content;
};

/// What somebody wrote.
inline jinja::Text foreign_text(std::string_view text) { return jinja::Text(text, jinja::Origin::kForeign); }

jinja::Value chat_messages(std::span<const ChatMessage> messages);

/// The OpenAI list: objects with a role, and a content that is a text, a list of text parts or null. Whatever else they
/// hold (tool_calls, tool_call_id, name, ...) is handed on. `where` names the file. Throws kBadFile.
jinja::Value messages_from_json(const nlohmann::ordered_json& messages, const std::string& where);
/// An array of objects, such as tools.
jinja::Value objects_from_json(const nlohmann::ordered_json& objects, const std::string& what,
                               const std::string& where);

/// Messages with every content as one text (of its parts, a line each), or every content as a list of text parts.
jinja::Value with_text_contents(const jinja::Value& messages);
jinja::Value with_part_contents(const jinja::Value& messages);

}  // namespace tca::runtime
