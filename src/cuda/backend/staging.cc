#include "cuda/backend/staging.h"

#include <cstring>

#include "cuda/smxx/convert/convert.h"
#include "tca/error.h"

namespace tca::cuda {
namespace {

/// Strides that mean nothing (of one token, of one head) as a dense tensor has them.
template <class View>
View with_plain_strides(View view) {
  if (view.num_heads == 1) view.head_stride = view.head_dim;
  if (view.num_tokens == 1) view.token_stride = view.num_heads * view.head_stride;
  return view;
}

bool suits_kernels(const TensorView& view) {
  return view.head_stride == view.head_dim && reinterpret_cast<std::uintptr_t>(view.data) % 16 == 0 &&
         view.token_stride % 8 == 0;
}

bool is_contiguous(const TensorView& view) {
  return view.head_stride == view.head_dim && view.token_stride == std::int64_t{view.num_heads} * view.head_dim;
}

std::size_t bytes_of(const TensorView& view) {
  return static_cast<std::size_t>(view.num_tokens * view.num_heads * view.head_dim) * dtype_size(view.dtype);
}

/// f(row of view, offset of that row in dense memory, bytes).
template <class View, class F>
void for_each_row(const View& view, F&& f) {
  const std::size_t bytes = static_cast<std::size_t>(view.head_dim) * dtype_size(view.dtype);
  std::size_t offset = 0;
  for (std::int64_t token = 0; token < view.num_tokens; ++token) {
    for (std::int32_t head = 0; head < view.num_heads; ++head, offset += bytes) f(view.row(token, head), offset, bytes);
  }
}

}  // namespace

Staging::~Staging() {
  for (const Device* other : borrowed_) {
    try {
      other->follow(device_);
    } catch (const Error&) {  // no event to be had: then nothing of this call may be left
      (void)cudaStreamSynchronize(stream());
    }
  }
}

void Staging::borrow_from(const Device& other) {
  if (device_.is_same_stream(other)) return;
  borrowed_.push_back(&other);
  device_.follow(other);
}

void* Staging::allocate(std::size_t bytes) {
  return blocks_.emplace_back(device_.memory()).reserve(bytes == 0 ? 16 : bytes);
}

const void* Staging::upload_bytes(const void* from, std::size_t bytes) {
  void* const there = allocate(bytes);
  device_.upload(there, from, bytes);
  return there;
}

const void* Staging::copy_from_host(const void* from, std::size_t bytes) {
  void* const there = allocate(bytes);
  check(cudaMemcpyAsync(there, from, bytes, cudaMemcpyDefault, stream()), "copying to its memory");
  waits_ = true;
  return there;
}

TensorView Staging::input(const char* name, const TensorView& given) {
  const TensorView view = with_plain_strides(given);
  if (view.num_tokens == 0) return view;
  const auto dense = [&](const void* data) {
    return contiguous(data, view.dtype, view.num_tokens, view.num_heads, view.head_dim);
  };
  if (device_.holds(view.data, name)) {
    if (suits_kernels(view)) return view;
    void* const copy = allocate(bytes_of(view));
    check(convert(view, contiguous(copy, view.dtype, view.num_tokens, view.num_heads, view.head_dim), stream()),
          "copying a tensor");
    return dense(copy);
  }
  if (is_contiguous(view)) return dense(copy_from_host(view.data, bytes_of(view)));
  std::vector<std::byte> packed(bytes_of(view));
  for_each_row(view, [&](const void* row, std::size_t offset, std::size_t bytes) {
    std::memcpy(packed.data() + offset, row, bytes);
  });
  return dense(upload_bytes(packed.data(), packed.size()));
}

std::span<const float> Staging::input(const char* name, std::span<const float> values) {
  if (values.empty() || device_.holds(values.data(), name)) return values;
  return {static_cast<const float*>(copy_from_host(values.data(), values.size_bytes())), values.size()};
}

MutableTensorView Staging::output(const char* name, const MutableTensorView& given, DType dtype) {
  const MutableTensorView view = with_plain_strides(given);
  if (view.num_tokens == 0) return view;
  const bool here = device_.holds(view.data, name);
  if (here && view.dtype == dtype && suits_kernels(view)) return view;
  const MutableTensorView raw = contiguous(allocate(bytes_of(view) / dtype_size(view.dtype) * dtype_size(dtype)), dtype,
                                           view.num_tokens, view.num_heads, view.head_dim);
  tensors_.push_back({raw, view, {}});
  return raw;
}

float* Staging::output(const char* name, std::span<float> values) {
  if (values.empty() || device_.holds(values.data(), name)) return values.data();
  auto* const raw = allocate_array<float>(static_cast<std::int64_t>(values.size()));
  floats_.push_back({raw, values});
  return raw;
}

void Staging::finish() {
  waits_ = waits_ || !floats_.empty();
  for (TensorResult& result : tensors_) {
    if (device_.holds(result.to.data, "out")) {
      check(convert(result.from, result.to, stream()), "copying a result");
      continue;
    }
    waits_ = true;
    MutableTensorView dense = result.from;
    if (dense.dtype != result.to.dtype) {
      dense =
          contiguous(allocate(bytes_of(result.to)), result.to.dtype, dense.num_tokens, dense.num_heads, dense.head_dim);
      check(convert(result.from, dense, stream()), "converting a result");
    }
    void* to = result.to.data;
    if (!is_contiguous(result.to)) {
      result.host.resize(bytes_of(result.to));
      to = result.host.data();
    }
    check(cudaMemcpyAsync(to, dense.data, bytes_of(dense), cudaMemcpyDefault, stream()), "copying a result");
  }
  for (const FloatResult& result : floats_) {
    check(cudaMemcpyAsync(result.to.data(), result.from, result.to.size_bytes(), cudaMemcpyDefault, stream()),
          "copying a result");
  }
  if (!waits_) return;
  device_.synchronize();
  for (const TensorResult& result : tensors_) {
    if (result.host.empty()) continue;
    for_each_row(result.to, [&](void* row, std::size_t offset, std::size_t bytes) {
      std::memcpy(row, result.host.data() + offset, bytes);
    });
  }
}

}  // namespace tca::cuda
