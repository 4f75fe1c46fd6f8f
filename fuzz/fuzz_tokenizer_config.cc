// tokenizer_config.json beside a tokenizer.json: what is accepted encodes any text.
#include <cstdint>
#include <string>

#include "core/file.h"
#include "runtime/tokenizer/tokenizer.h"
#include "tca/error.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const std::string kTokenizer = tca::read_file(TCA_SOURCE_DIR "/fuzz/seeds/fuzz_tokenizer/qwen.json", 1 << 20);
  static const std::string kText = "A word<|tool|> 12 <soft> \xe4\xb8\xad \xff\n\n  <|im_end|> the end";
  try {
    const std::string config(reinterpret_cast<const char*>(data), size);
    const auto tokenizer = tca::runtime::Tokenizer::parse(kTokenizer, "tokenizer.json", config);
    tokenizer.decode(tokenizer.encode(kText, true), false);
    tokenizer.encode_plain(kText);
  } catch (const tca::Error&) {
  }
  return 0;
}
