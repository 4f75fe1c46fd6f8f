// The keys and values that a GGUF file begins with.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/gguf/cursor.h"

namespace tca::runtime {

/// Views into the file, which must stay mapped. The getters return nothing for a key that is not there, and throw
/// kBadFile naming file, key and value when the value is another one than is asked for.
class Metadata {
 public:
  /// Reads `count` pairs. Throws kBadFile for what is cut off, of no known type, or there twice.
  static Metadata parse(Cursor& cursor, std::uint64_t count);

  bool has(std::string_view key) const { return values_.find(key) != values_.end(); }
  /// One number of integers, or an array of it over and over, as of layers that are all alike.
  std::optional<std::int64_t> integer(std::string_view key, std::int64_t min, std::int64_t max) const;
  std::int64_t needed_integer(std::string_view key, std::int64_t min, std::int64_t max) const;
  /// Of a float the shortest decimal number that reads as it: 1e-05, as configurations have it.
  std::optional<double> number(std::string_view key) const;
  std::optional<bool> boolean(std::string_view key) const;
  /// UTF-8.
  std::optional<std::string> string(std::string_view key) const;
  /// Empty when there is none. Each is UTF-8.
  std::vector<std::string_view> strings(std::string_view key) const;
  std::vector<std::int64_t> integers(std::string_view key) const;
  std::vector<float> floats(std::string_view key) const;
  /// Keys that begin like this, in order.
  std::vector<std::string> keys(std::string_view prefix) const;

  const std::string& path() const { return path_; }

 private:
  enum class Type : std::uint32_t { kU8, kI8, kU16, kI16, kU32, kI32, kF32, kBool, kString, kArray, kU64, kI64, kF64 };
  struct Value {
    Type type;
    Type element;         // of an array
    std::uint64_t count;  // of an array; else 1
    std::string_view bytes;
  };

  static Type parse_type(Cursor& cursor);
  static Value parse_value(Cursor& cursor, Type type, int depth);
  static void skip(Cursor& cursor, Type type, std::uint64_t count, int depth);
  static std::size_t size_of(Type type);
  static bool is_integer(Type type);

  const Value* find(std::string_view key) const;
  [[noreturn]] void fail_type(std::string_view key, const Value& value, const char* expected) const;
  std::int64_t integer_at(std::string_view key, const Value& value, std::uint64_t index) const;
  std::string_view checked_utf8(std::string_view key, std::string_view bytes) const;

  std::map<std::string, Value, std::less<>> values_;
  std::string path_;
};

}  // namespace tca::runtime
