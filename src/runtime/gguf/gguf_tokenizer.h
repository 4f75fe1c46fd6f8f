// The tokenizer and the chat templates in a GGUF file's metadata, as the files of a Hugging Face checkpoint have them.
#pragma once

#include <vector>

#include "core/json.h"
#include "runtime/gguf/metadata.h"

namespace tca::runtime {

struct GgufTokenizer {
  JsonDocument json;  // tokenizer.json
  /// Where there are no merges but pairs are merged by the scores of what they make: the scores by id, NaN for tokens
  /// that no text is made of. Empty where the merges are listed.
  std::vector<float> scores;
};

/// Byte-level BPE ("gpt2") and BPE by scores ("llama"). Throws kUnsupported naming another model or an unknown
/// pre-tokenizer, kBadFile naming a key that is missing or wrong.
GgufTokenizer gguf_tokenizer(const Metadata& metadata);

/// What tokenizer_config.json says of it: "chat_template" and the special tokens.
JsonDocument gguf_tokenizer_config(const Metadata& metadata);

}  // namespace tca::runtime
