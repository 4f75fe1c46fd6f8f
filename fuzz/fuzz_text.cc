// Any bytes as text for a tokenizer: whole and streamed decoding agree.
#include <cstdint>
#include <cstdlib>
#include <string>

#include "runtime/tokenizer/tokenizer.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const auto tokenizer = tca::runtime::Tokenizer::load(TCA_SOURCE_DIR "/models/lookback-28m");
  const std::string text(reinterpret_cast<const char*>(data), size);
  const auto ids = tokenizer.encode_plain(text);
  tca::runtime::StreamDecoder decoder(tokenizer);
  std::string streamed;
  for (const auto id : ids) streamed += decoder.push(id);
  streamed += decoder.finish();
  if (streamed != tokenizer.decode(ids)) std::abort();
  return 0;
}
