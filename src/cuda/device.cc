#include "cuda/device.h"

#include <cstdint>
#include <cstring>
#include <limits>
#include <map>
#include <utility>

#include "core/check.h"

namespace tca::cuda {
namespace {

constexpr int kLeastCapability = 80;  // cp.async, bf16 products
// Larger uploads go as they are: the driver copies them piece by piece, and waits for it.
constexpr std::size_t kLargestPinned = std::size_t{1} << 20;

class DeviceMemory final : public Memory {
 public:
  DeviceMemory(int ordinal, cudaStream_t stream) : ordinal_(ordinal), stream_(stream) {}

  void* allocate(std::size_t bytes) override {
    const DeviceGuard guard(ordinal_);
    void* memory = nullptr;
    const cudaError_t error = cudaMallocAsync(&memory, bytes, stream_);
    if (error == cudaSuccess) return memory;
    (void)cudaGetLastError();  // an allocation that fails leaves the GPU usable
    fail(ErrorCategory::kOutOfBudget,
         text("the GPU has no ", bytes, " bytes of memory left (", cudaGetErrorString(error), ")"));
  }
  void free(void* memory) noexcept override {
    const DeviceGuard guard(ordinal_);
    (void)cudaFreeAsync(memory, stream_);
  }
  void copy(void* to, const void* from, std::size_t bytes) override {
    if (bytes == 0) return;
    const DeviceGuard guard(ordinal_);
    check(cudaMemcpyAsync(to, from, bytes, cudaMemcpyDefault, stream_), "copying");
    const bool within = Device::gpu_of(to) >= 0 && Device::gpu_of(from) >= 0;
    if (!within) check(cudaStreamSynchronize(stream_), "copying");
  }

 private:
  int ordinal_;
  cudaStream_t stream_;
};

/// The library's own streams, and who looks after which of the callers'. Never destroyed: CUDA may be gone before
/// statics are.
struct Registry {
  std::mutex mutex;
  std::map<int, std::shared_ptr<Device>> own;
  std::map<std::pair<int, cudaStream_t>, std::weak_ptr<Device>> callers;

  static Registry& get() {
    static Registry* const registry = new Registry;
    return *registry;
  }
};

void check_ordinal(int ordinal) {
  int count = 0;
  const cudaError_t error = cudaGetDeviceCount(&count);
  check_supported(error == cudaSuccess && count > 0,
                  "there is no usable GPU: ", error == cudaSuccess ? "no device" : cudaGetErrorString(error));
  check_supported(ordinal >= 0 && ordinal < count, "there is no GPU ", ordinal, ": CUDA shows ", count,
                  ", counted from 0");
}

}  // namespace

void check(cudaError_t error, const char* what) {
  if (error == cudaSuccess) return;
  const ErrorCategory category = error == cudaErrorMemoryAllocation ? ErrorCategory::kOutOfBudget
                                 : error == cudaErrorNoDevice || error == cudaErrorInsufficientDriver
                                     ? ErrorCategory::kUnsupported
                                     : ErrorCategory::kIo;
  fail(category, text("the GPU failed while ", what, ": ", cudaGetErrorString(error)));
}

DeviceGuard::DeviceGuard(int ordinal) noexcept {
  changed_ = cudaGetDevice(&before_) == cudaSuccess && before_ != ordinal;
  if (changed_) (void)cudaSetDevice(ordinal);
}

DeviceGuard::~DeviceGuard() {
  if (changed_) (void)cudaSetDevice(before_);
}

void Device::open(const cudaStream_t* callers) {
  const DeviceGuard guard(ordinal_);
  int major = 0, minor = 0;
  check(cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, ordinal_), "asking for its capability");
  check(cudaDeviceGetAttribute(&minor, cudaDevAttrComputeCapabilityMinor, ordinal_), "asking for its capability");
  check(cudaDeviceGetAttribute(&num_sms_, cudaDevAttrMultiProcessorCount, ordinal_), "asking for its size");
  compute_capability_ = 10 * major + minor;
  check_supported(compute_capability_ >= kLeastCapability, "GPU ", ordinal_, " has compute capability ", major, ".",
                  minor, ", and 8.0 is needed");
  // What is freed stays with the process: the next layer asks for the same sizes.
  cudaMemPool_t pool = nullptr;
  check(cudaDeviceGetDefaultMemPool(&pool, ordinal_), "setting its memory up");
  std::uint64_t keep = std::numeric_limits<std::uint64_t>::max();
  check(cudaMemPoolSetAttribute(pool, cudaMemPoolAttrReleaseThreshold, &keep), "setting its memory up");
  check(cudaEventCreateWithFlags(&event_, cudaEventDisableTiming), "making an event");
  if (callers == nullptr) {
    check(cudaStreamCreateWithFlags(&stream_, cudaStreamNonBlocking), "making a stream");
    owns_stream_ = true;
  } else {
    stream_ = *callers;
    // An event of this GPU can be recorded on its streams alone.
    const cudaError_t error = cudaEventRecord(event_, stream_);
    if (error != cudaSuccess) (void)cudaGetLastError();
    check_argument(error == cudaSuccess, "the handle ", reinterpret_cast<std::uintptr_t>(stream_),
                   " is no stream of GPU ", ordinal_, " (", cudaGetErrorString(error), ")");
  }
  memory_ = std::make_unique<DeviceMemory>(ordinal_, stream_);
}

Device::~Device() {
  const DeviceGuard guard(ordinal_);
  if (event_ != nullptr) (void)cudaEventDestroy(event_);
  if (owns_stream_) (void)cudaStreamDestroy(stream_);
}

std::shared_ptr<Device> Device::get(int ordinal) {
  check_ordinal(ordinal);
  Registry& registry = Registry::get();
  const std::lock_guard lock(registry.mutex);
  std::shared_ptr<Device>& device = registry.own[ordinal];
  if (device == nullptr) {
    std::shared_ptr<Device> made(new Device(ordinal));
    made->open(nullptr);
    device = std::move(made);
  }
  return device;
}

std::shared_ptr<Device> Device::on(const Stream& stream) {
  check_ordinal(stream.device);
  auto* handle = static_cast<cudaStream_t>(stream.handle);
  check_argument(handle != cudaStreamPerThread,
                 "the stream is cudaStreamPerThread, which is another one on every thread; pass one you have made");
  if (handle == cudaStreamLegacy) handle = nullptr;
  Registry& registry = Registry::get();
  const std::lock_guard lock(registry.mutex);
  if (const auto own = registry.own.find(stream.device); own != registry.own.end() && own->second != nullptr) {
    if (own->second->stream() == handle) return own->second;
  }
  std::erase_if(registry.callers, [](const auto& entry) { return entry.second.expired(); });
  std::weak_ptr<Device>& known = registry.callers[{stream.device, handle}];
  if (std::shared_ptr<Device> device = known.lock()) return device;
  std::shared_ptr<Device> device(new Device(stream.device));
  device->open(&handle);
  known = device;
  return device;
}

bool Device::available(int ordinal) noexcept {
  try {
    get(ordinal);
    return true;
  } catch (const std::exception&) {
    return false;
  }
}

void Device::synchronize() const {
  const DeviceGuard guard(ordinal_);
  check(cudaStreamSynchronize(stream_), "computing");
}

void Device::follow(const Device& other) const {
  if (is_same_stream(other)) return;
  const std::lock_guard lock(other.event_mutex_);
  {
    const DeviceGuard guard(other.ordinal_);
    check(cudaEventRecord(other.event_, other.stream_), "ordering its streams");
  }
  const DeviceGuard guard(ordinal_);
  check(cudaStreamWaitEvent(stream_, other.event_, 0), "ordering its streams");
}

void Device::upload(void* to, const void* from, std::size_t bytes) {
  if (bytes == 0) return;
  const DeviceGuard guard(ordinal_);
  if (bytes > kLargestPinned) {
    check(cudaMemcpyAsync(to, from, bytes, cudaMemcpyDefault, stream_), "copying to its memory");
    return;
  }
  const PinnedPool::Block block = pinned_.take(bytes);
  std::memcpy(block.data, from, bytes);
  const cudaError_t error = cudaMemcpyAsync(to, block.data, bytes, cudaMemcpyHostToDevice, stream_);
  pinned_.give_back(block, stream_);
  check(error, "copying to its memory");
}

int Device::gpu_of(const void* address) noexcept {
  cudaPointerAttributes attributes{};
  if (cudaPointerGetAttributes(&attributes, address) != cudaSuccess) {
    (void)cudaGetLastError();
    return -1;  // unregistered: ordinary host memory
  }
  return attributes.type == cudaMemoryTypeDevice ? attributes.device : -1;
}

bool Device::holds(const void* address, std::string_view what) const {
  const int there = gpu_of(address);
  check_argument(there < 0 || there == ordinal_, what, " lies in the memory of GPU ", there,
                 ", but what reads or writes it runs on GPU ", ordinal_);
  return there == ordinal_;
}

std::string Device::description() const {
  cudaDeviceProp properties{};
  check(cudaGetDeviceProperties(&properties, ordinal_), "asking for its name");
  return text(properties.name, ", compute capability ", properties.major, ".", properties.minor, ", ",
              properties.totalGlobalMem >> 20, " MiB");
}

}  // namespace tca::cuda
