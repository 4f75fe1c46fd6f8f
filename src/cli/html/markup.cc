#include "cli/html/markup.h"

#include <fmt/format.h>

#include "cli/format.h"
#include "core/utf8.h"

namespace tca::cli::html {
namespace {

bool is_control(char32_t c) {
  constexpr char32_t kDelete = 0x7F, kLastC1 = 0x9F;
  return (c < ' ' && c != '\t' && c != '\n') || (c >= kDelete && c <= kLastC1);
}

void append_escaped(std::string& out, std::string_view unchecked) {
  std::string storage;
  const std::string_view text = repair_utf8(unchecked, storage);
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t begin = at;
    const char32_t c = next_code_point(text, at);
    switch (c) {
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '&':
        out += "&amp;";
        break;
      case '"':
        out += "&quot;";
        break;
      case '\'':
        out += "&#39;";
        break;
      default:
        out += is_control(c) ? kReplacementCharacter : text.substr(begin, at - begin);
    }
  }
}

std::string opened(const char* name, Attributes attributes) {
  std::string tag = "<";
  tag += name;
  for (const Attribute& attribute : attributes) {
    tag += ' ';
    tag += attribute.name;
    tag += "=\"";
    append_escaped(tag, attribute.value);
    tag += '"';
  }
  tag += '>';
  return tag;
}

struct Beginning {
  std::string text = {};  // valid UTF-8
  std::int64_t left = 0;  // characters behind it
};

Beginning beginning_of(const std::string& unchecked, std::size_t most_characters) {
  std::string storage;
  const std::string_view text = repair_utf8(unchecked, storage);
  std::size_t characters = 0, cut = text.size();
  for (std::size_t at = 0; at < text.size(); ++characters) {
    if (characters == most_characters) cut = at;
    (void)next_code_point(text, at);
  }
  const std::size_t left = characters > most_characters ? characters - most_characters : 0;
  return {.text = std::string(text.substr(0, cut)), .left = static_cast<std::int64_t>(left)};
}

}  // namespace

Markup Markup::trusted(std::string_view markup) {
  Markup made;
  made.markup_ = markup;
  return made;
}

Markup& Markup::operator+=(const Markup& other) {
  markup_ += other.markup_;
  return *this;
}

Markup operator+(Markup first, const Markup& second) {
  first += second;
  return first;
}

Markup escaped(std::string_view text) {
  std::string out;
  append_escaped(out, text);
  return Markup::trusted(out);
}

Markup element(const char* name, Attributes attributes, const Markup& inner) {
  return Markup::trusted(fmt::format("{}{}</{}>", opened(name, attributes), inner.str(), name));
}
Markup element(const char* name, Attributes attributes, std::string_view text) {
  return element(name, attributes, escaped(text));
}
Markup element(const char* name, const Markup& inner) { return element(name, {}, inner); }
Markup element(const char* name, std::string_view text) { return element(name, {}, escaped(text)); }
Markup void_element(const char* name, Attributes attributes) { return Markup::trusted(opened(name, attributes)); }

std::string clipped(const std::string& text, std::size_t most_characters) {
  const Beginning beginning = beginning_of(text, most_characters);
  return beginning.left == 0 ? beginning.text : fmt::format("{}…", beginning.text);
}

std::string shortened(const std::string& text, std::size_t most_characters) {
  const Beginning beginning = beginning_of(text, most_characters);
  if (beginning.left == 0) return beginning.text;
  return fmt::format("{}… ({})", beginning.text, counted(beginning.left, "more character"));
}

}  // namespace tca::cli::html
