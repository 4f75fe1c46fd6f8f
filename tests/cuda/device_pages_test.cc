// Pages in GPU memory: what is stored comes back, whatever the dtype, memory and strides it came from; memory comes and
// goes in chunks.
#include "cuda/kv/device_pages.h"

#include "core/kv_cache_impl.h"
#include "cuda/gpu.h"
#include "tca/error.h"

namespace tca::cuda_test {
namespace {

class DevicePagesTest : public GpuTest {};

/// Row of a slot, through the pool's own reading.
std::vector<float> stored(const KvCache& cache, std::int32_t head, std::int64_t slot, bool value) {
  const KvPages& pages = KvPoolAccess::pages(*cache.pool());
  std::vector<std::byte> k(kPageTokens * pages.row_bytes), v(k.size());
  const KvList& list = KvCacheAccess::impl(cache).list(0, head);
  pages.read_rows(list.pages[static_cast<std::size_t>(slot / kPageTokens)], kPageTokens, k.data(), v.data());
  std::vector<float> row(static_cast<std::size_t>(pages.head_dim));
  convert_row((value ? v : k).data() + static_cast<std::size_t>(slot % kPageTokens) * pages.row_bytes, pages.dtype,
              row.data(), pages.head_dim);
  return row;
}

/// An element of a tensor, rounded to a pool's dtype.
float rounded(const HostTensor& t, DType dtype, std::int64_t token, std::int32_t head, std::int32_t i) {
  std::uint32_t memory = 0;
  store_element(&memory, dtype, 0, t.at(token, head, i));
  return load_element(&memory, dtype, 0);
}

void expect_row(const KvCache& cache, std::int32_t head, std::int64_t slot, const HostTensor& k, const HostTensor& v,
                std::int64_t token) {
  const DType dtype = cache.shape().dtype;
  const std::vector<float> key = stored(cache, head, slot, false), value = stored(cache, head, slot, true);
  for (std::int32_t i = 0; i < cache.shape().head_dim; ++i) {
    ASSERT_EQ(key[static_cast<std::size_t>(i)], rounded(k, dtype, token, head, i)) << "slot " << slot << ", " << i;
    ASSERT_EQ(value[static_cast<std::size_t>(i)], rounded(v, dtype, token, head, i)) << "slot " << slot << ", " << i;
  }
}

TEST_F(DevicePagesTest, StoresWhatItIsGivenFromAnyMemoryAndDtype) {
  const auto backend = this->backend();
  for (const std::int32_t d : kHeadDims) {
    for (const DType dtype : kHalves) {
      const auto pool = backend->create_kv_pool(std::size_t{16} << 20, d, dtype);
      EXPECT_EQ(pool->layout(), PageLayout::kSwizzled);
      for (const DType source : {DType::kF32, DType::kBF16, DType::kF16}) {
        HostTensor k = HostTensor::random(1, source, 150, 2, d), v = HostTensor::random(2, source, 150, 2, d);
        const GpuBytes k_there(k.bytes), v_there(v.bytes);
        for (const bool on_gpu : {false, true}) {
          KvCache cache(pool, {.num_layers = 1, .num_kv_heads = 2, .head_dim = d, .dtype = dtype});
          cache.store(0, on_gpu ? k_there.view(k.shape) : k.view(), on_gpu ? v_there.view(v.shape) : v.view());
          for (const std::int64_t slot : {0, 1, 63, 64, 100, 149}) {
            for (const std::int32_t head : {0, 1}) expect_row(cache, head, slot, k, v, slot);
          }
        }
      }
    }
  }
}

TEST_F(DevicePagesTest, KeptTokensThinningAndForksMoveRows) {
  const auto backend = this->backend();
  const auto pool = backend->create_kv_pool(std::size_t{16} << 20, 128, DType::kBF16);
  HostTensor k = HostTensor::random(3, DType::kBF16, 200, 1, 128), v = HostTensor::random(4, DType::kBF16, 200, 1, 128);
  KvCache cache(pool, {.num_layers = 1, .num_kv_heads = 1, .head_dim = 128, .dtype = DType::kBF16});
  const KeptSet kept(200, {0, 3}, {2, 70, 199});
  cache.store(0, k.view(), v.view(), &kept, 100);
  ASSERT_EQ(cache.length(0, 0), 102);  // 2, 70, and 100 to 199
  expect_row(cache, 0, 1, k, v, 70);
  KvCache fork = cache.fork();
  // Of the tail's 100 tokens every third stays, of a page that the fork holds too.
  std::vector<std::int32_t> every_third;
  for (std::int32_t i = 0; i < 90; i += 3) every_third.push_back(i);
  cache.thin(0, 0, 90, every_third);
  ASSERT_EQ(cache.length(0, 0), 42);
  for (std::int64_t i = 0; i < 30; ++i) expect_row(cache, 0, 2 + i, k, v, 100 + 3 * i);
  for (std::int64_t i = 0; i < 10; ++i) expect_row(cache, 0, 32 + i, k, v, 190 + i);
  for (std::int64_t i = 0; i < 100; ++i) expect_row(fork, 0, 2 + i, k, v, 100 + i);
  fork.thin(0, 0, 90, every_third);  // now in place: sources lie behind their slots
  for (std::int64_t i = 0; i < 30; ++i) expect_row(fork, 0, 2 + i, k, v, 100 + 3 * i);
}

TEST_F(DevicePagesTest, RowsSurviveReadingAndWriting) {
  for (const std::int32_t d : kHeadDims) {
    cuda::DevicePages pages(cuda::Device::get(), std::size_t{1} << 20, d, DType::kF16);
    KvPage* const page = pages.acquire(1).front();
    const HostTensor k = HostTensor::random(5, DType::kF16, 64, 1, d), v = HostTensor::random(6, DType::kF16, 64, 1, d);
    pages.write_rows(page, 64, k.bytes.data(), v.bytes.data());
    std::vector<std::byte> k_back(k.bytes.size()), v_back(v.bytes.size());
    pages.read_rows(page, 64, k_back.data(), v_back.data());
    EXPECT_EQ(k_back, k.bytes);
    EXPECT_EQ(v_back, v.bytes);
    pages.release(page);
  }
}

TEST_F(DevicePagesTest, MemoryComesAndGoes) {
  cuda::DevicePages pages(cuda::Device::get(), std::size_t{256} << 20, 128, DType::kBF16);
  EXPECT_EQ(pages.mapped_bytes(), 0u);
  const std::vector<KvPage*> all = pages.acquire(static_cast<std::int64_t>(pages.budget / pages.page_bytes));
  EXPECT_GE(pages.mapped_bytes(), pages.budget);
  EXPECT_EQ(all.front()->number, 0);
  EXPECT_THROW(pages.acquire(1), Error);
  for (KvPage* page : all) pages.release(page);
  EXPECT_LE(pages.mapped_bytes(), std::size_t{64} << 20);
  KvPage* const again = pages.acquire(1).front();
  EXPECT_LT(again->number, 1024);  // of the first chunk
  pages.release(again);
}

TEST_F(DevicePagesTest, SaysWhatItSupports) {
  const auto backend = this->backend();
  for (const auto& [head_dim, dtype] : {std::pair{80, DType::kBF16}, std::pair{128, DType::kF32}}) {
    try {
      (void)backend->create_kv_pool(std::size_t{1} << 20, head_dim, dtype);
      ADD_FAILURE() << head_dim;
    } catch (const Error& error) {
      EXPECT_EQ(error.category(), ErrorCategory::kUnsupported) << error.what();
    }
  }
}

}  // namespace
}  // namespace tca::cuda_test
