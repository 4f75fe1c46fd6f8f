#include "cuda/sm80/prefill/prefill.cuh"

template cudaError_t tca::cuda::sm80::prefill<__half>(const tca::cuda::PrefillArgs&, cudaStream_t);
