#include "runtime/cuda/cublas_lt.h"

#include <cuda_runtime_api.h>
#include <dlfcn.h>

#include <string>
#include <type_traits>

#include "core/check.h"

namespace tca::runtime::gpu {
namespace {

/// By name, as the system finds libraries; then where it was at build time.
void* open_library() {
  const std::string name = text("libcublasLt.so.", CUDART_VERSION / 1000);
  std::string said;
  for (const std::string& path : {name, std::string(TCA_CUBLASLT_FOLDER "/") + name}) {
    if (void* const library = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL)) return library;
    if (said.empty()) said = dlerror();
  }
  fail(ErrorCategory::kUnsupported, text("models on the GPU need cuBLASLt: ", said,
                                         "; install CUDA's cuBLAS, or put its folder into LD_LIBRARY_PATH"));
}

CublasLt load() {
  void* const library = open_library();
  CublasLt functions;
  const auto find = [&](auto& function, const char* name) {
    function = reinterpret_cast<std::remove_reference_t<decltype(function)>>(dlsym(library, name));
    check_supported(function != nullptr, "the cuBLASLt of this machine has no ", name, "; install one of CUDA ",
                    CUDART_VERSION / 1000, " or newer");
  };
  find(functions.create, "cublasLtCreate");
  find(functions.destroy, "cublasLtDestroy");
  find(functions.matmul, "cublasLtMatmul");
  find(functions.get_heuristic, "cublasLtMatmulAlgoGetHeuristic");
  find(functions.create_operation, "cublasLtMatmulDescCreate");
  find(functions.destroy_operation, "cublasLtMatmulDescDestroy");
  find(functions.set_operation, "cublasLtMatmulDescSetAttribute");
  find(functions.create_layout, "cublasLtMatrixLayoutCreate");
  find(functions.destroy_layout, "cublasLtMatrixLayoutDestroy");
  find(functions.create_preference, "cublasLtMatmulPreferenceCreate");
  find(functions.destroy_preference, "cublasLtMatmulPreferenceDestroy");
  find(functions.set_preference, "cublasLtMatmulPreferenceSetAttribute");
  return functions;
}

}  // namespace

const CublasLt& cublas_lt() {
  static const CublasLt functions = load();
  return functions;
}

}  // namespace tca::runtime::gpu
