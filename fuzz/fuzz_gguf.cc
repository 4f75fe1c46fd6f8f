// A GGUF file: of what is accepted every tensor can be read, and its tokenizer encodes any text.
#include <algorithm>
#include <cstdint>
#include <vector>

#include "fuzz/scratch.h"
#include "runtime/gguf/gguf_file.h"
#include "runtime/gguf/gguf_tokenizer.h"
#include "runtime/io/model_config.h"
#include "runtime/io/tensor_source.h"
#include "runtime/tokenizer/tokenizer.h"
#include "tca/error.h"

namespace {

template <class Operation>
void attempt(const Operation& operation) {
  try {
    operation();
  } catch (const tca::Error&) {
  }
}

void read_all(const tca::runtime::TensorSource& source) {
  for (const auto& [name, tensor] : source.tensors()) {
    std::vector<float> row(static_cast<std::size_t>(tensor.width()));
    for (std::int64_t i = 0; i < tensor.num_rows(); ++i) read_rows(tensor, i, 1, row.data());
  }
  (void)source.content_hash();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const tca::fuzz::Scratch scratch;
  const std::string path = scratch.write("model.gguf", data, size);
  attempt([&] { read_all(*tca::runtime::TensorSource::open(path)); });
  attempt([&] { tca::runtime::ModelConfig::load(path); });
  attempt([&] { tca::runtime::gguf_tokenizer_config(tca::runtime::GgufFile::open(path).metadata()); });
  attempt([&] {
    const auto tokenizer = tca::runtime::Tokenizer::load(path);
    const auto ids = tokenizer.encode("Ab a<s>c  \xc3\xa4\xff 12 \n x", true);
    (void)tokenizer.decode(ids, false);
  });
  return 0;
}
