// Reads a mapped GGUF file from front to back. Nothing is read past its end.
#pragma once

#include <bit>
#include <concepts>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

#include "core/check.h"

namespace tca::runtime {

static_assert(std::endian::native == std::endian::little, "GGUF files are read as they lie in memory");

class Cursor {
 public:
  Cursor(std::string_view bytes, std::string path) : bytes_(bytes), path_(std::move(path)) {}

  std::size_t position() const { return position_; }
  std::size_t left() const { return bytes_.size() - position_; }
  const std::string& path() const { return path_; }
  std::string_view since(std::size_t begin) const { return bytes_.substr(begin, position_ - begin); }

  /// what: what is read, for the message when the file ends before.
  std::string_view bytes(std::uint64_t count, const char* what) {
    if (count > left()) {
      fail(ErrorCategory::kBadFile, text(path_, ": ", what, " at byte ", position_, " takes ", count,
                                         " bytes, but the file has only ", left(), " after it: it is cut off"));
    }
    const std::string_view result = bytes_.substr(position_, count);
    position_ += count;
    return result;
  }

  template <class T>
  T number(const char* what) requires std::integral<T> || std::floating_point<T> {
    T value;
    std::memcpy(&value, bytes(sizeof(T), what).data(), sizeof(T));
    return value;
  }

  /// A length and as many bytes.
  std::string_view string(const char* what) { return bytes(number<std::uint64_t>(what), what); }

 private:
  std::string_view bytes_;
  std::string path_;
  std::size_t position_ = 0;
};

}  // namespace tca::runtime
