#include "runtime/gguf/gguf_tokenizer.h"

#include <limits>
#include <optional>
#include <string>

#include "core/check.h"
#include "runtime/gguf/pre_tokenizers.h"
#include "runtime/gguf/token_types.h"

namespace tca::runtime {
namespace {

using nlohmann::json;

constexpr const char* kTokens = "tokenizer.ggml.tokens";
constexpr const char* kSpace = "▁";  // what spells a space in vocabularies with scores
constexpr std::size_t kMaxPieceBytes = 1024;

json& add_object(json& array) { return array.emplace_back(json::object()); }

/// Fills a tokenizer.json from the keys of one file.
class TokenizerWriter {
 public:
  TokenizerWriter(const Metadata& metadata, GgufTokenizer& out)
      : metadata_(metadata), json_(*out.json), scores_(out.scores), tokens_(metadata.strings(kTokens)) {
    if (tokens_.empty()) fail(ErrorCategory::kBadFile, text(metadata.path(), ": ", kTokens, " is missing or empty"));
    types_ = token_types(metadata, tokens_.size());
  }

  void write() {
    const std::string model = metadata_.string("tokenizer.ggml.model").value_or("");
    json& described = json_["model"] = json::object();
    described["type"] = "BPE";
    write_tokens(described["vocab"] = json::object());
    if (model == "gpt2") {
      write_byte_level(described);
    } else if (model == "llama") {
      write_scored(described);
    } else {
      fail(ErrorCategory::kUnsupported, text(metadata_.path(), ": tokenizer.ggml.model is \"", model.substr(0, 40),
                                             "\"; supported: gpt2 (byte-level BPE), llama (BPE by scores)"));
    }
  }

 private:
  // Of tokens of one text the first counts. Those that are found in text before anything else are listed apart, too.
  void write_tokens(json& vocabulary) {
    json& added = json_["added_tokens"] = json::array();
    for (std::size_t id = 0; id < tokens_.size(); ++id) {
      const std::string token(tokens_[id]);
      const bool is_new = vocabulary.emplace(token, id).second;
      const TokenType type = types_[id];
      const bool special = type == TokenType::kControl || type == TokenType::kUnknown;
      if (!is_new || token.empty() || !(special || type == TokenType::kUserDefined)) continue;
      json& entry = add_object(added);
      entry["id"] = id;
      entry["content"] = token;
      entry["special"] = special;
      entry["normalized"] = false;
    }
  }

  void write_byte_level(json& model) {
    const auto named = metadata_.string("tokenizer.ggml.pre");
    json& pre_tokenizer = json_["pre_tokenizer"] = json::object();
    const PreTokenizerKind kind = write_pre_tokenizer(named.value_or("default"), metadata_.path(), pre_tokenizer);
    if (kind.composes) (json_["normalizer"] = json::object())["type"] = "NFC";
    (json_["decoder"] = json::object())["type"] = "ByteLevel";
    model["ignore_merges"] = kind.ignore_merges;
    json& merges = model["merges"] = json::array();
    for (const std::string_view merge : metadata_.strings("tokenizer.ggml.merges"))
      merges.push_back(std::string(merge));
    write_ends(kind.adds_bos);
  }

  void write_scored(json& model) {
    model["merges"] = json::array();
    model["byte_fallback"] = true;
    model["fuse_unk"] = true;
    if (const auto unknown = token_id("unknown")) model["unk_token"] = std::string(tokens_[*unknown]);
    read_scores();
    const bool prefix = metadata_.boolean("tokenizer.ggml.add_space_prefix").value_or(true);
    write_spaces(prefix);
    write_ends(true);
  }

  void read_scores() {
    const char* const key = "tokenizer.ggml.scores";
    scores_ = metadata_.floats(key);
    if (scores_.size() != tokens_.size()) {
      fail(ErrorCategory::kBadFile, text(metadata_.path(), ": ", key, " has ", scores_.size(),
                                         " entries, but there are ", tokens_.size(), " tokens"));
    }
    for (std::size_t id = 0; id < tokens_.size(); ++id) {
      const bool is_text = types_[id] == TokenType::kNormal || types_[id] == TokenType::kUnused;
      if (!is_text) scores_[id] = std::numeric_limits<float>::quiet_NaN();
      check_supported(!is_text || tokens_[id].size() <= kMaxPieceBytes, metadata_.path(), ": ", kTokens, "[", id,
                      "] has ", tokens_[id].size(), " bytes; supported are at most ", kMaxPieceBytes);
    }
  }

  // Spaces are written as another character, and one may be put before the text.
  void write_spaces(bool prefix) {
    json& normalizer = json_["normalizer"] = json::object();
    normalizer["type"] = "Sequence";
    json& steps = normalizer["normalizers"] = json::array();
    json& decoder = json_["decoder"] = json::object();
    decoder["type"] = "Sequence";
    json& back = decoder["decoders"] = json::array();
    if (prefix) {
      json& prepend = add_object(steps);
      prepend["type"] = "Prepend";
      prepend["prepend"] = kSpace;
    }
    write_replacement(add_object(steps), " ", kSpace);
    write_replacement(add_object(back), kSpace, " ");
    for (const char* type : {"ByteFallback", "Fuse"}) add_object(back)["type"] = type;
    if (!prefix) return;
    json& strip = add_object(back);
    strip["type"] = "Strip";
    strip["content"] = " ";
    strip["start"] = 1;
    strip["stop"] = 0;
  }

  static void write_replacement(json& step, const char* from, const char* to) {
    step["type"] = "Replace";
    step["content"] = to;
    (step["pattern"] = json::object())["String"] = from;
  }

  // Tokens at both ends of every text.
  void write_ends(bool begins) {
    json& post_processor = json_["post_processor"] = json::object();
    post_processor["type"] = "TemplateProcessing";
    json& single = post_processor["single"] = json::array();
    json& ids = post_processor["special_tokens"] = json::object();
    const auto add = [&](const char* name) {
      const auto id = token_id(name);
      if (!id) return;
      (add_object(single)["SpecialToken"] = json::object())["id"] = name;
      ((ids[name] = json::object())["ids"] = json::array()).push_back(*id);
    };
    if (metadata_.boolean("tokenizer.ggml.add_bos_token").value_or(begins)) add("bos");
    (add_object(single)["Sequence"] = json::object())["id"] = "A";
    if (metadata_.boolean("tokenizer.ggml.add_eos_token").value_or(false)) add("eos");
  }

  std::optional<std::size_t> token_id(const char* name) const {
    const auto id = metadata_.integer(text("tokenizer.ggml.", name, "_token_id"), 0, std::ssize(tokens_) - 1);
    return id ? std::optional(static_cast<std::size_t>(*id)) : std::nullopt;
  }

  const Metadata& metadata_;
  json& json_;
  std::vector<float>& scores_;
  std::vector<std::string_view> tokens_;
  std::vector<TokenType> types_;
};

}  // namespace

GgufTokenizer gguf_tokenizer(const Metadata& metadata) {
  GgufTokenizer result;
  TokenizerWriter(metadata, result).write();
  return result;
}

JsonDocument gguf_tokenizer_config(const Metadata& metadata) {
  constexpr std::string_view kTemplate = "tokenizer.chat_template";
  JsonDocument config;
  const std::vector<std::string> keys = metadata.keys(kTemplate);
  const bool alone = keys.size() == 1 && keys[0] == kTemplate;
  json& templates = (*config)["chat_template"] = json::array();
  for (const std::string& key : keys) {
    const bool named = key.size() > kTemplate.size() + 1 && key[kTemplate.size()] == '.';
    if (!named && key != kTemplate) continue;  // "tokenizer.chat_templates" lists the names
    json& entry = add_object(templates);
    entry["name"] = named ? key.substr(kTemplate.size() + 1) : "default";
    entry["template"] = metadata.string(key).value();
  }
  if (templates.empty()) (*config)["chat_template"] = nullptr;
  if (alone) (*config)["chat_template"] = metadata.string(keys[0]).value();
  const std::vector<std::string_view> tokens = metadata.strings(kTokens);
  for (const auto& [field, name] : {std::pair{"bos_token", "bos"}, std::pair{"eos_token", "eos"},
                                    std::pair{"unk_token", "unknown"}, std::pair{"pad_token", "padding"}}) {
    const auto id = metadata.integer(text("tokenizer.ggml.", name, "_token_id"), 0, std::ssize(tokens) - 1);
    if (id) (*config)[field] = std::string(tokens[static_cast<std::size_t>(*id)]);
  }
  return config;
}

}  // namespace tca::runtime
