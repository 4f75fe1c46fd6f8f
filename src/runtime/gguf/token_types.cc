#include "runtime/gguf/token_types.h"

#include "core/json.h"

namespace tca::runtime {

std::vector<TokenType> token_types(const Metadata& metadata, std::size_t count) {
  const char* const key = "tokenizer.ggml.token_type";
  std::vector<TokenType> types(count, TokenType::kNormal);
  if (!metadata.has(key)) return types;
  const std::vector<std::int64_t> numbers = metadata.integers(key);
  if (numbers.size() != count) {
    fail(ErrorCategory::kBadFile,
         text(metadata.path(), ": ", key, " has ", numbers.size(), " entries, but there are ", count, " tokens"));
  }
  for (std::size_t i = 0; i < count; ++i) {
    // 0, undefined, is what nobody has said anything of.
    if (numbers[i] == 0) continue;
    if (numbers[i] < 1 || numbers[i] > 6) {
      fail_field(metadata.path(), text(key, "[", i, "]"), numbers[i], "a type in [1, 6]");
    }
    types[i] = static_cast<TokenType>(numbers[i]);
  }
  return types;
}

}  // namespace tca::runtime
