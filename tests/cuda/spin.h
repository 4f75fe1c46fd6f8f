// Work that keeps a stream busy, so that the order of what is queued behind it shows.
#pragma once

#include <cuda_runtime.h>

namespace tca::cuda_test {

/// Queues a kernel of one thread that takes about so long; the current device is the stream's.
void spin(cudaStream_t stream, int milliseconds);

}  // namespace tca::cuda_test
