#include "runtime/jinja/string_literal.h"

#include <charconv>
#include <cstdint>

#include "core/check.h"
#include "core/utf8.h"
#include "runtime/jinja/lexer.h"

namespace tca::runtime::jinja {
namespace {

bool is_octal(char c) { return c >= '0' && c <= '7'; }

class Unescaper {
 public:
  Unescaper(std::string_view literal, int line) : literal_(literal), line_(line) {}

  std::string run() {
    while (position_ < literal_.size()) {
      const std::size_t escape = std::min(literal_.find('\\', position_), literal_.size());
      out_ += literal_.substr(position_, escape - position_);
      position_ = escape;
      if (position_ < literal_.size()) one_escape();
    }
    return std::move(out_);
  }

 private:
  void one_escape() {
    constexpr std::string_view kLetters = "\n\\'\"abfnrtv";
    constexpr std::string_view kMeanings[] = {"", "\\", "'", "\"", "\a", "\b", "\f", "\n", "\r", "\t", "\v"};
    const char c = literal_[position_ + 1];
    if (const std::size_t known = kLetters.find(c); known != std::string_view::npos) {
      out_ += kMeanings[known];
      position_ += 2;
    } else if (is_octal(c)) {
      std::size_t end = position_ + 1;
      while (end < literal_.size() && end < position_ + 4 && is_octal(literal_[end])) ++end;
      number(position_ + 1, end, 8);
    } else if (c == 'x' || c == 'u' || c == 'U') {
      const std::size_t digits = c == 'x' ? 2 : c == 'u' ? 4 : 8;
      number(position_ + 2, position_ + 2 + digits, 16);
    } else if (c == 'N') {
      fail_lacking(line_, "characters by name (\\N{...}) in a string");
    } else if (static_cast<unsigned char>(c) >= 0x80) {
      beyond_ascii();
    } else {
      out_ += '\\';
      ++position_;
    }
  }

  void number(std::size_t begin, std::size_t end, int base) {
    const std::string_view digits = literal_.substr(std::min(begin, literal_.size()), end - begin);
    std::uint32_t value = 0;
    const auto result = std::from_chars(digits.data(), digits.data() + digits.size(), value, base);
    if (digits.size() < end - begin || result.ptr != digits.data() + digits.size()) {
      fail_syntax(line_, text("a string has a broken escape: ", literal_.substr(position_, end - position_)));
    }
    if (value > 0x10FFFF) fail_syntax(line_, "a string has an escape beyond U+10FFFF");
    if (value >= 0xD800 && value < 0xE000) fail_lacking(line_, "surrogates as escapes in a string");
    append_utf8(out_, value);
    position_ = end;
  }

  // Jinja writes the character as an escape before it reads escapes, so that the backslash escapes the other's.
  void beyond_ascii() {
    std::size_t next = position_ + 1;
    const char32_t c = next_code_point(literal_, next);
    constexpr char kDigits[] = "0123456789abcdef";
    const int digits = c < 0x100 ? 2 : c < 0x10000 ? 4 : 8;
    out_ += '\\';
    out_ += digits == 2 ? 'x' : digits == 4 ? 'u' : 'U';
    for (int i = digits - 1; i >= 0; --i) out_ += kDigits[c >> (4 * i) & 0xF];
    position_ = next;
  }

  std::string_view literal_;
  int line_;
  std::size_t position_ = 0;
  std::string out_;
};

}  // namespace

std::string unescape_literal(std::string_view literal, int line) { return Unescaper(literal, line).run(); }

}  // namespace tca::runtime::jinja
