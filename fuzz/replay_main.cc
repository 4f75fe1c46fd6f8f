// Runs a fuzz target without libFuzzer: every seed as it is, cut short, and with single bytes changed. A crash or a
// sanitizer's report is the failure.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

namespace {

using Bytes = std::vector<std::uint8_t>;

constexpr int kCuts = 64, kChanges = 256;

void run(const Bytes& bytes) {
  // A copy of the exact size, so that reading beyond the end is seen.
  const Bytes exact(bytes);
  LLVMFuzzerTestOneInput(exact.data(), exact.size());
}

void run_with_neighbours(const Bytes& seed) {
  run(seed);
  for (int i = 0; i < kCuts; ++i) {
    run(Bytes(seed.begin(), seed.begin() + static_cast<std::ptrdiff_t>(seed.size() * i / kCuts)));
  }
  if (seed.empty()) return;
  std::mt19937 random(1);
  for (int i = 0; i < kChanges; ++i) {
    Bytes changed = seed;
    changed[random() % changed.size()] = static_cast<std::uint8_t>(random());
    run(changed);
  }
}

}  // namespace

int main(int argc, char** argv) {
  int seeds = 0;
  for (int i = 1; i < argc; ++i) {
    for (const auto& entry : std::filesystem::directory_iterator(argv[i])) {
      std::ifstream stream(entry.path(), std::ios::binary);
      run_with_neighbours(Bytes(std::istreambuf_iterator<char>(stream), {}));
      ++seeds;
    }
  }
  std::printf("%d seeds and their neighbours\n", seeds);
  return seeds > 0 ? 0 : 1;
}
