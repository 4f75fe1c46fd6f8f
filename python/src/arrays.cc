#include "arrays.h"

#include <limits>
#include <optional>

#include "core/check.h"
#include "tca/error.h"

namespace tca::python {
namespace nb = nanobind;

namespace {

std::optional<DType> dtype_of(const nb::dlpack::dtype& dtype) {
  const auto code = static_cast<nb::dlpack::dtype_code>(dtype.code);
  if (dtype.lanes != 1) return std::nullopt;
  if (code == nb::dlpack::dtype_code::Bfloat && dtype.bits == 16) return DType::kBF16;
  if (code != nb::dlpack::dtype_code::Float) return std::nullopt;
  if (dtype.bits == 32) return DType::kF32;
  if (dtype.bits == 16) return DType::kF16;
  return std::nullopt;
}

bool on_host(std::int32_t device) { return device == nb::device::cpu::value || device == nb::device::cuda_host::value; }

template <class View, class AnyArray>
View make_view(const AnyArray& array, const char* name) {
  const std::optional<DType> dtype = dtype_of(array.dtype());
  check_argument(dtype.has_value(), name, " has a dtype that is none of float32, bfloat16 and float16");
  check_argument(array.ndim() == 3, name, " has ", array.ndim(),
                 " dimensions; expected 3: [num_tokens, num_heads, head_dim]");
  const std::int32_t device = array.device_type();
  check_argument(on_host(device) || device == nb::device::cuda::value || device == nb::device::cuda_managed::value,
                 name, " lies on a device that is neither the CPU nor an NVIDIA GPU");
  for (std::size_t i = 1; i < 3; ++i) {
    check_argument(array.shape(i) <= static_cast<std::size_t>(std::numeric_limits<std::int32_t>::max()), name,
                   ".shape[", i, "] is ", array.shape(i), "; expected less than 2^31");
  }
  check_argument(array.shape(2) <= 1 || array.stride(2) == 1, name,
                 " is not contiguous along head_dim; make it so first");
  View view;
  view.data = array.data();
  view.dtype = *dtype;
  view.num_tokens = static_cast<std::int64_t>(array.shape(0));
  view.num_heads = static_cast<std::int32_t>(array.shape(1));
  view.head_dim = static_cast<std::int32_t>(array.shape(2));
  // Strides of extents of 1 may be anything.
  view.head_stride = view.num_heads <= 1 ? view.head_dim : array.stride(1);
  view.token_stride = view.num_tokens <= 1 ? view.num_heads * view.head_stride : array.stride(0);
  return view;
}

}  // namespace

DType dtype_named(const std::string& name) {
  if (name == "float32") return DType::kF32;
  if (name == "bfloat16") return DType::kBF16;
  check_argument(name == "float16", "dtype is \"", name, "\"; expected float32, bfloat16 or float16");
  return DType::kF16;
}

TensorView view_of(const ConstArray& array, const char* name) { return make_view<TensorView>(array, name); }
MutableTensorView mutable_view_of(const Array& array, const char* name) {
  return make_view<MutableTensorView>(array, name);
}

std::span<float> floats_of(const Array& array, std::int64_t size, bool host_only, const char* name) {
  check_argument(dtype_of(array.dtype()) == DType::kF32, name, " is not float32");
  check_argument(static_cast<std::int64_t>(array.size()) == size, name, " has ", array.size(), " values; expected ",
                 size);
  check_argument(!host_only || on_host(array.device_type()), name, " does not lie in host memory");
  std::int64_t expected = 1;
  for (std::size_t i = array.ndim(); i-- > 0;) {
    check_argument(array.shape(i) <= 1 || array.stride(i) == expected, name, " is not contiguous");
    expected *= static_cast<std::int64_t>(array.shape(i));
  }
  return {static_cast<float*>(array.data()), static_cast<std::size_t>(size)};
}

}  // namespace tca::python
