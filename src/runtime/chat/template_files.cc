#include "runtime/chat/template_files.h"

#include <array>
#include <filesystem>
#include <system_error>

#include "core/check.h"
#include "core/file.h"
#include "core/json.h"
#include "runtime/gguf/gguf_file.h"
#include "runtime/gguf/gguf_tokenizer.h"

namespace tca::runtime {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

constexpr std::size_t kMaxConfigBytes = std::size_t{64} << 20;  // tokenizer_config.json lists every added token
constexpr std::size_t kMaxTemplateBytes = std::size_t{4} << 20;

// What Transformers hands a template; further tokens of a model are not among them.
constexpr std::array kSpecialTokens = {"bos_token", "eos_token", "unk_token", "sep_token",
                                       "pad_token", "cls_token", "mask_token"};

bool is_there(const fs::path& path) {
  std::error_code ignored;
  return fs::exists(path, ignored);
}

JsonDocument read_object(const std::string& path) {
  JsonDocument object(parse_python_json(read_file(path, kMaxConfigBytes), path));
  if (!object->is_object()) fail(ErrorCategory::kBadFile, path + ": expected a JSON object");
  return object;
}

void add_template_files(const fs::path& dir, std::map<std::string, TemplateFile>& templates) {
  const auto add = [&](const std::string& name, const fs::path& path) {
    templates[name] = {path.string(), read_file(path.string(), kMaxTemplateBytes)};
  };
  if (is_there(dir / "chat_template.jinja")) add("default", dir / "chat_template.jinja");
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator(dir / "additional_chat_templates", ignored)) {
    if (entry.path().extension() == ".jinja") add(entry.path().stem().string(), entry.path());
  }
}

// "chat_template": one text, or several as objects of name and template.
void add_templates_of(const json& config, const std::string& path, std::map<std::string, TemplateFile>& templates) {
  const auto found = config.find("chat_template");
  if (found == config.end() || found->is_null()) return;
  if (found->is_string()) {
    templates["default"] = {path, found->get<std::string>()};
    return;
  }
  if (!found->is_array()) fail_field(path, "chat_template", *found, "a text, or an array of named templates");
  for (std::size_t i = 0; i < found->size(); ++i) {
    const std::string where = text(path, ": chat_template[", i, "].");
    if (!(*found)[i].is_object()) fail_field(path, text("chat_template[", i, "]"), (*found)[i], "an object");
    const std::string name = get_string((*found)[i], "name", where);
    templates[name] = {text(path, ": chat_template \"", name, "\""), get_string((*found)[i], "template", where)};
  }
}

// Adds or replaces: a string, or an object with its "content".
void add_special_tokens(const json& config, std::vector<std::pair<std::string, std::string>>& tokens) {
  for (const char* field : kSpecialTokens) {
    const auto found = config.find(field);
    if (found == config.end()) continue;
    const json* value = &*found;
    if (value->is_object() && value->contains("content")) value = &(*value)["content"];
    if (!value->is_string()) continue;
    std::erase_if(tokens, [&](const auto& token) { return token.first == field; });
    tokens.emplace_back(field, value->get<std::string>());
  }
}

// templates: whether they are wanted, beside the special tokens.
TemplateFiles in_folder(const std::string& dir, bool templates) {
  TemplateFiles result;
  const std::string config_path = dir + "/tokenizer_config.json";
  const JsonDocument document = is_there(config_path) ? read_object(config_path) : JsonDocument(json::object());
  const json& config = *document;
  if (templates) add_template_files(dir, result.templates);
  if (templates && result.templates.empty()) add_templates_of(config, config_path, result.templates);
  add_special_tokens(config, result.special_tokens);
  // Transformers reads the older file only where the newer one does not list the added tokens.
  const std::string map_path = dir + "/special_tokens_map.json";
  if (!config.contains("added_tokens_decoder") && is_there(map_path)) {
    add_special_tokens(*read_object(map_path), result.special_tokens);
  }
  return result;
}

TemplateFiles in_gguf(const std::string& path, bool templates) {
  TemplateFiles result;
  const JsonDocument config = gguf_tokenizer_config(GgufFile::open(path).metadata());
  if (templates) add_templates_of(*config, path, result.templates);
  add_special_tokens(*config, result.special_tokens);
  return result;
}

}  // namespace

TemplateFiles TemplateFiles::load(const std::string& path, const std::string& file) {
  const std::string gguf = find_gguf(path);
  TemplateFiles result = gguf.empty() ? in_folder(path, file.empty()) : in_gguf(gguf, file.empty());
  if (!file.empty()) {
    check_argument(is_there(file), "--chat-template ", file, ": no such file; give a file with a Jinja template");
    result.templates["default"] = {file, read_file(file, kMaxTemplateBytes)};
  }
  if (result.templates.empty()) {
    const char* const sought = gguf.empty() ? "neither chat_template.jinja nor a chat_template in tokenizer_config.json"
                                            : "its metadata lacks tokenizer.chat_template";
    fail(ErrorCategory::kUnsupported,
         text(path, ": holds no chat template (", sought, "); give a file with one: --chat-template FILE"));
  }
  return result;
}

}  // namespace tca::runtime
