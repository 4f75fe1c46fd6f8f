// A safetensors file: of what is accepted, every byte can be read.
#include <cstdint>

#include "fuzz/scratch.h"
#include "runtime/io/safetensors.h"
#include "tca/error.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const tca::fuzz::Scratch scratch;
  scratch.write("model.safetensors", data, size);
  try {
    const auto checkpoint = tca::runtime::Checkpoint::open(scratch.folder());
    volatile std::uint8_t sum = 0;
    for (const auto& [name, tensor] : checkpoint.tensors()) {
      const auto bytes = static_cast<std::size_t>(tensor.num_elements()) * tca::dtype_size(tensor.dtype);
      for (std::size_t i = 0; i < bytes; ++i) sum = sum + static_cast<const std::uint8_t*>(tensor.data)[i];
    }
  } catch (const tca::Error&) {
  }
  return 0;
}
