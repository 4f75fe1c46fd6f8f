#include "core/memory.h"

#include <cstring>
#include <new>

#include "core/check.h"

namespace tca {
namespace {

class HostMemory final : public Memory {
 public:
  void* allocate(std::size_t bytes) override {
    void* const memory = ::operator new(bytes, kAlignment, std::nothrow);
    if (memory == nullptr) fail(ErrorCategory::kIo, text("the system has no ", bytes, " bytes of memory left"));
    return memory;
  }
  void free(void* memory) noexcept override { ::operator delete(memory, kAlignment); }
  void copy(void* to, const void* from, std::size_t bytes) override { std::memcpy(to, from, bytes); }

 private:
  static constexpr std::align_val_t kAlignment{64};  // a cache line, and the widest vector
};

}  // namespace

Memory& host_memory() {
  static HostMemory memory;
  return memory;
}

}  // namespace tca
