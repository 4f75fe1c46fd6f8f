// A saved KV cache: what is accepted can be read and saved again.
#include <cstdint>
#include <cstring>
#include <string>

#include "core/checksum.h"
#include "fuzz/scratch.h"
#include "tca/error.h"
#include "tca/kv_cache.h"

namespace {

constexpr std::int32_t kHeadDim = 2;  // a token takes 12 bytes

// Offsets in the file's header (core/kv_cache_file.cc).
constexpr std::size_t kLayersAt = 20, kHeadsAt = 24, kMetadataBytesAt = 32, kFileBytesAt = 40, kHeaderBytes = 48;

template <class T>
T get(const std::string& file, std::size_t at) {
  T value;
  std::memcpy(&value, file.data() + at, sizeof(value));
  return value;
}

void put(std::string& file, std::size_t at, std::uint64_t value) {
  std::memcpy(file.data() + at, &value, sizeof(value));
}

void put_checksum(std::string& file, std::size_t at) {
  tca::Checksum64 checksum;
  checksum.update(file.data(), at);
  put(file, at, checksum.value());
}

// Checksums and size would refuse nearly everything a fuzzer makes: both are set right, so that it gets past them.
std::string with_right_sums(const std::uint8_t* data, std::size_t size) {
  std::string file(reinterpret_cast<const char*>(data), size);
  if (size < kHeaderBytes + 2 * sizeof(std::uint64_t)) return file;
  put(file, kFileBytesAt, size);
  const std::uint64_t layers = get<std::uint32_t>(file, kLayersAt), heads = get<std::uint32_t>(file, kHeadsAt);
  const std::uint64_t metadata = get<std::uint64_t>(file, kMetadataBytesAt), last = size - sizeof(std::uint64_t);
  if (layers < 64 && heads < 64 && metadata < size) {
    const std::uint64_t index_end = kHeaderBytes + metadata + sizeof(std::uint64_t) * layers * (1 + 2 * heads);
    if (index_end < last) put_checksum(file, index_end);
  }
  put_checksum(file, last);
  return file;
}

void read_everything(const tca::KvCache& cache) {
  volatile std::int64_t sum = 0;
  for (std::int32_t layer = 0; layer < cache.shape().num_layers; ++layer) {
    for (std::int32_t head = 0; head < cache.shape().num_kv_heads; ++head) {
      for (std::int32_t index = 0; index < cache.num_pages(layer, head); ++index) {
        const tca::KvPageView page = cache.page(layer, head, index);
        for (std::int32_t slot = 0; slot < page.count; ++slot) sum = sum + page.positions[slot];
      }
    }
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const tca::fuzz::Scratch scratch;
  const std::string file = with_right_sums(data, size);
  const std::string path = scratch.write("cache", file.data(), file.size());
  const auto pool = tca::KvPool::create(std::size_t{1} << 20, kHeadDim, tca::DType::kBF16);
  try {
    const tca::KvCache cache = tca::KvCache::load(path, pool, [](const tca::KvShape&, const std::string&) {});
    read_everything(cache);
    cache.save(path, "");
  } catch (const tca::Error&) {
  }
  return 0;
}
