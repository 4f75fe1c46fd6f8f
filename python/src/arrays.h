// Arrays of Python as views of the library: DLPack and the buffer protocol, host and GPU memory, nothing copied.
#pragma once

#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "tca/tensor.h"

namespace tca::python {

using ConstArray = nanobind::ndarray<nanobind::ro>;
using Array = nanobind::ndarray<>;

/// [num_tokens, num_heads, head_dim] of fp32, bf16 or fp16 in host or CUDA memory, the last extent contiguous. Throws
/// kInvalidArgument naming the argument.
TensorView view_of(const ConstArray& array, const char* name);
MutableTensorView mutable_view_of(const Array& array, const char* name);

/// "float32", "bfloat16" or "float16". Throws kInvalidArgument.
DType dtype_named(const std::string& name);

/// A contiguous fp32 array of `size` values; host memory unless a GPU's is allowed.
std::span<float> floats_of(const Array& array, std::int64_t size, bool host_only, const char* name);

/// A numpy array that owns the values.
template <class T>
nanobind::ndarray<nanobind::numpy, T> to_numpy(std::vector<T> values, std::vector<std::size_t> shape) {
  auto* const owned = new std::vector<T>(std::move(values));
  const nanobind::capsule owner(owned, [](void* memory) noexcept { delete static_cast<std::vector<T>*>(memory); });
  return nanobind::ndarray<nanobind::numpy, T>(owned->data(), shape.size(), shape.data(), owner);
}

}  // namespace tca::python
