// A saved KV cache: what is accepted can be read, grown and saved.
#include <cstdint>
#include <vector>

#include "fuzz/scratch.h"
#include "tca/error.h"
#include "tca/kv_cache.h"

namespace {

constexpr std::int32_t kHeadDim = 64;

void use(tca::KvCache& cache) {
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
  const std::string path = scratch.write("cache", data, size);
  const auto pool = tca::KvPool::create(std::size_t{16} << 20, kHeadDim, tca::DType::kBF16);
  try {
    tca::KvCache cache = tca::KvCache::load(path, pool, [](const tca::KvShape&, const std::string&) {});
    use(cache);
    cache.save(path, "");
  } catch (const tca::Error&) {
  }
  return 0;
}
