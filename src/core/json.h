// JSON from untrusted text, and typed access that names file, field and value when something is wrong.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace tca {

/// A document that can be given up while memory is out. nlohmann::json's destructor takes memory for what an array or
/// object holds, and ends the process where there is none; this one empties them first, the innermost first, so that
/// none is left that holds something. Copies of arrays and objects, and temporary ones, are to be avoided for the same
/// reason: they are filled in place. They are made by json::array() and json::object(), since a null that operator[]
/// turns into one is neither where memory is out.
class JsonDocument {
 public:
  /// An empty object, to be filled.
  JsonDocument() : root_(nlohmann::json::value_t::object) {}
  explicit JsonDocument(nlohmann::json&& root) noexcept : root_(std::move(root)) {}
  JsonDocument(JsonDocument&&) noexcept = default;
  JsonDocument& operator=(JsonDocument&&) = delete;
  ~JsonDocument() { empty(root_); }

  nlohmann::json& operator*() { return root_; }
  const nlohmann::json& operator*() const { return root_; }
  nlohmann::json* operator->() { return &root_; }
  const nlohmann::json* operator->() const { return &root_; }

  /// Takes what an array or object holds out of it, without taking memory.
  static void empty(nlohmann::json& value) noexcept;

 private:
  nlohmann::json root_;
};

/// Objects and arrays may nest this deep.
inline constexpr int kMaxJsonDepth = 64;

/// Throws kBadFile with name_for_errors and the byte offset for malformed or too deeply nested text, invalid UTF-8,
/// numbers out of range and keys that occur twice in one object. Text that is another kind of file is named as such.
/// For a JsonDocument to hold.
nlohmann::json parse_json(std::string_view text, const std::string& name_for_errors);

/// The same as Python's json module reads it: NaN, Infinity and -Infinity are numbers, and of a key that occurs twice
/// the last value counts.
nlohmann::json parse_python_json(std::string_view text, const std::string& name_for_errors);

// The getters below throw kBadFile when `object` has no such field or its value is not what is asked for. `where` is
// the file's name, or the file's name and the path of the object with a dot at its end ("p.json: budgets[1].").

/// The field itself, whatever its type but null.
const nlohmann::json& get_field(const nlohmann::json& object, const char* field, const std::string& where);
/// An array or object.
const nlohmann::json& get_array(const nlohmann::json& object, const char* field, const std::string& where);
const nlohmann::json& get_object(const nlohmann::json& object, const char* field, const std::string& where);
/// An integer (written without point or exponent) in [min, max].
std::int64_t get_int(const nlohmann::json& object, const char* field, const std::string& where, std::int64_t min,
                     std::int64_t max);
/// A number in [min, max].
double get_number(const nlohmann::json& object, const char* field, const std::string& where, double min, double max);
std::string get_string(const nlohmann::json& object, const char* field, const std::string& where);
bool get_bool(const nlohmann::json& object, const char* field, const std::string& where);

/// The same for fields that may be missing or null: nothing then.
const nlohmann::json* get_optional_object(const nlohmann::json& object, const char* field, const std::string& where);
std::optional<std::int64_t> get_optional_int(const nlohmann::json& object, const char* field, const std::string& where,
                                             std::int64_t min, std::int64_t max);
std::optional<double> get_optional_number(const nlohmann::json& object, const char* field, const std::string& where,
                                          double min, double max);
std::optional<std::string> get_optional_string(const nlohmann::json& object, const char* field,
                                               const std::string& where);
std::optional<bool> get_optional_bool(const nlohmann::json& object, const char* field, const std::string& where);

/// Throws kBadFile: "<where>: <field> is <value>; expected <expected>". Long values are shortened.
[[noreturn]] void fail_field(const std::string& where, const std::string& field, const nlohmann::json& value,
                             const std::string& expected);

}  // namespace tca
