#include "cuda/smxx/select/probe.cuh"

template cudaError_t tca::cuda::probe<__half>(const tca::cuda::ProbeArgs&, cudaStream_t);
