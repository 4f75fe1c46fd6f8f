#include "runtime/jinja/tojson.h"

#include <algorithm>
#include <cmath>

#include "core/check.h"
#include "core/utf8.h"
#include "runtime/jinja/compare.h"
#include "runtime/jinja/dict.h"
#include "runtime/jinja/rendering.h"
#include "runtime/jinja/show.h"

namespace tca::runtime::jinja {
namespace {

using Kind = Value::Kind;

std::string show_json_real(double value) {
  if (std::isnan(value)) return "NaN";
  if (std::isinf(value)) return value < 0 ? "-Infinity" : "Infinity";
  return show_real(value);
}

class JsonWriter {
 public:
  JsonWriter(Rendering& rendering, const JsonForm& form) : rendering_(rendering), form_(form), out_(rendering) {}

  Text run(const Value& value) {
    write(value, 0);
    const Text written = out_.take();
    if (written.foreign().empty() && !has_foreign_) return written;
    rendering_.count_bytes(written.size());
    return Text(written.bytes(), Origin::kForeign);
  }

 private:
  void write(const Value& value, int depth) {
    rendering_.step();
    const Rendering::Level level(rendering_);
    switch (value.kind()) {
      case Kind::kNone:
        return out_.append("null");
      case Kind::kBool:
        return out_.append(value.as_bool() ? "true" : "false");
      case Kind::kInteger:
        return out_.append(std::to_string(value.as_integer()));
      case Kind::kFloat:
        return out_.append(show_json_real(value.as_real()));
      case Kind::kString:
        return write_string(value.text());
      case Kind::kList:
      case Kind::kTuple:
        return write_list(value.items(), depth);
      case Kind::kDict:
        return write_dict(value.dict(), depth);
      default:
        fail(ErrorCategory::kInvalidArgument, text("Object of type ", type_name(value), " is not JSON serializable",
                                                   value.is(Kind::kUndefined) ? ": " + value.undefined_message() : ""));
    }
  }

  void hex_escape(std::uint32_t unit) {
    constexpr char kDigits[] = "0123456789abcdef";
    std::string escape = "\\u";
    for (int shift = 12; shift >= 0; shift -= 4) escape += kDigits[unit >> shift & 0xF];
    out_.append(escape);
  }

  bool needs_escape(char c) const {
    const auto byte = static_cast<unsigned char>(c);
    return byte < 0x20 || c == '"' || c == '\\' || (form_.ensure_ascii && byte >= 0x7F);
  }

  void write_string(const Text& text) {
    has_foreign_ = has_foreign_ || !text.foreign().empty();
    const std::string& bytes = text.bytes();
    out_.append("\"");
    for (std::size_t position = 0; position < bytes.size();) {
      const auto plain_end = std::find_if(bytes.begin() + static_cast<std::ptrdiff_t>(position), bytes.end(),
                                          [&](char c) { return needs_escape(c); });
      const auto end = static_cast<std::size_t>(plain_end - bytes.begin());
      out_.append(std::string_view(bytes).substr(position, end - position));
      position = end;
      if (position < bytes.size()) write_special(next_code_point(bytes, position));
    }
    out_.append("\"");
  }

  void write_special(char32_t c) {
    constexpr std::string_view kLetters = "\"\\\b\f\n\r\t";
    constexpr std::string_view kEscapes = "\"\\bfnrt";
    const std::size_t known = c < 0x80 ? kLetters.find(static_cast<char>(c)) : std::string_view::npos;
    if (known != std::string_view::npos) {
      out_.append(std::string{'\\', kEscapes[known]});
    } else if (c == 0x7F) {
      out_.append("\x7F");
    } else if (c < 0x10000) {
      hex_escape(c);
    } else {
      hex_escape(0xD800 + ((c - 0x10000) >> 10));
      hex_escape(0xDC00 + ((c - 0x10000) & 0x3FF));
    }
  }

  void new_line(int depth) {
    if (!form_.indent) return;
    out_.append("\n");
    for (int i = 0; i < depth; ++i) out_.append(*form_.indent);
  }

  void write_list(const Value::Items& items, int depth) {
    if (items.empty()) return out_.append("[]");
    out_.append("[");
    for (std::size_t i = 0; i < items.size(); ++i) {
      if (i > 0) out_.append(form_.item_separator);
      new_line(depth + 1);
      write(items[i], depth + 1);
    }
    new_line(depth);
    out_.append("]");
  }

  void write_key(const Value& key) {
    if (key.is_string()) return write_string(key.text());
    std::string shown;
    if (key.is(Kind::kBool)) {
      shown = key.as_bool() ? "true" : "false";
    } else if (key.is(Kind::kInteger)) {
      shown = std::to_string(key.as_integer());
    } else if (key.is(Kind::kFloat)) {
      shown = show_json_real(key.as_real());
    } else {
      check_argument(key.is(Kind::kNone), "keys must be str, int, float, bool or None, not ", type_name(key));
      shown = "null";
    }
    out_.append(text("\"", shown, "\""));
  }

  void write_dict(const Dict& dict, int depth) {
    if (dict.size() == 0) return out_.append("{}");
    Dict::Entries sorted;
    if (form_.sorts_keys) {
      rendering_.count_items(2 * dict.size());
      sorted = dict.entries();
      std::stable_sort(sorted.begin(), sorted.end(),
                       [](const auto& a, const auto& b) { return less(a.first, b.first); });
    }
    out_.append("{");
    bool is_first = true;
    for (const auto& [key, value] : form_.sorts_keys ? sorted : dict.entries()) {
      if (!is_first) out_.append(form_.item_separator);
      is_first = false;
      new_line(depth + 1);
      write_key(key);
      out_.append(form_.key_separator);
      write(value, depth + 1);
    }
    new_line(depth);
    out_.append("}");
  }

  Rendering& rendering_;
  const JsonForm& form_;
  TextBuilder out_;
  bool has_foreign_ = false;
};

}  // namespace

Text to_json(Rendering& rendering, const Value& value, const JsonForm& form) {
  return JsonWriter(rendering, form).run(value);
}

}  // namespace tca::runtime::jinja
