// HTML while it is put together: what comes from files can become nothing but text.
#pragma once

#include <initializer_list>
#include <string>
#include <string_view>

namespace tca::cli::html {

/// HTML that may be written as it is. Strings become part of it through escaped() and attributes alone.
class Markup {
 public:
  Markup() = default;
  /// As it stands: for what the program itself says, never for what it has read.
  static Markup trusted(std::string_view markup);

  Markup& operator+=(const Markup& other);
  const std::string& str() const { return markup_; }
  bool empty() const { return markup_.empty(); }

 private:
  std::string markup_;
};
Markup operator+(Markup first, const Markup& second);

/// Of an element. The value is escaped when it is written.
struct Attribute {
  const char* name;
  std::string value;
};
using Attributes = std::initializer_list<Attribute>;

/// Text as it reads: < > & " ' are written as references; control characters but tabs and line feeds, and bytes that
/// are not UTF-8, as U+FFFD.
Markup escaped(std::string_view text);
/// <name attributes>inner</name>
Markup element(const char* name, Attributes attributes, const Markup& inner);
Markup element(const char* name, Attributes attributes, std::string_view text);
Markup element(const char* name, const Markup& inner);
Markup element(const char* name, std::string_view text);
/// An element of HTML that has no end (meta, col).
Markup void_element(const char* name, Attributes attributes);

/// At most so many characters; "…" stands for the rest.
std::string clipped(const std::string& text, std::size_t most_characters);
/// At most so many characters; the rest is counted at the end.
std::string shortened(const std::string& text, std::size_t most_characters);

}  // namespace tca::cli::html
