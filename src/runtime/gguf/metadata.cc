#include "runtime/gguf/metadata.h"

#include <charconv>
#include <limits>

#include "core/json.h"
#include "core/quote.h"
#include "core/utf8.h"

namespace tca::runtime {
namespace {

constexpr int kMaxDepth = 4;  // of arrays of arrays, which nothing here asks for
constexpr std::size_t kMaxKeyBytes = 65535;
constexpr std::size_t kShownBytes = 60;
constexpr const char* kTypeNames[] = {"u8",   "i8",     "u16",   "i16", "u32", "i32", "f32",
                                      "bool", "string", "array", "u64", "i64", "f64"};

template <class T>
T load(std::string_view bytes, std::uint64_t index) {
  T value;
  std::memcpy(&value, bytes.data() + index * sizeof(T), sizeof(T));
  return value;
}

double shortest_decimal(float value) {
  char digits[32];
  const auto end = std::to_chars(digits, digits + sizeof(digits), value).ptr;
  double result = value;
  std::from_chars(digits, end, result);
  return result;
}

bool is_utf8(std::string_view bytes) {
  for (std::size_t at = 0; at < bytes.size();) {
    const Utf8Sequence next = scan_utf8(bytes, at);
    if (!next.valid) return false;
    at += next.size;
  }
  return true;
}

}  // namespace

Metadata Metadata::parse(Cursor& cursor, std::uint64_t count) {
  Metadata metadata;
  metadata.path_ = cursor.path();
  for (std::uint64_t i = 0; i < count; ++i) {
    const std::string key(cursor.string("a key of the metadata"));
    const bool fits = !key.empty() && key.size() <= kMaxKeyBytes;
    if (!fits) fail(ErrorCategory::kBadFile, text(cursor.path(), ": a key of the metadata has ", key.size(), " bytes"));
    const Type type = parse_type(cursor);
    const bool is_new = metadata.values_.emplace(key, parse_value(cursor, type, 0)).second;
    if (!is_new) fail(ErrorCategory::kBadFile, text(cursor.path(), ": the metadata has ", quoted_name(key), " twice"));
  }
  return metadata;
}

Metadata::Type Metadata::parse_type(Cursor& cursor) {
  const auto number = cursor.number<std::uint32_t>("a type of the metadata");
  if (number >= std::size(kTypeNames)) {
    fail(ErrorCategory::kBadFile, text(cursor.path(), ": the metadata has a value of type ", number, " before byte ",
                                       cursor.position(), "; types go up to ", std::size(kTypeNames) - 1));
  }
  return static_cast<Type>(number);
}

Metadata::Value Metadata::parse_value(Cursor& cursor, Type type, int depth) {
  Value value{type, type, 1, {}};
  if (type == Type::kArray) {
    value.element = parse_type(cursor);
    value.count = cursor.number<std::uint64_t>("the length of an array");
  }
  const std::size_t begin = cursor.position();
  skip(cursor, value.element, value.count, depth);
  value.bytes = cursor.since(begin);
  return value;
}

// Values without the type and the length before them.
void Metadata::skip(Cursor& cursor, Type type, std::uint64_t count, int depth) {
  check_supported(depth <= kMaxDepth, cursor.path(), ": arrays in the metadata nest too deeply");
  if (const std::size_t size = size_of(type); size > 0) {
    const bool overflows = count > std::numeric_limits<std::uint64_t>::max() / size;
    cursor.bytes(overflows ? std::numeric_limits<std::uint64_t>::max() : count * size, "a value of the metadata");
    return;
  }
  for (std::uint64_t i = 0; i < count; ++i) {  // each takes bytes, so that the file's end stops a count of any size
    if (type == Type::kString) {
      cursor.string("a text of the metadata");
    } else {
      parse_value(cursor, Type::kArray, depth + 1);
    }
  }
}

std::size_t Metadata::size_of(Type type) {
  switch (type) {
    case Type::kU8:
    case Type::kI8:
    case Type::kBool:
      return 1;
    case Type::kU16:
    case Type::kI16:
      return 2;
    case Type::kU32:
    case Type::kI32:
    case Type::kF32:
      return 4;
    case Type::kU64:
    case Type::kI64:
    case Type::kF64:
      return 8;
    case Type::kString:
    case Type::kArray:
      break;
  }
  return 0;
}

bool Metadata::is_integer(Type type) {
  return type != Type::kF32 && type != Type::kF64 && type != Type::kBool && size_of(type) > 0;
}

const Metadata::Value* Metadata::find(std::string_view key) const {
  const auto found = values_.find(key);
  return found == values_.end() ? nullptr : &found->second;
}

void Metadata::fail_type(std::string_view key, const Value& value, const char* expected) const {
  const char* const name = kTypeNames[static_cast<std::size_t>(value.type)];
  const char* const element = kTypeNames[static_cast<std::size_t>(value.element)];
  const std::string is =
      value.type == Type::kArray ? text("an array of ", value.count, " ", element) : text("of type ", name);
  fail(ErrorCategory::kBadFile, text(path_, ": ", key, " is ", is, "; expected ", expected));
}

std::int64_t Metadata::integer_at(std::string_view key, const Value& value, std::uint64_t index) const {
  switch (value.element) {
    case Type::kU8:
      return load<std::uint8_t>(value.bytes, index);
    case Type::kI8:
      return load<std::int8_t>(value.bytes, index);
    case Type::kU16:
      return load<std::uint16_t>(value.bytes, index);
    case Type::kI16:
      return load<std::int16_t>(value.bytes, index);
    case Type::kU32:
      return load<std::uint32_t>(value.bytes, index);
    case Type::kI32:
      return load<std::int32_t>(value.bytes, index);
    case Type::kI64:
      return load<std::int64_t>(value.bytes, index);
    case Type::kU64: {
      constexpr std::uint64_t kMax = std::numeric_limits<std::int64_t>::max();
      const auto number = load<std::uint64_t>(value.bytes, index);
      if (number > kMax) fail_field(path_, std::string(key), number, text("an integer of at most ", kMax));
      return static_cast<std::int64_t>(number);
    }
    default:
      fail_type(key, value, value.type == Type::kArray ? "integers" : "an integer");
  }
}

std::optional<std::int64_t> Metadata::integer(std::string_view key, std::int64_t min, std::int64_t max) const {
  const Value* const value = find(key);
  if (value == nullptr) return std::nullopt;
  if (!is_integer(value->element) || value->count == 0) fail_type(key, *value, "an integer");
  const std::int64_t number = integer_at(key, *value, 0);
  for (std::uint64_t i = 1; i < value->count; ++i) {
    check_supported(integer_at(key, *value, i) == number, path_, ": ", key, " is ", number, " and ",
                    integer_at(key, *value, i), " for different layers; supported: one number for all");
  }
  if (number < min || number > max) {
    fail_field(path_, std::string(key), number, text("an integer in [", min, ", ", max, "]"));
  }
  return number;
}

std::int64_t Metadata::needed_integer(std::string_view key, std::int64_t min, std::int64_t max) const {
  const auto value = integer(key, min, max);
  if (!value) fail(ErrorCategory::kBadFile, text(path_, ": ", key, " is missing from the metadata"));
  return *value;
}

std::optional<double> Metadata::number(std::string_view key) const {
  const Value* const value = find(key);
  if (value == nullptr) return std::nullopt;
  if (value->type == Type::kF32) return shortest_decimal(load<float>(value->bytes, 0));
  if (value->type == Type::kF64) return load<double>(value->bytes, 0);
  if (!is_integer(value->type)) fail_type(key, *value, "a number");
  return static_cast<double>(integer_at(key, *value, 0));
}

std::optional<bool> Metadata::boolean(std::string_view key) const {
  const Value* const value = find(key);
  if (value == nullptr) return std::nullopt;
  if (value->type != Type::kBool) fail_type(key, *value, "a bool");
  return value->bytes[0] != 0;
}

std::string_view Metadata::checked_utf8(std::string_view key, std::string_view bytes) const {
  if (!is_utf8(bytes)) {
    fail(ErrorCategory::kBadFile,
         text(path_, ": ", key, " has ", quoted_name(std::string(bytes.substr(0, kShownBytes))),
              ", which is not valid UTF-8"));
  }
  return bytes;
}

std::optional<std::string> Metadata::string(std::string_view key) const {
  const Value* const value = find(key);
  if (value == nullptr) return std::nullopt;
  if (value->type != Type::kString) fail_type(key, *value, "a text");
  return std::string(checked_utf8(key, value->bytes.substr(sizeof(std::uint64_t))));
}

std::vector<std::string_view> Metadata::strings(std::string_view key) const {
  const Value* const value = find(key);
  if (value == nullptr) return {};
  if (value->type != Type::kArray || value->element != Type::kString) fail_type(key, *value, "an array of texts");
  std::vector<std::string_view> result;
  result.reserve(value->count);
  Cursor cursor(value->bytes, path_);
  for (std::uint64_t i = 0; i < value->count; ++i) result.push_back(checked_utf8(key, cursor.string("a text")));
  return result;
}

std::vector<std::int64_t> Metadata::integers(std::string_view key) const {
  const Value* const value = find(key);
  if (value == nullptr) return {};
  if (value->type != Type::kArray || !is_integer(value->element)) fail_type(key, *value, "an array of integers");
  std::vector<std::int64_t> result(value->count);
  for (std::uint64_t i = 0; i < value->count; ++i) result[i] = integer_at(key, *value, i);
  return result;
}

std::vector<float> Metadata::floats(std::string_view key) const {
  const Value* const value = find(key);
  if (value == nullptr) return {};
  if (value->type != Type::kArray || value->element != Type::kF32) fail_type(key, *value, "an array of f32");
  std::vector<float> result(value->count);
  if (!result.empty()) std::memcpy(result.data(), value->bytes.data(), value->bytes.size());
  return result;
}

std::vector<std::string> Metadata::keys(std::string_view prefix) const {
  std::vector<std::string> result;
  for (auto at = values_.lower_bound(prefix); at != values_.end() && at->first.starts_with(prefix); ++at) {
    result.push_back(at->first);
  }
  return result;
}

}  // namespace tca::runtime
