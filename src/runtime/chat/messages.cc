#include "runtime/chat/messages.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "core/check.h"
#include "core/json.h"
#include "runtime/jinja/dict.h"

namespace tca::runtime {
namespace {

using jinja::Origin;
using jinja::Value;
using nlohmann::ordered_json;

// Roles are part of the form: '<|' + role + '|>' is a marker. Anything else than a name would be no role.
Origin origin_of_role(std::string_view role) {
  const auto is_name = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-';
  };
  return std::all_of(role.begin(), role.end(), is_name) ? Origin::kTrusted : Origin::kForeign;
}

[[noreturn]] void refuse(const std::string& where, const std::string& field, const ordered_json& value,
                         const std::string& expected) {
  std::string shown = value.dump(-1, ' ', true, ordered_json::error_handler_t::replace);
  if (shown.size() > 60) shown = shown.substr(0, 57) + "...";
  fail(ErrorCategory::kBadFile, text(where, ": ", field, " is ", shown, "; expected ", expected));
}

Value part_from_json(const ordered_json& part, const std::string& where, const std::string& field) {
  if (!part.is_object() || !part.contains("type")) refuse(where, field, part, "a part with its type");
  if (part["type"] != "text") refuse(where, field + ".type", part["type"], "\"text\": nothing else can be read");
  if (!part.contains("text") || !part["text"].is_string()) refuse(where, field, part, "a part with its text");
  return Value::dict({{"type", Value::string("text", Origin::kTrusted)},
                      {"text", Value::string(part["text"].get<std::string>(), Origin::kForeign)}});
}

Value content_from_json(const ordered_json& content, const std::string& where, const std::string& field) {
  if (content.is_string() || content.is_null()) return Value::from_json(content, Origin::kForeign);
  if (!content.is_array()) refuse(where, field, content, "a text, a list of text parts or null");
  Value::Items parts;
  for (std::size_t i = 0; i < content.size(); ++i) {
    parts.push_back(part_from_json(content[i], where, text(field, "[", i, "]")));
  }
  return Value::list(std::move(parts));
}

Value message_from_json(const ordered_json& message, const std::string& where, const std::string& field) {
  if (!message.is_object()) refuse(where, field, message, "an object with role and content");
  if (!message.contains("role") || !message["role"].is_string()) refuse(where, field, message, "a message with a role");
  if (!message.contains("content") && !message.contains("tool_calls")) {
    refuse(where, field, message, "a message with a content or tool_calls");
  }
  std::vector<std::pair<std::string, Value>> entries;
  for (const auto& [key, value] : message.items()) {
    if (key == "role") {
      const auto role = value.get<std::string>();
      entries.emplace_back(key, Value::string(role, origin_of_role(role)));
    } else if (key == "content") {
      entries.emplace_back(key, content_from_json(value, where, field + ".content"));
    } else {
      entries.emplace_back(key, Value::from_json(value, Origin::kForeign));
    }
  }
  return Value::dict(entries);
}

// The message with another content.
Value with_content(const Value& message, Value content) {
  jinja::Dict changed = message.dict();
  changed.set(Value::string("content", Origin::kTrusted), std::move(content));
  return Value::dict(std::move(changed));
}

template <class Change>
Value with_contents(const Value& messages, const Change& change) {
  Value::Items changed;
  for (const Value& message : messages.items()) {
    const Value* content = message.dict().find("content");
    changed.push_back(content == nullptr ? message : with_content(message, change(*content)));
  }
  return Value::list(std::move(changed));
}

}  // namespace

Value chat_messages(std::span<const ChatMessage> messages) {
  Value::Items items;
  for (const ChatMessage& message : messages) {
    items.push_back(Value::dict({{"role", Value::string(message.role, origin_of_role(message.role))},
                                 {"content", Value::string(message.content)}}));
  }
  return Value::list(std::move(items));
}

Value messages_from_json(const ordered_json& messages, const std::string& where) {
  if (!messages.is_array() || messages.empty()) refuse(where, "messages", messages, "a list of messages, not empty");
  Value::Items items;
  for (std::size_t i = 0; i < messages.size(); ++i) {
    items.push_back(message_from_json(messages[i], where, text("messages[", i, "]")));
  }
  return Value::list(std::move(items));
}

Value objects_from_json(const ordered_json& objects, const std::string& what, const std::string& where) {
  if (!objects.is_array()) refuse(where, what, objects, "a list of objects");
  for (std::size_t i = 0; i < objects.size(); ++i) {
    if (!objects[i].is_object()) refuse(where, text(what, "[", i, "]"), objects[i], "an object");
  }
  return Value::from_json(objects, Origin::kForeign);
}

Value with_text_contents(const Value& messages) {
  return with_contents(messages, [](const Value& content) {
    if (!content.is(Value::Kind::kList)) return content;
    jinja::Text joined;
    for (const Value& part : content.items()) {
      if (!joined.empty()) joined.append("\n", Origin::kTrusted);
      joined.append(part.dict().find("text")->text());
    }
    return Value::string(std::move(joined));
  });
}

Value with_part_contents(const Value& messages) {
  return with_contents(messages, [](const Value& content) {
    if (!content.is_string()) return content;
    return Value::list({Value::dict({{"type", Value::string("text", Origin::kTrusted)}, {"text", content}})});
  });
}

}  // namespace tca::runtime
