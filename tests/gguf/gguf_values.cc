// tca_gguf_values: what stored values read as in fp32, on standard output, for comparisons with the gguf package.
//   blocks TYPE        of blocks of a type, on standard input
//   tensor MODEL NAME  of a tensor of a model, by its name in checkpoints
#include <cstdio>
#include <exception>
#include <iostream>
#include <iterator>
#include <string>
#include <string_view>
#include <vector>

#include "core/check.h"
#include "runtime/gguf/block_format.h"
#include "runtime/io/tensor_source.h"

namespace {

using namespace tca::runtime;

std::vector<float> values_of_blocks(std::string_view type, const std::string& stored) {
  for (const BlockFormat& format : block_formats()) {
    if (type != format.name) continue;
    const std::int64_t count = std::ssize(stored) / format.bytes;
    std::vector<float> values(static_cast<std::size_t>(count * format.values));
    format.read(reinterpret_cast<const std::byte*>(stored.data()), count, values.data());
    return values;
  }
  tca::fail(tca::ErrorCategory::kUnsupported, tca::text("no such type: ", type));
}

std::vector<float> values_of_tensor(const std::string& model, const std::string& name) {
  const auto source = TensorSource::open(model);
  const StoredTensor& tensor = source->tensors().at(name);
  std::vector<float> values(static_cast<std::size_t>(tensor.num_elements()));
  if (tensor.shape.size() == 1) {
    read_vector(tensor, values.data());
  } else {
    read_rows(tensor, 0, tensor.num_rows(), values.data());
  }
  return values;
}

}  // namespace

int main(int argc, char** argv) {
  const std::vector<std::string> args(argv + 1, argv + argc);
  try {
    std::vector<float> values;
    if (args.size() == 2 && args[0] == "blocks") {
      values = values_of_blocks(args[1], {std::istreambuf_iterator<char>(std::cin), {}});
    } else if (args.size() == 3 && args[0] == "tensor") {
      values = values_of_tensor(args[1], args[2]);
    } else {
      std::fprintf(stderr, "usage: tca_gguf_values blocks TYPE < blocks | tensor MODEL NAME\n");
      return 2;
    }
    std::fwrite(values.data(), sizeof(float), values.size(), stdout);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "tca_gguf_values: %s\n", error.what());
    return 1;
  }
  return 0;
}
