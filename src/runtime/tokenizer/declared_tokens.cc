#include "runtime/tokenizer/declared_tokens.h"

#include <algorithm>
#include <charconv>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>

#include "core/check.h"
#include "core/file.h"
#include "core/json.h"

namespace tca::runtime {
namespace {

using nlohmann::json;

constexpr std::size_t kMaxFileBytes = std::size_t{64} << 20;

std::string shown(const std::string& token) { return json(token).dump(-1, ' ', true, json::error_handler_t::replace); }

// What Transformers treats as special, whatever a token's own flag says.
std::set<std::string> named_tokens(const json& config) {
  std::set<std::string> names;
  for (const char* field :
       {"bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token"}) {
    const auto found = config.find(field);
    if (found == config.end()) continue;
    const json& content = found->is_object() && found->contains("content") ? (*found)["content"] : *found;
    if (content.is_string()) names.insert(content.get<std::string>());
  }
  return names;
}

std::int64_t parse_id(const std::string& key, const std::string& where) {
  std::int64_t id = -1;
  const auto [end, error] = std::from_chars(key.data(), key.data() + key.size(), id);
  if (error != std::errc() || end != key.data() + key.size()) {
    fail_field(where, "added_tokens_decoder: a key", key, "a token's id");
  }
  return id;
}

void sort_by_id(std::vector<AddedToken>& tokens) {
  std::sort(tokens.begin(), tokens.end(), [](const AddedToken& a, const AddedToken& b) { return a.id < b.id; });
}

// {"text": id, ...}, as older versions of Transformers wrote it.
std::vector<AddedToken> parse_legacy_tokens(const json& by_text, const json& config, const std::string& file) {
  if (!by_text.is_object()) fail(ErrorCategory::kBadFile, file + ": expected a JSON object");
  const std::set<std::string> named = named_tokens(config);
  std::vector<AddedToken> tokens;
  for (const auto& [content, id] : by_text.items()) {
    const bool special = named.count(content) != 0;
    JsonDocument token;
    (*token)["content"] = content;
    (*token)["special"] = special;
    (*token)["normalized"] = !special;
    tokens.push_back(parse_added_token(*token, id, text(file, ": ", shown(content), ".")));
  }
  sort_by_id(tokens);
  return tokens;
}

JsonDocument read_object(const std::string& path) {
  if (!has_entry(path)) return JsonDocument(json::object());
  JsonDocument object(parse_python_json(read_file(path, kMaxFileBytes), path));
  if (!object->is_object()) fail(ErrorCategory::kBadFile, path + ": expected a JSON object");
  return object;
}

}  // namespace

std::vector<AddedToken> parse_declared_tokens(const json& config, const std::string& file) {
  std::vector<AddedToken> tokens;
  const auto decoder = config.find("added_tokens_decoder");
  if (decoder == config.end() || decoder->is_null()) return tokens;
  const std::set<std::string> named = named_tokens(config);
  for (const auto& [key, value] : get_object(config, "added_tokens_decoder", file).items()) {
    const std::string where = text(file, ": added_tokens_decoder.", key.substr(0, 40));
    if (!value.is_object()) fail_field(where, "value", value, "an object");
    tokens.push_back(parse_added_token(value, parse_id(key, file), where + "."));
    if (named.count(tokens.back().content) != 0) tokens.back().special = true;
  }
  sort_by_id(tokens);
  return tokens;
}

std::vector<AddedToken> read_declared_tokens(const std::string& dir) {
  const std::string path = dir + "/tokenizer_config.json", legacy = dir + "/added_tokens.json";
  const JsonDocument config = read_object(path);
  if (config->contains("added_tokens_decoder")) return parse_declared_tokens(*config, path);
  return parse_legacy_tokens(*read_object(legacy), *config, legacy);
}

void add_declared_tokens(const std::vector<AddedToken>& declared,
                         const std::unordered_map<std::string, std::int32_t>& vocabulary,
                         std::vector<AddedToken>& tokens) {
  std::unordered_map<std::string, std::size_t> places;
  for (std::size_t i = 0; i < tokens.size(); ++i) places.emplace(tokens[i].content, i);
  std::unordered_map<std::int32_t, std::string> taken;  // by id; filled when the first token is new
  const auto check_free = [&](const AddedToken& token) {
    if (taken.empty()) {
      for (const auto& [content, id] : vocabulary) taken.emplace(id, content);
      for (const AddedToken& known : tokens) taken.emplace(known.id, known.content);
    }
    const auto [other, is_free] = taken.emplace(token.id, token.content);
    if (is_free) return;
    fail(ErrorCategory::kBadFile, text("tokenizer_config.json: added_tokens_decoder gives the id ", token.id, " to ",
                                       shown(token.content), ", but tokenizer.json to ", shown(other->second)));
  };
  for (AddedToken token : declared) {
    if (token.content.empty()) continue;  // matches nothing
    const auto place = places.find(token.content);
    if (place != places.end()) {
      AddedToken& present = tokens[place->second];
      token.id = present.id;
      token.special = token.special || present.special;
      present = std::move(token);
      continue;
    }
    const auto known = vocabulary.find(token.content);
    if (known != vocabulary.end()) {
      token.id = known->second;
    } else {
      check_free(token);
    }
    places.emplace(token.content, tokens.size());
    tokens.push_back(std::move(token));
  }
}

}  // namespace tca::runtime
