// Where tensors may lie: pinned and managed memory is host memory, another GPU's is refused by name; and whichever
// device the caller is on, it stays there.
#include <cuda_runtime.h>

#include <cstring>
#include <functional>

#include "cuda/gpu.h"
#include "cuda/spin.h"
#include "tca/error.h"

namespace tca::cuda_test {
namespace {

constexpr std::int32_t kHeads = 4, kKvHeads = 2, kDim = 64;
constexpr std::int64_t kTokens = 200;

/// A copy of host memory in pinned or managed memory.
class Placed {
 public:
  Placed(const std::vector<std::byte>& from, bool managed) : managed_(managed), size_(from.size()) {
    cuda::check(managed ? cudaMallocManaged(&data_, size_) : cudaMallocHost(&data_, size_), "allocating");
    std::memcpy(data_, from.data(), size_);
  }
  ~Placed() { (void)(managed_ ? cudaFree(data_) : cudaFreeHost(data_)); }
  Placed(const Placed&) = delete;
  Placed& operator=(const Placed&) = delete;
  MutableTensorView view(MutableTensorView shape) const {
    shape.data = data_;
    return shape;
  }
  std::vector<std::byte> read() const {
    const auto* const begin = static_cast<const std::byte*>(data_);
    return {begin, begin + size_};
  }
  void overwrite() const { std::memset(data_, 0x7f, size_); }

 private:
  bool managed_;
  std::size_t size_;
  void* data_ = nullptr;
};

struct Tensors {
  HostTensor q = HostTensor::random(1, DType::kBF16, kTokens, kHeads, kDim);
  HostTensor k = HostTensor::random(2, DType::kBF16, kTokens, kKvHeads, kDim);
  HostTensor v = HostTensor::random(3, DType::kBF16, kTokens, kKvHeads, kDim);
  HostTensor out{DType::kBF16, kTokens, kHeads, kDim};
  PrefillParams prefill() { return {.q = q.view(), .k = k.view(), .v = v.view(), .out = out.view()}; }
};

class PlacesTest : public GpuTest {};

TEST_F(PlacesTest, PinnedAndManagedMemoryIsHostMemory) {
  const auto backend = this->backend();
  Tensors t;
  const PrefillParams usual = t.prefill();
  backend->prefill_attention({&usual, 1});
  const GpuBytes out_there(t.out.bytes);
  for (const bool managed : {false, true}) {
    const Placed q(t.q.bytes, managed), k(t.k.bytes, managed), v(t.v.bytes, managed), out(t.q.bytes, managed);
    PrefillParams params{
        .q = q.view(t.q.shape), .k = k.view(t.k.shape), .v = v.view(t.v.shape), .out = out.view(t.out.shape)};
    // The stream is busy, so what is not waited for is not there.
    spin(static_cast<cudaStream_t>(backend->stream()->handle), 50);
    backend->prefill_attention({&params, 1});
    EXPECT_EQ(out.read(), t.out.bytes) << "managed " << managed;
    // Results on the GPU: the inputs are the caller's again when the call returns.
    params.out = out_there.view(t.out.shape);
    spin(static_cast<cudaStream_t>(backend->stream()->handle), 50);
    backend->prefill_attention({&params, 1});
    for (const Placed* input : {&q, &k, &v}) input->overwrite();
    EXPECT_EQ(out_there.read(), t.out.bytes) << "managed " << managed;
  }
}

TEST_F(PlacesTest, StoresFromPinnedAndManagedMemory) {
  const auto backend = this->backend();
  Tensors t;
  const auto pool = backend->create_kv_pool(std::size_t{4} << 20, kDim, DType::kBF16);
  const auto decoded = [&](const TensorView& k, const TensorView& v, const std::function<void()>& then) {
    KvCache cache(pool, {.num_layers = 1, .num_kv_heads = kKvHeads, .head_dim = kDim, .dtype = DType::kBF16});
    spin(static_cast<cudaStream_t>(backend->stream()->handle), 20);
    cache.store(0, k, v);
    then();
    HostTensor out(DType::kBF16, 1, kHeads, kDim);
    const DecodeParams params{.q = TensorView(t.q.view()).tokens(kTokens - 1, 1), .out = out.view(), .cache = &cache};
    backend->decode_attention({&params, 1});
    return out.bytes;
  };
  const std::vector<std::byte> expected = decoded(t.k.view(), t.v.view(), [] {});
  for (const bool managed : {false, true}) {
    const Placed k(t.k.bytes, managed), v(t.v.bytes, managed);
    EXPECT_EQ(decoded(k.view(t.k.shape), v.view(t.v.shape),
                      [&] {
                        k.overwrite();
                        v.overwrite();
                      }),
              expected)
        << "managed " << managed;
  }
}

TEST_F(PlacesTest, SpansOfTheHostAreNoGpuMemory) {
  const auto backend = this->backend();
  Tensors t;
  const GpuBytes scores(std::vector<std::byte>(kKvHeads * kTokens * sizeof(float)));
  const std::span<float> there(static_cast<float*>(scores.block.data()), kKvHeads * kTokens);
  try {
    backend->probe_scores({.q = TensorView(t.q.view()).tokens(kTokens - 8, 8), .k = t.k.view()}, there);
    ADD_FAILURE() << "taken";
  } catch (const Error& error) {
    EXPECT_EQ(error.category(), ErrorCategory::kInvalidArgument);
    EXPECT_NE(std::string(error.what()).find("out lies in GPU memory"), std::string::npos) << error.what();
  }
}

// ---- Two GPUs ----

class TwoGpuTest : public testing::Test {
 protected:
  void SetUp() override {
    if (!cuda::Device::available(0) || !cuda::Device::available(1)) GTEST_SKIP() << "needs two NVIDIA GPUs";
  }
  void TearDown() override { (void)cudaSetDevice(0); }

  ThreadPool pool_{1};
};

int current_device() {
  int device = -1;
  cuda::check(cudaGetDevice(&device), "asking for the device");
  return device;
}

TEST_F(TwoGpuTest, BothGiveTheSameBitsAndLeaveTheCallersDeviceAlone) {
  const auto first = create_backend("cuda:0", pool_), second = create_backend("cuda:1", pool_);
  EXPECT_EQ(second->stream()->device, 1);
  Tensors t;
  std::vector<std::vector<std::byte>> results;
  for (const int caller : {0, 1}) {
    for (const Backend* backend : {first.get(), second.get()}) {
      cuda::check(cudaSetDevice(caller), "choosing a device");
      {
        KvCache cache(backend->create_kv_pool(std::size_t{4} << 20, kDim, DType::kBF16),
                      {.num_layers = 1, .num_kv_heads = kKvHeads, .head_dim = kDim, .dtype = DType::kBF16});
        const std::vector<BlockShares> shares(kKvHeads, BlockShares::window(64));
        const KeptSet kept =
            backend->select({.q = TensorView(t.q.view()).tokens(kTokens - 32, 32), .k = t.k.view(), .shares = shares});
        EXPECT_EQ(current_device(), caller);
        PrefillParams params = t.prefill();
        params.kept = &kept;
        params.window = 32;
        backend->prefill_attention({&params, 1});
        EXPECT_EQ(current_device(), caller);
        cache.store(0, t.k.view(), t.v.view());
        EXPECT_EQ(current_device(), caller);
        HostTensor one(DType::kBF16, 1, kHeads, kDim);
        const DecodeParams decode{
            .q = TensorView(t.q.view()).tokens(kTokens - 1, 1), .out = one.view(), .cache = &cache};
        backend->decode_attention({&decode, 1});
        backend->synchronize();
        std::vector<std::byte> result = t.out.bytes;
        result.insert(result.end(), one.bytes.begin(), one.bytes.end());
        results.push_back(std::move(result));
      }
      EXPECT_EQ(current_device(), caller);
    }
  }
  for (const auto& result : results) EXPECT_EQ(result, results.front());
}

TEST_F(TwoGpuTest, MemoryOfTheOtherGpuIsRefusedByName) {
  const auto backend = create_backend("cuda:0", pool_);
  const std::shared_ptr<cuda::Device> other = cuda::Device::get(1);
  Tensors t;
  MemoryBlock block(other->memory());
  block.reserve(t.q.bytes.size());
  const auto there = [&](MutableTensorView shape) {
    shape.data = block.data();
    return shape;
  };
  const auto refused = [&](const std::string& name, const std::function<void()>& call) {
    try {
      call();
      ADD_FAILURE() << name << " was taken";
    } catch (const Error& error) {
      EXPECT_EQ(error.category(), ErrorCategory::kInvalidArgument);
      EXPECT_NE(std::string(error.what()).find(name + " lies in the memory of GPU 1"), std::string::npos)
          << error.what();
    }
  };
  const auto prefill = [&](const std::function<void(PrefillParams&)>& change) {
    return [&t, &backend, change] {
      PrefillParams params = t.prefill();
      change(params);
      backend->prefill_attention({&params, 1});
    };
  };
  refused("q", prefill([&](PrefillParams& p) { p.q = there(t.q.shape); }));
  refused("k", prefill([&](PrefillParams& p) { p.k = there(t.k.shape); }));
  refused("v", prefill([&](PrefillParams& p) { p.v = there(t.v.shape); }));
  refused("out", prefill([&](PrefillParams& p) { p.out = there(t.out.shape); }));
  refused("lse", prefill([&](PrefillParams& p) {
            p.lse = {static_cast<float*>(block.data()), static_cast<std::size_t>(kTokens * kHeads)};
          }));
  KvCache cache(backend->create_kv_pool(std::size_t{4} << 20, kDim, DType::kBF16),
                {.num_layers = 1, .num_kv_heads = kKvHeads, .head_dim = kDim, .dtype = DType::kBF16});
  refused("store: k", [&] { cache.store(0, there(t.k.shape), t.v.view()); });
  refused("store: v", [&] { cache.store(0, t.k.view(), there(t.v.shape)); });
  EXPECT_EQ(cache.num_tokens(0), 0);
  EXPECT_EQ(cache.length(0, 1), 0);
  EXPECT_EQ(cache.bytes_used(), 0u);
}

TEST_F(TwoGpuTest, ACacheOfTheOtherGpuIsRefusedByName) {
  const auto first = create_backend("cuda:0", pool_), second = create_backend("cuda:1", pool_);
  Tensors t;
  KvCache cache(second->create_kv_pool(std::size_t{4} << 20, kDim, DType::kBF16),
                {.num_layers = 1, .num_kv_heads = kKvHeads, .head_dim = kDim, .dtype = DType::kBF16});
  cache.store(0, t.k.view(), t.v.view());
  PrefillParams params = t.prefill();
  params.past = {.cache = &cache, .layer = 0};
  try {
    first->prefill_attention({&params, 1});
    ADD_FAILURE() << "taken";
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find("pages lie on GPU 1"), std::string::npos) << error.what();
  }
}

TEST_F(TwoGpuTest, AKeptSetOfTheOtherGpuIsTakenByItsPositions) {
  const auto first = create_backend("cuda:0", pool_), second = create_backend("cuda:1", pool_);
  Tensors t;
  BlockShares quarter = BlockShares::window(16);
  quarter.share.front() = 0.75;
  quarter.share.back() = 0.25;
  const std::vector<BlockShares> shares(kKvHeads, quarter);
  const auto select = [&](const Backend& backend) {
    return backend.select({.q = TensorView(t.q.view()).tokens(kTokens - 32, 32),
                           .k = t.k.view(),
                           .shares = shares,
                           .rule = {.block_size = 16, .window = 32}});
  };
  const KeptSet own = select(*first), others = select(*second);
  PrefillParams params = t.prefill();
  params.window = 32;
  params.kept = &own;
  first->prefill_attention({&params, 1});
  const std::vector<std::byte> expected = t.out.bytes;
  params.kept = &others;
  first->prefill_attention({&params, 1});
  EXPECT_EQ(t.out.bytes, expected);
}

}  // namespace
}  // namespace tca::cuda_test
