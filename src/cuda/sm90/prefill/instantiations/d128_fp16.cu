#include "cuda/sm90/prefill/prefill.cuh"

template cudaError_t tca::cuda::sm90::prefill<128, __half>(const tca::cuda::PrefillArgs&, cudaStream_t);
