// The index of a sharded checkpoint; the one shard it may name is there and holds nothing.
#include <cstdint>

#include "fuzz/scratch.h"
#include "runtime/io/safetensors.h"
#include "tca/error.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const tca::fuzz::Scratch scratch;
  static const std::uint8_t kEmptyShard[] = {2, 0, 0, 0, 0, 0, 0, 0, '{', '}'};
  static const std::string shard = scratch.write("a.safetensors", kEmptyShard, sizeof(kEmptyShard));
  scratch.write("model.safetensors.index.json", data, size);
  try {
    tca::runtime::Checkpoint::open(scratch.folder());
  } catch (const tca::Error&) {
  }
  return 0;
}
