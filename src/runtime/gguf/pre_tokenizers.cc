#include "runtime/gguf/pre_tokenizers.h"

#include <algorithm>
#include <string_view>
#include <vector>

#include "core/check.h"

namespace tca::runtime {
namespace {

using nlohmann::json;

// The expressions are those of the models' own tokenizer.json.
constexpr const char* kGpt2 = R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";
constexpr const char* kLlama3 =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
constexpr const char* kQwen2 =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
constexpr const char* kTekken =
    R"([^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
constexpr const char* kDigit = R"(\p{N})";
constexpr const char* kCjk = "[\u4e00-\u9fa5\u0800-\u4e00\uac00-\ud7ff]+";

struct Kind {
  std::vector<std::string_view> names;
  std::vector<const char*> splits;  // one after the other
  PreTokenizerKind kind = {};
};

const std::vector<Kind>& kinds() {
  static const std::vector<Kind> list = {
      {{"gpt-2", "phi-2", "olmo", "mpt", "gigachat", "trillion"}, {kGpt2}},
      {{"smollm", "starcoder", "refact", "command-r", "codeshell", "minerva-7b"}, {kDigit, kGpt2}},
      {{"llama-bpe", "llama3", "llama-v3", "falcon3", "lfm2"},
       {kLlama3},
       {.ignore_merges = true, .adds_bos = true, .composes = false}},
      {{"dbrx", "smaug-bpe"}, {kLlama3}},
      {{"qwen2", "stablelm2", "deepseek-r1-qwen", "hunyuan"},
       {kQwen2},
       {.ignore_merges = false, .adds_bos = false, .composes = true}},
      {{"tekken"}, {kTekken}, {.ignore_merges = true, .adds_bos = true, .composes = false}},
      {{"deepseek-coder"}, {R"([\r\n])", R"(\s?\p{L}+)", R"(\s?\p{P}+)", kCjk, kDigit}},
      {{"default"}, {R"([\p{P}\$\+<=>\^~\|]+)", kGpt2, R"(\p{N}+)", "[0-9][0-9][0-9]"}},
  };
  return list;
}

const Kind& find_kind(const std::string& name, const std::string& where) {
  std::string known;
  for (const Kind& kind : kinds()) {
    for (const std::string_view one : kind.names) {
      if (name == one) return kind;
      known += text(known.empty() ? "" : ", ", one);
    }
  }
  fail(ErrorCategory::kUnsupported,
       text(where, ": tokenizer.ggml.pre is \"", name.substr(0, 40), "\"; supported: ", known));
}

}  // namespace

PreTokenizerKind write_pre_tokenizer(const std::string& name, const std::string& where, json& out) {
  const Kind& kind = find_kind(name, where);
  out["type"] = "Sequence";
  json& steps = out["pretokenizers"] = json::array();
  const auto add = [&]() -> json& { return steps.emplace_back(json::object()); };
  for (const char* const split : kind.splits) {
    json& step = add();
    step["type"] = "Split";
    step["behavior"] = "Isolated";
    json& pattern = step["pattern"] = json::object();
    pattern["Regex"] = split;
  }
  json& last = add();
  last["type"] = "ByteLevel";
  last["add_prefix_space"] = false;
  last["use_regex"] = false;
  return kind.kind;
}

}  // namespace tca::runtime
