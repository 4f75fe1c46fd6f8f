// tokenizer.json: what is accepted encodes any text, and decodes what it encoded.
#include <cstdint>
#include <string>

#include "runtime/tokenizer/tokenizer.h"
#include "tca/error.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const std::string kText = "A word, 12 words \xe4\xb8\xad\xf0\x9f\x98\x80 \xff\n\n  it's <|im_end|> the end";
  try {
    const std::string json(reinterpret_cast<const char*>(data), size);
    const auto tokenizer = tca::runtime::Tokenizer::parse(json, "tokenizer.json");
    const auto ids = tokenizer.encode(kText, true);
    tokenizer.decode(ids, false);
    tokenizer.decode(tokenizer.encode_plain(kText), true);
  } catch (const tca::Error&) {
  }
  return 0;
}
