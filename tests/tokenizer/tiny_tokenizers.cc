#include "tokenizer/tiny_tokenizers.h"

#include <cstdio>

#include "runtime/tokenizer/bpe.h"

namespace tca::testing {

using nlohmann::json;

json added_token(std::int32_t id, const std::string& content, const std::string& flags) {
  json token = {{"id", id}, {"content", content}};
  for (const char* flag : {"single_word", "lstrip", "rstrip", "normalized", "special"}) {
    token[flag] = flags.find(flag) != std::string::npos;
  }
  return token;
}

json byte_level_config() {
  json vocab;
  for (int byte = 0; byte < 256; ++byte) vocab[runtime::byte_level_characters()[static_cast<std::size_t>(byte)]] = byte;
  int id = 256;
  for (const char* token : {"th", "the", "Ġthe", "aa", "aaaa"}) vocab[token] = id++;
  const json begin = {{"SpecialToken", {{"id", "<|begin|>"}, {"type_id", 0}}}};
  const json text = {{"Sequence", {{"id", "A"}, {"type_id", 0}}}};
  return {
      {"version", "1.0"},
      {"added_tokens",
       {added_token(261, "<|begin|>", "special"), added_token(262, "<|end|>", "special"), added_token(263, "  ", "")}},
      {"normalizer", nullptr},
      {"pre_tokenizer", {{"type", "ByteLevel"}, {"add_prefix_space", false}, {"use_regex", true}}},
      {"post_processor",
       {{"type", "TemplateProcessing"},
        {"single", {begin, text}},
        {"special_tokens", {{"<|begin|>", {{"id", "<|begin|>"}, {"ids", {261}}, {"tokens", {"<|begin|>"}}}}}}}},
      {"decoder", {{"type", "ByteLevel"}}},
      {"model",
       {{"type", "BPE"},
        {"vocab", vocab},
        {"merges", json::parse(R"([["t","h"],["th","e"],["Ġ","the"],["a","a"],["aa","aa"]])")}}},
  };
}

json byte_fallback_config() {
  json vocab = {{"<unk>", 0}, {"<s>", 1}, {"</s>", 2}};
  for (int byte = 0; byte < 256; ++byte) {
    char name[8];
    std::snprintf(name, sizeof(name), "<0x%02X>", static_cast<unsigned>(byte));
    vocab[name] = 3 + byte;
  }
  int id = 259;
  for (const char* token : {"▁", "a", "b", "c", "d", "▁a", "ab", "▁ab", "▁▁"}) vocab[token] = id++;
  const json begin = {{"SpecialToken", {{"id", "<s>"}, {"type_id", 0}}}};
  const json text = {{"Sequence", {{"id", "A"}, {"type_id", 0}}}};
  return {
      {"added_tokens",
       {added_token(0, "<unk>", "special"), added_token(1, "<s>", "special"), added_token(2, "</s>", "special")}},
      {"normalizer",
       {{"type", "Sequence"},
        {"normalizers",
         {{{"type", "Prepend"}, {"prepend", "▁"}},
          {{"type", "Replace"}, {"pattern", {{"String", " "}}}, {"content", "▁"}}}}}},
      {"pre_tokenizer", nullptr},
      {"post_processor",
       {{"type", "TemplateProcessing"},
        {"single", {begin, text}},
        {"special_tokens", {{"<s>", {{"id", "<s>"}, {"ids", {1}}, {"tokens", {"<s>"}}}}}}}},
      {"decoder",
       {{"type", "Sequence"},
        {"decoders",
         {{{"type", "Replace"}, {"pattern", {{"String", "▁"}}}, {"content", " "}},
          {{"type", "ByteFallback"}},
          {{"type", "Fuse"}},
          {{"type", "Strip"}, {"content", " "}, {"start", 1}, {"stop", 0}}}}}},
      {"model",
       {{"type", "BPE"},
        {"unk_token", "<unk>"},
        {"fuse_unk", true},
        {"byte_fallback", true},
        {"vocab", vocab},
        {"merges", {"▁ a", "a b", "▁a b", "▁ ▁"}}}},
  };
}

runtime::Tokenizer tokenizer_of(const json& config) {
  return runtime::Tokenizer::parse(config.dump(), "tokenizer.json");
}

}  // namespace tca::testing
