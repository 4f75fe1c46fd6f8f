#include "cuda/sm90/prefill/prefill.cuh"

template cudaError_t tca::cuda::sm90::prefill<128, __nv_bfloat16>(const tca::cuda::PrefillArgs&, cudaStream_t);
