// config.json of a model.
#include <cstdint>

#include "fuzz/scratch.h"
#include "runtime/io/model_config.h"
#include "tca/error.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const tca::fuzz::Scratch scratch;
  scratch.write("config.json", data, size);
  try {
    tca::runtime::ModelConfig::load(scratch.folder());
  } catch (const tca::Error&) {
  }
  return 0;
}
