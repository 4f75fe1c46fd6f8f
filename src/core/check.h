// Raising tca::Error with messages that name the parameter and its value.
#pragma once

#include <charconv>
#include <concepts>
#include <string>
#include <string_view>

#include "tca/error.h"
#include "tca/tensor.h"

namespace tca {

[[noreturn]] inline void fail(ErrorCategory category, const std::string& message) { throw Error(category, message); }

namespace check_internal {

inline void append(std::string& out, std::string_view part) { out += part; }
inline void append(std::string& out, char part) { out += part; }
// A template, because a string literal would rather turn into a plain bool than into a string_view.
template <std::same_as<bool> T>
void append(std::string& out, T part) {
  out += part ? "true" : "false";
}
inline void append(std::string& out, DType part) { out += dtype_name(part); }

// Shortest form that reads back as the same number, independent of the locale.
template <class T>
requires((std::integral<T> && !std::same_as<T, bool> && !std::same_as<T, char>) ||
         std::floating_point<T>) void append(std::string& out, T part) {
  char buffer[32];
  const auto end = std::to_chars(buffer, buffer + sizeof(buffer), part).ptr;
  out.append(buffer, end);
}

}  // namespace check_internal

/// Concatenates strings, characters, numbers, booleans and dtypes.
template <class... T>
std::string text(const T&... parts) {
  std::string out;
  (check_internal::append(out, parts), ...);
  return out;
}

/// Throws kInvalidArgument with the concatenated parts unless ok.
template <class... T>
void check_argument(bool ok, const T&... parts) {
  if (!ok) [[unlikely]] {
    fail(ErrorCategory::kInvalidArgument, text(parts...));
  }
}

/// Throws kUnsupported with the concatenated parts unless ok.
template <class... T>
void check_supported(bool ok, const T&... parts) {
  if (!ok) [[unlikely]] {
    fail(ErrorCategory::kUnsupported, text(parts...));
  }
}

}  // namespace tca
