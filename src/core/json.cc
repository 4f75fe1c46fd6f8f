#include "core/json.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>
#include <vector>

#include "core/check.h"
#include "core/file_kind.h"

namespace tca {
namespace {

using nlohmann::json;

// Python's numbers that JSON has not, each with what stands for it while the text is parsed: a literal that nobody else
// writes, known again by its spelling, between spaces lest it join what stands beside it.
struct Constant {
  std::string_view name, literal;
  double value;
};
constexpr Constant kConstants[] = {{"NaN", "0.0e-4040401", std::numeric_limits<double>::quiet_NaN()},
                                   {"Infinity", "0.0e-4040402", std::numeric_limits<double>::infinity()},
                                   {"-Infinity", "0.0e-4040403", -std::numeric_limits<double>::infinity()}};

// Text whose constants are replaced by their literals.
class PythonText {
 public:
  explicit PythonText(std::string_view input) {
    bool in_string = false;
    for (std::size_t i = 0; i < input.size(); ++i) {
      const Constant* const constant = in_string ? nullptr : constant_at(input.substr(i));
      if (constant != nullptr) {
        text_ += text(' ', constant->literal, ' ');
        i += constant->name.size() - 1;
        replaced_.push_back({text_.size(), constant->literal.size() + 2 - constant->name.size()});
        continue;
      }
      text_ += input[i];
      if (in_string && input[i] == '\\' && i + 1 < input.size()) {
        text_ += input[++i];
      } else if (input[i] == '"') {
        in_string = !in_string;
      }
    }
  }
  const std::string& content() const { return text_; }
  /// Where a place of content() lies in the input.
  std::size_t original(std::size_t position) const {
    std::size_t growth = 0;
    for (const Replaced& replaced : replaced_) growth += replaced.end <= position ? replaced.growth : 0;
    return position - growth;
  }

 private:
  struct Replaced {
    std::size_t end, growth;
  };
  static const Constant* constant_at(std::string_view rest) {
    for (const Constant& constant : kConstants) {
      if (rest.starts_with(constant.name)) return &constant;
    }
    return nullptr;
  }

  std::string text_;
  std::vector<Replaced> replaced_;
};

// Builds the document while it is read, so that depth and duplicate keys are refused where they occur. The names of the
// members are those that nlohmann::json::sax_parse calls.
class DocumentBuilder {
 public:
  using string_t = json::string_t;

  /// python: the text that is parsed, where Python's rules count.
  DocumentBuilder(const std::string& name, std::string_view input, const PythonText* python)
      : name_(name), input_(input), python_(python) {}
  json take() { return std::move(*root_); }

  bool null() { return add(nullptr); }
  bool boolean(bool value) { return add(value); }
  bool number_integer(json::number_integer_t value) { return add(value); }
  bool number_unsigned(json::number_unsigned_t value) { return add(value); }
  bool number_float(json::number_float_t value, const string_t& literal) {
    for (const Constant& constant : kConstants) {
      if (python_ != nullptr && literal == constant.literal) return add(constant.value);
    }
    return add(value);
  }
  bool string(string_t& value) { return add(std::move(value)); }
  bool binary(json::binary_t&) { return false; }  // not part of JSON text

  bool key(string_t& value) {
    const auto [position, is_new] = open_.back()->emplace(value, nullptr);
    if (!is_new && python_ == nullptr) {
      fail(ErrorCategory::kBadFile, text(name_, ": the key \"", value, "\" occurs twice in one object"));
    }
    slot_ = &*position;
    return true;
  }
  bool start_object(std::size_t) { return open(json::value_t::object); }
  bool start_array(std::size_t) { return open(json::value_t::array); }
  bool end_object() { return close(); }
  bool end_array() { return close(); }

  bool parse_error(std::size_t position, const std::string&, const nlohmann::detail::exception& error) {
    if (const std::string foreign = describe_foreign_content(input_); !foreign.empty()) {
      fail(ErrorCategory::kBadFile, text(name_, ": is ", foreign));
    }
    if (python_ != nullptr) position = python_->original(position);
    // The library's text is "[json.exception.parse_error.101] reason; last read: raw bytes"; those may be anything.
    std::string_view reason = error.what();
    reason.remove_prefix(std::min(reason.size(), reason.find("] ") + 2));
    reason = reason.substr(0, reason.find("; last read"));
    fail(ErrorCategory::kBadFile, text(name_, ": not valid JSON at byte ", position, ": ", reason));
  }

 private:
  template <class T>
  bool add(T&& value) {
    place(json(std::forward<T>(value)));
    return true;
  }
  json* place(json&& value) {
    if (open_.empty()) {
      *root_ = std::move(value);
      return &*root_;
    }
    if (open_.back()->is_array()) {
      open_.back()->push_back(std::move(value));
      return &open_.back()->back();
    }
    JsonDocument::empty(*slot_);
    *slot_ = std::move(value);
    return slot_;
  }
  bool open(json::value_t type) {
    if (open_.size() == kMaxJsonDepth) {
      fail(ErrorCategory::kBadFile, text(name_, ": JSON nested deeper than ", kMaxJsonDepth, " levels"));
    }
    open_.push_back(place(json(type)));
    return true;
  }
  bool close() {
    open_.pop_back();
    return true;
  }

  const std::string& name_;
  std::string_view input_;
  const PythonText* python_;
  JsonDocument root_;
  std::vector<json*> open_;  // containers being filled: only the innermost grows, so the pointers stay valid
  json* slot_ = nullptr;     // value of the innermost object's latest key
};

std::string path_of(const std::string& where, std::string_view field) {
  return text(where, where.ends_with('.') ? "" : ": ", field);
}

const json* find(const json& object, const char* field, const std::string& where) {
  if (!object.is_object()) {
    fail(ErrorCategory::kBadFile, text(path_of(where, field), " is missing: what should hold it is not an object"));
  }
  const auto found = object.find(field);
  return found == object.end() || found->is_null() ? nullptr : &*found;
}

template <class T, class Get>
std::optional<T> optional_of(const json& object, const char* field, const std::string& where, const Get& get) {
  if (find(object, field, where) == nullptr) return std::nullopt;
  return get();
}

}  // namespace

// As deep as the document is, which is kMaxJsonDepth at most.
void JsonDocument::empty(json& value) noexcept {
  if (auto* const array = value.get_ptr<json::array_t*>()) {
    for (json& element : *array) empty(element);
    array->clear();
  } else if (auto* const object = value.get_ptr<json::object_t*>()) {
    for (auto& [key, element] : *object) empty(element);
    object->clear();
  }
}

json parse_json(std::string_view input, const std::string& name_for_errors) {
  DocumentBuilder builder(name_for_errors, input, nullptr);
  json::sax_parse(input, &builder);
  return builder.take();
}

json parse_python_json(std::string_view input, const std::string& name_for_errors) {
  const PythonText python(input);
  DocumentBuilder builder(name_for_errors, input, &python);
  json::sax_parse(python.content(), &builder);
  return builder.take();
}

void fail_field(const std::string& where, const std::string& field, const json& value, const std::string& expected) {
  constexpr std::size_t kShown = 60;
  std::string shown;
  if (value.is_structured()) {
    shown = text("an ", value.type_name(), " of ", value.size());
  } else {
    const double number = value.is_number_float() ? value.get<double>() : 0;
    shown = std::isfinite(number) ? value.dump(-1, ' ', true, json::error_handler_t::replace) : text(number);
    if (shown.size() > kShown) shown = shown.substr(0, kShown) + "...";
  }
  fail(ErrorCategory::kBadFile, text(path_of(where, field), " is ", shown, "; expected ", expected));
}

const json& get_field(const json& object, const char* field, const std::string& where) {
  const json* const value = find(object, field, where);
  if (value == nullptr) fail(ErrorCategory::kBadFile, text(path_of(where, field), " is missing or null"));
  return *value;
}

const json& get_array(const json& object, const char* field, const std::string& where) {
  const json& value = get_field(object, field, where);
  if (!value.is_array()) fail_field(where, field, value, "an array");
  return value;
}

const json& get_object(const json& object, const char* field, const std::string& where) {
  const json& value = get_field(object, field, where);
  if (!value.is_object()) fail_field(where, field, value, "an object");
  return value;
}

std::int64_t get_int(const json& object, const char* field, const std::string& where, std::int64_t min,
                     std::int64_t max) {
  const json& value = get_field(object, field, where);
  const bool fits = value.is_number_integer() &&
                    (!value.is_number_unsigned() || value.get<std::uint64_t>() <= std::uint64_t{INT64_MAX}) &&
                    value.get<std::int64_t>() >= min && value.get<std::int64_t>() <= max;
  if (!fits) fail_field(where, field, value, text("an integer in [", min, ", ", max, "]"));
  return value.get<std::int64_t>();
}

double get_number(const json& object, const char* field, const std::string& where, double min, double max) {
  const json& value = get_field(object, field, where);
  const bool fits = value.is_number() && value.get<double>() >= min && value.get<double>() <= max;
  if (!fits) fail_field(where, field, value, text("a number in [", min, ", ", max, "]"));
  return value.get<double>();
}

std::string get_string(const json& object, const char* field, const std::string& where) {
  const json& value = get_field(object, field, where);
  if (!value.is_string()) fail_field(where, field, value, "a string");
  return value.get<std::string>();
}

bool get_bool(const json& object, const char* field, const std::string& where) {
  const json& value = get_field(object, field, where);
  if (!value.is_boolean()) fail_field(where, field, value, "true or false");
  return value.get<bool>();
}

const json* get_optional_object(const json& object, const char* field, const std::string& where) {
  return find(object, field, where) == nullptr ? nullptr : &get_object(object, field, where);
}

std::optional<std::int64_t> get_optional_int(const json& object, const char* field, const std::string& where,
                                             std::int64_t min, std::int64_t max) {
  return optional_of<std::int64_t>(object, field, where, [&] { return get_int(object, field, where, min, max); });
}

std::optional<double> get_optional_number(const json& object, const char* field, const std::string& where, double min,
                                          double max) {
  return optional_of<double>(object, field, where, [&] { return get_number(object, field, where, min, max); });
}

std::optional<std::string> get_optional_string(const json& object, const char* field, const std::string& where) {
  return optional_of<std::string>(object, field, where, [&] { return get_string(object, field, where); });
}

std::optional<bool> get_optional_bool(const json& object, const char* field, const std::string& where) {
  return optional_of<bool>(object, field, where, [&] { return get_bool(object, field, where); });
}

}  // namespace tca
