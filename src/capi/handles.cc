#include "capi/handles.h"

#include <algorithm>
#include <array>
#include <cstring>

namespace tca::capi {
namespace {

// Of a fixed size, so that keeping a message cannot fail; the longest, with two model fingerprints, has about 1300.
thread_local std::array<char, 4096> last_error = {};

}  // namespace

tca_status report(tca_status status, const char* message) noexcept {
  const std::size_t length = ::strnlen(message, last_error.size() - 1);
  std::memcpy(last_error.data(), message, length);
  last_error[length] = '\0';
  return status;
}

tca_status status_of(ErrorCategory category) noexcept {
  switch (category) {
    case ErrorCategory::kInvalidArgument:
      return TCA_INVALID_ARGUMENT;
    case ErrorCategory::kUnsupported:
      return TCA_UNSUPPORTED;
    case ErrorCategory::kBadFile:
      return TCA_BAD_FILE;
    case ErrorCategory::kIo:
      return TCA_IO;
    case ErrorCategory::kOutOfBudget:
      return TCA_OUT_OF_BUDGET;
    case ErrorCategory::kCancelled:
      return TCA_CANCELLED;
  }
  return TCA_INTERNAL;
}

DType to_dtype(tca_dtype dtype, const char* name) {
  const int value = static_cast<int>(dtype);
  check_argument(value >= TCA_F32 && value <= TCA_F16, name, ".dtype is ", value,
                 "; expected TCA_F32 (0), TCA_BF16 (1) or TCA_F16 (2)");
  return static_cast<DType>(value);
}

TensorView to_view(const tca_tensor& tensor, const char* name) {
  return {.data = tensor.data,
          .dtype = to_dtype(tensor.dtype, name),
          .num_tokens = tensor.num_tokens,
          .num_heads = tensor.num_heads,
          .head_dim = tensor.head_dim,
          .token_stride = tensor.token_stride,
          .head_stride = tensor.head_stride};
}

MutableTensorView to_view(const tca_mutable_tensor& tensor, const char* name) {
  return {.data = tensor.data,
          .dtype = to_dtype(tensor.dtype, name),
          .num_tokens = tensor.num_tokens,
          .num_heads = tensor.num_heads,
          .head_dim = tensor.head_dim,
          .token_stride = tensor.token_stride,
          .head_stride = tensor.head_stride};
}

void give_text(const std::string& text, char* out, std::size_t capacity, std::size_t* size) {
  required(size, "size");
  if (capacity > 0) required(out, "out");
  *size = text.size();
  if (capacity == 0) return;
  const std::size_t length = std::min(text.size(), capacity - 1);
  std::memcpy(out, text.data(), length);
  out[length] = '\0';
}

SelectionRule to_rule(const tca_selection_rule& rule) {
  const int order = static_cast<int>(rule.order);
  check_argument(order >= TCA_MASS_DISPERSION && order <= TCA_TOKENS, "rule.order is ", order,
                 "; expected TCA_MASS_DISPERSION (0), TCA_SIMPSON (1) or TCA_TOKENS (2)");
  return {.block_size = rule.block_size,
          .window = rule.window,
          .sinks = rule.sinks,
          .probe_queries = rule.probe_queries,
          .pool_width = rule.pool_width,
          .order = static_cast<BlockOrder>(order)};
}

tca_selection_rule from_rule(const SelectionRule& rule) {
  return {.block_size = rule.block_size,
          .window = rule.window,
          .sinks = rule.sinks,
          .probe_queries = rule.probe_queries,
          .pool_width = rule.pool_width,
          .order = static_cast<tca_block_order>(rule.order)};
}

}  // namespace tca::capi

const char* tca_version(void) { return TCA_VERSION; }
const char* tca_last_error(void) { return tca::capi::last_error.data(); }

const char* tca_status_name(tca_status status) {
  switch (status) {
    case TCA_OK:
      return "ok";
    case TCA_INVALID_ARGUMENT:
      return "invalid_argument";
    case TCA_UNSUPPORTED:
      return "unsupported";
    case TCA_BAD_FILE:
      return "bad_file";
    case TCA_IO:
      return "io";
    case TCA_OUT_OF_BUDGET:
      return "out_of_budget";
    case TCA_CANCELLED:
      return "cancelled";
    case TCA_OUT_OF_MEMORY:
      return "out_of_memory";
    case TCA_INTERNAL:
      return "internal";
    case TCA_STATUS_MIN_ENUM:
      break;
  }
  return "unknown";
}

size_t tca_dtype_size(tca_dtype dtype) {
  const int value = static_cast<int>(dtype);
  return value == TCA_F32 ? 4 : value == TCA_BF16 || value == TCA_F16 ? 2 : 0;
}

const char* tca_dtype_name(tca_dtype dtype) {
  switch (dtype) {
    case TCA_F32:
      return "fp32";
    case TCA_BF16:
      return "bf16";
    case TCA_F16:
      return "fp16";
    case TCA_DTYPE_MIN_ENUM:
      break;
  }
  return "unknown";
}

tca_tensor tca_contiguous(const void* data, tca_dtype dtype, int64_t num_tokens, int32_t num_heads, int32_t head_dim) {
  return {data, dtype, num_tokens, num_heads, head_dim, int64_t{num_heads} * head_dim, head_dim};
}

tca_mutable_tensor tca_mutable_contiguous(void* data, tca_dtype dtype, int64_t num_tokens, int32_t num_heads,
                                          int32_t head_dim) {
  return {data, dtype, num_tokens, num_heads, head_dim, int64_t{num_heads} * head_dim, head_dim};
}

namespace {

int64_t offset_of(int64_t token, int64_t head, int64_t token_stride, int64_t head_stride, tca_dtype dtype) {
  return (token * token_stride + head * head_stride) * static_cast<int64_t>(tca_dtype_size(dtype));
}

}  // namespace

const void* tca_tensor_row(tca_tensor tensor, int64_t token, int32_t head) {
  return static_cast<const char*>(tensor.data) +
         offset_of(token, head, tensor.token_stride, tensor.head_stride, tensor.dtype);
}

void* tca_mutable_tensor_row(tca_mutable_tensor tensor, int64_t token, int32_t head) {
  return static_cast<char*>(tensor.data) +
         offset_of(token, head, tensor.token_stride, tensor.head_stride, tensor.dtype);
}

tca_tensor tca_tensor_tokens(tca_tensor tensor, int64_t begin, int64_t count) {
  tensor.data = tca_tensor_row(tensor, begin, 0);
  tensor.num_tokens = count;
  return tensor;
}

tca_mutable_tensor tca_mutable_tensor_tokens(tca_mutable_tensor tensor, int64_t begin, int64_t count) {
  tensor.data = tca_mutable_tensor_row(tensor, begin, 0);
  tensor.num_tokens = count;
  return tensor;
}

tca_selection_rule tca_selection_rule_default(void) { return tca::capi::from_rule({}); }
