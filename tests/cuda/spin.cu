#include "cuda/device.h"
#include "cuda/spin.h"

namespace tca::cuda_test {
namespace {

__global__ void spin_kernel(unsigned long long nanoseconds) {
  unsigned long long begin = 0, now = 0;
  asm volatile("mov.u64 %0, %%globaltimer;" : "=l"(begin));
  do {
    __nanosleep(1000);
    asm volatile("mov.u64 %0, %%globaltimer;" : "=l"(now));
  } while (now - begin < nanoseconds);
}

}  // namespace

void spin(cudaStream_t stream, int milliseconds) {
  spin_kernel<<<1, 1, 0, stream>>>(1000000ull * static_cast<unsigned long long>(milliseconds));
  cuda::check(cudaGetLastError(), "spinning");
}

}  // namespace tca::cuda_test
