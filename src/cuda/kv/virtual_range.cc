#include "cuda/kv/virtual_range.h"

#include "core/check.h"
#include "cuda/device.h"

namespace tca::cuda {
namespace {

/// Entry points of the driver, asked of the runtime so that the library does not link the driver.
struct Driver {
  decltype(&cuMemGetAllocationGranularity) granularity = nullptr;
  decltype(&cuMemAddressReserve) reserve = nullptr;
  decltype(&cuMemAddressFree) free = nullptr;
  decltype(&cuMemCreate) create = nullptr;
  decltype(&cuMemRelease) release = nullptr;
  decltype(&cuMemMap) map = nullptr;
  decltype(&cuMemUnmap) unmap = nullptr;
  decltype(&cuMemSetAccess) set_access = nullptr;

  static const Driver& get() {
    static const Driver driver = load();
    return driver;
  }

 private:
  template <class Function>
  static void find(const char* name, Function& function) {
    void* entry = nullptr;
    cudaDriverEntryPointQueryResult found{};
    const cudaError_t error = cudaGetDriverEntryPointByVersion(name, &entry, 12000, cudaEnableDefault, &found);
    check_supported(error == cudaSuccess && found == cudaDriverEntryPointSuccess && entry != nullptr,
                    "the GPU's driver has no ", name, "; a newer driver is needed");
    function = reinterpret_cast<Function>(entry);
  }
  static Driver load() {
    Driver d;
    find("cuMemGetAllocationGranularity", d.granularity);
    find("cuMemAddressReserve", d.reserve);
    find("cuMemAddressFree", d.free);
    find("cuMemCreate", d.create);
    find("cuMemRelease", d.release);
    find("cuMemMap", d.map);
    find("cuMemUnmap", d.unmap);
    find("cuMemSetAccess", d.set_access);
    return d;
  }
};

CUmemAllocationProp properties(int device) {
  CUmemAllocationProp p{};
  p.type = CU_MEM_ALLOCATION_TYPE_PINNED;
  p.location.type = CU_MEM_LOCATION_TYPE_DEVICE;
  p.location.id = device;
  return p;
}

}  // namespace

std::size_t VirtualRange::granularity(int device) {
  const CUmemAllocationProp p = properties(device);
  std::size_t bytes = 0;
  const CUresult result = Driver::get().granularity(&bytes, &p, CU_MEM_ALLOC_GRANULARITY_RECOMMENDED);
  check_supported(result == CUDA_SUCCESS && bytes > 0, "the GPU has no virtual memory management (CUDA error ",
                  static_cast<int>(result), ")");
  return bytes;
}

VirtualRange::VirtualRange(int device, std::size_t chunk_bytes, std::size_t num_chunks)
    : device_(device), chunk_bytes_(chunk_bytes), mapped_(num_chunks, false), handles_(num_chunks) {
  const CUresult result = Driver::get().reserve(&base_, chunk_bytes * num_chunks, 0, 0, 0);
  if (result != CUDA_SUCCESS) {
    fail(ErrorCategory::kOutOfBudget, text("the GPU has no room for ", chunk_bytes * num_chunks,
                                           " bytes of addresses (CUDA error ", static_cast<int>(result), ")"));
  }
}

VirtualRange::~VirtualRange() {
  for (std::size_t c = 0; c < mapped_.size(); ++c) {
    if (mapped_[c]) unmap(c);
  }
  (void)Driver::get().free(base_, chunk_bytes_ * mapped_.size());
}

bool VirtualRange::map(std::size_t chunk) noexcept {
  const Driver& driver = Driver::get();
  const CUmemAllocationProp p = properties(device_);
  CUmemGenericAllocationHandle handle{};
  if (driver.create(&handle, chunk_bytes_, &p, 0) != CUDA_SUCCESS) {
    // What the stream's pool holds for reuse can become pages.
    cudaMemPool_t pool = nullptr;
    if (cudaDeviceGetDefaultMemPool(&pool, device_) != cudaSuccess || cudaMemPoolTrimTo(pool, 0) != cudaSuccess ||
        driver.create(&handle, chunk_bytes_, &p, 0) != CUDA_SUCCESS) {
      return false;
    }
  }
  const CUdeviceptr address = base_ + chunk * chunk_bytes_;
  if (driver.map(address, chunk_bytes_, 0, handle, 0) != CUDA_SUCCESS) {
    (void)driver.release(handle);
    return false;
  }
  CUmemAccessDesc access{};
  access.location = p.location;
  access.flags = CU_MEM_ACCESS_FLAGS_PROT_READWRITE;
  if (driver.set_access(address, chunk_bytes_, &access, 1) != CUDA_SUCCESS) {
    (void)driver.unmap(address, chunk_bytes_);
    (void)driver.release(handle);
    return false;
  }
  handles_[chunk] = handle;
  mapped_[chunk] = true;
  return true;
}

void VirtualRange::unmap(std::size_t chunk) noexcept {
  const Driver& driver = Driver::get();
  (void)driver.unmap(base_ + chunk * chunk_bytes_, chunk_bytes_);
  (void)driver.release(handles_[chunk]);
  mapped_[chunk] = false;
}

}  // namespace tca::cuda
