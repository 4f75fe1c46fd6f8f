#include "cuda/device.h"

#include <cstdint>
#include <limits>

#include "core/check.h"

namespace tca::cuda {
namespace {

constexpr int kLeastCapability = 80;  // cp.async, bf16 products

class DeviceMemory final : public Memory {
 public:
  explicit DeviceMemory(cudaStream_t stream) : stream_(stream) {}

  void* allocate(std::size_t bytes) override {
    void* memory = nullptr;
    const cudaError_t error = cudaMallocAsync(&memory, bytes, stream_);
    if (error == cudaSuccess) return memory;
    (void)cudaGetLastError();  // an allocation that fails leaves the GPU usable
    fail(ErrorCategory::kOutOfBudget,
         text("the GPU has no ", bytes, " bytes of memory left (", cudaGetErrorString(error), ")"));
  }
  void free(void* memory) noexcept override { (void)cudaFreeAsync(memory, stream_); }
  void copy(void* to, const void* from, std::size_t bytes) override {
    if (bytes == 0) return;
    check(cudaMemcpyAsync(to, from, bytes, cudaMemcpyDefault, stream_), "copying");
    const bool within = on_gpu(to) && on_gpu(from);
    if (!within) check(cudaStreamSynchronize(stream_), "copying");
  }

  static bool on_gpu(const void* address) {
    cudaPointerAttributes attributes{};
    if (cudaPointerGetAttributes(&attributes, address) != cudaSuccess) {
      (void)cudaGetLastError();
      return false;
    }
    return attributes.type == cudaMemoryTypeDevice;
  }

 private:
  cudaStream_t stream_;
};

}  // namespace

void check(cudaError_t error, const char* what) {
  if (error == cudaSuccess) return;
  const ErrorCategory category = error == cudaErrorMemoryAllocation ? ErrorCategory::kOutOfBudget
                                 : error == cudaErrorNoDevice || error == cudaErrorInsufficientDriver
                                     ? ErrorCategory::kUnsupported
                                     : ErrorCategory::kIo;
  fail(category, text("the GPU failed while ", what, ": ", cudaGetErrorString(error)));
}

Device::Device() {
  int count = 0;
  const cudaError_t error = cudaGetDeviceCount(&count);
  check_supported(error == cudaSuccess && count > 0,
                  "there is no usable GPU: ", error == cudaSuccess ? "no device" : cudaGetErrorString(error));
  check(cudaSetDevice(0), "opening device 0");
  int major = 0, minor = 0;
  check(cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, 0), "asking for its compute capability");
  check(cudaDeviceGetAttribute(&minor, cudaDevAttrComputeCapabilityMinor, 0), "asking for its compute capability");
  check(cudaDeviceGetAttribute(&num_sms_, cudaDevAttrMultiProcessorCount, 0), "asking for its size");
  compute_capability_ = 10 * major + minor;
  check_supported(compute_capability_ >= kLeastCapability, "there is no usable GPU: device 0 has compute capability ",
                  major, ".", minor, ", and 8.0 is needed");
  check(cudaStreamCreateWithFlags(&stream_, cudaStreamNonBlocking), "making a stream");
  // What is freed stays with the process: the next layer asks for the same sizes.
  cudaMemPool_t pool = nullptr;
  check(cudaDeviceGetDefaultMemPool(&pool, 0), "setting its memory up");
  std::uint64_t keep = std::numeric_limits<std::uint64_t>::max();
  check(cudaMemPoolSetAttribute(pool, cudaMemPoolAttrReleaseThreshold, &keep), "setting its memory up");
  memory_ = std::make_unique<DeviceMemory>(stream_);
}

Device& Device::get() {
  static Device* const device = new Device;  // never destroyed: CUDA may be gone before statics are
  return *device;
}

bool Device::available() noexcept {
  try {
    get();
    return true;
  } catch (const Error&) {
    return false;
  }
}

void Device::synchronize() const { check(cudaStreamSynchronize(stream_), "computing"); }

bool Device::holds(const void* address) const { return DeviceMemory::on_gpu(address); }

std::string Device::description() const {
  cudaDeviceProp properties{};
  check(cudaGetDeviceProperties(&properties, 0), "asking for its name");
  return text(properties.name, ", compute capability ", properties.major, ".", properties.minor, ", ",
              properties.totalGlobalMem >> 20, " MiB");
}

}  // namespace tca::cuda
