#include "cuda/smxx/decode/decode.cuh"

template cudaError_t tca::cuda::decode<__half>(const tca::cuda::DecodeArgs&, cudaStream_t);
