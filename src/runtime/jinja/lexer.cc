#include "runtime/jinja/lexer.h"

#include <algorithm>
#include <charconv>
#include <cmath>

#include "core/check.h"
#include "core/utf8.h"
#include "runtime/jinja/characters.h"
#include "runtime/jinja/string_literal.h"

namespace tca::runtime::jinja {
namespace {

using Type = Token::Type;

bool is_ascii_digit(char c) { return c >= '0' && c <= '9'; }
bool is_name_start(char c) { return c == '_' || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z'); }

// One kind of line break, and none at the very end.
std::string with_line_feeds(std::string_view source) {
  std::string result;
  result.reserve(source.size());
  for (std::size_t i = 0; i < source.size(); ++i) {
    if (source[i] == '\r') {
      result += '\n';
      if (i + 1 < source.size() && source[i + 1] == '\n') ++i;
    } else {
      result += source[i];
    }
  }
  if (!result.empty() && result.back() == '\n') result.pop_back();
  return result;
}

std::size_t skip_space(std::string_view text, std::size_t position) {
  while (position < text.size()) {
    std::size_t next = position;
    if (!is_space(next_code_point(text, next))) break;
    position = next;
  }
  return position;
}

std::size_t strip_right(std::string_view text) {
  std::size_t end = text.size();
  while (end > 0) {
    const std::size_t start = previous_start(text, end);
    std::size_t position = start;
    if (!is_space(next_code_point(text, position))) break;
    end = start;
  }
  return end;
}

class Lexer {
 public:
  explicit Lexer(std::string_view source) : storage_(with_line_feeds(source)), source_(storage_) {}

  std::vector<Token> run() {
    while (position_ < source_.size()) text_and_tag();
    add(Type::kEnd, {});
    return std::move(tokens_);
  }

 private:
  bool follows(std::string_view what) const { return source_.substr(position_, what.size()) == what; }
  char peek(std::size_t ahead = 0) const {
    return position_ + ahead < source_.size() ? source_[position_ + ahead] : '\0';
  }
  // Moves to a later position, counting lines.
  void move_to(std::size_t position) {
    line_ += static_cast<int>(std::count(source_.begin() + static_cast<std::ptrdiff_t>(position_),
                                         source_.begin() + static_cast<std::ptrdiff_t>(position), '\n'));
    position_ = position;
  }
  void add(Type type, std::string text) { tokens_.push_back({type, line_, std::move(text), 0, 0}); }

  // The length of text before a tag with the given sign that stays: "-" strips, and blocks and comments that begin
  // their line take its indentation with them unless "+".
  std::size_t kept_text(std::size_t begin, std::size_t tag, char sign, bool is_variable) const {
    const std::string_view text = source_.substr(begin, tag - begin);
    if (sign == '-') return strip_right(text);
    if (sign == '+' || is_variable) return text.size();
    const std::size_t feed = text.rfind('\n');
    const std::size_t line = feed == std::string_view::npos ? 0 : feed + 1;
    const bool begins_line = line > 0 || begin == 0 || source_[begin - 1] == '\n';
    return begins_line && skip_space(text, line) == text.size() ? line : text.size();
  }

  void text_until(std::size_t tag, char sign, bool is_variable) {
    const std::size_t kept = kept_text(position_, tag, sign, is_variable);
    if (kept > 0) add(Type::kData, std::string(source_.substr(position_, kept)));
    move_to(tag);
  }

  void text_and_tag() {
    std::size_t tag = position_;
    do {
      tag = source_.find('{', tag);
      if (tag == std::string_view::npos || tag + 1 >= source_.size()) {
        add(Type::kData, std::string(source_.substr(position_)));
        move_to(source_.size());
        return;
      }
      const char kind = source_[tag + 1];
      if (kind == '{' || kind == '%' || kind == '#') break;
      ++tag;
    } while (true);
    const char kind = source_[tag + 1];
    const char next = tag + 2 < source_.size() ? source_[tag + 2] : '\0';
    const char sign = next == '-' || next == '+' ? next : '\0';
    text_until(tag, sign, kind == '{');
    const std::size_t behind = tag + 2 + (sign != '\0');
    if (kind == '#') {
      comment(behind);
    } else if (kind == '%' && !raw(behind)) {
      add(Type::kBlockBegin, {});
      move_to(behind);
      expression_tokens("%}", Type::kBlockEnd);
    } else if (kind == '{') {
      add(Type::kVariableBegin, {});
      move_to(behind);
      expression_tokens("}}", Type::kVariableEnd);
    }
  }

  // Where the source goes on after a tag that ends with "#}" or "%}" at `end`.
  std::size_t behind_end(std::size_t end, char sign) const {
    if (sign == '-') return skip_space(source_, end + 2);
    return end + 2 + (sign != '+' && end + 2 < source_.size() && source_[end + 2] == '\n');
  }

  void comment(std::size_t begin) {
    const std::size_t end = source_.find("#}", begin);
    if (end == std::string_view::npos) fail_syntax(line_, "a comment without its end, '#}'");
    move_to(behind_end(end, end > begin ? source_[end - 1] : '\0'));
  }

  // The end of "<space>WORD<space>%}" at position, or 0. Sets sign to what stands before "%}".
  std::size_t match_word_tag(std::size_t position, std::string_view word, char& sign) const {
    position = skip_space(source_, position);
    if (source_.substr(position, word.size()) != word) return 0;
    position = skip_space(source_, position + word.size());
    sign =
        position < source_.size() && (source_[position] == '-' || source_[position] == '+') ? source_[position] : '\0';
    position += sign != '\0';
    return source_.substr(position, 2) == "%}" ? position : 0;
  }

  bool raw(std::size_t begin) {
    char sign = '\0';
    const std::size_t end = match_word_tag(begin, "raw", sign);
    if (end == 0 || sign == '+') return false;
    const int line = line_;
    move_to(sign == '-' ? skip_space(source_, end + 2) : end + 2);
    for (std::size_t tag = position_; (tag = source_.find("{%", tag)) != std::string_view::npos; tag += 2) {
      const char next = tag + 2 < source_.size() ? source_[tag + 2] : '\0';
      const char opening_sign = next == '-' || next == '+' ? next : '\0';
      const std::size_t last = match_word_tag(tag + 2 + (opening_sign != '\0'), "endraw", sign);
      if (last == 0) continue;
      text_until(tag, opening_sign, false);
      move_to(behind_end(last, sign));
      return true;
    }
    fail_syntax(line, "'{% raw %}' without '{% endraw %}'");
  }

  bool tag_end(std::string_view end, Type type) {
    if (!open_.empty()) return false;
    const bool is_block = type == Type::kBlockEnd;
    const char sign = peek() == '-' || (is_block && peek() == '+') ? peek() : '\0';
    const std::size_t at = position_ + (sign != '\0');
    if (source_.substr(at, 2) != end) return false;
    add(type, {});
    move_to(is_block ? behind_end(at, sign) : sign == '-' ? skip_space(source_, at + 2) : at + 2);
    return true;
  }

  void expression_tokens(std::string_view end, Type type) {
    const int line = line_;
    open_.clear();
    while (!tag_end(end, type)) {
      move_to(skip_space(source_, position_));
      if (tag_end(end, type)) return;
      if (position_ == source_.size()) fail_syntax(line, text("a tag without its end, '", end, "'"));
      const char c = peek();
      if (is_ascii_digit(c)) {
        number();
      } else if (is_name_start(c)) {
        name();
      } else if (c == '\'' || c == '"') {
        string();
      } else {
        symbol();
      }
    }
  }

  std::size_t digits_from(std::size_t position) const {
    while (position < source_.size() &&
           (is_ascii_digit(source_[position]) ||
            (source_[position] == '_' && position + 1 < source_.size() && is_ascii_digit(source_[position + 1])))) {
      ++position;
    }
    return position;
  }

  // The end of a float that begins here, or 0.
  std::size_t match_float() const {
    if (position_ > 0 && source_[position_ - 1] == '.') return 0;
    const auto at = [&](std::size_t i) { return i < source_.size() ? source_[i] : '\0'; };
    std::size_t end = digits_from(position_);
    bool is_float = false;
    if (at(end) == '.' && is_ascii_digit(at(end + 1))) {
      end = digits_from(end + 1);
      is_float = true;
    }
    if ((at(end) | 0x20) == 'e') {
      const std::size_t exponent = end + 1 + (at(end + 1) == '+' || at(end + 1) == '-');
      if (is_ascii_digit(at(exponent))) {
        end = digits_from(exponent);
        is_float = true;
      }
    }
    return is_float ? end : 0;
  }

  void number() {
    if (const std::size_t end = match_float()) {
      std::string digits(source_.substr(position_, end - position_));
      digits.erase(std::remove(digits.begin(), digits.end(), '_'), digits.end());
      add(Type::kFloat, {});
      double& value = tokens_.back().real;
      const auto result = std::from_chars(digits.data(), digits.data() + digits.size(), value);
      if (result.ec != std::errc()) fail_lacking(line_, text("the number ", digits, " is out of range"));
      move_to(end);
      return;
    }
    integer();
  }

  void integer() {
    int base = 10;
    const char marker = static_cast<char>(peek(1) | 0x20);
    if (peek() == '0') base = marker == 'x' ? 16 : marker == 'o' ? 8 : marker == 'b' ? 2 : 10;
    const auto is_digit_of_base = [&](char c) {
      const int digit = is_ascii_digit(c)                        ? c - '0'
                        : (c | 0x20) >= 'a' && (c | 0x20) <= 'f' ? (c | 0x20) - 'a' + 10
                                                                 : 16;
      return digit < base && (base != 10 || peek() != '0' || c == '0');  // what begins with 0 is zero
    };
    std::size_t end = position_ + (base == 10 ? 0 : 2);
    std::string digits;
    for (; end < source_.size(); ++end) {
      const bool joins = source_[end] == '_' && end + 1 < source_.size() && is_digit_of_base(source_[end + 1]) &&
                         (base != 10 || !digits.empty());
      if (joins) continue;
      if (!is_digit_of_base(source_[end])) break;
      digits += source_[end];
    }
    if (digits.empty()) {  // "0x" with nothing of its base behind: the number 0, then a name
      digits += '0';
      end = position_ + 1;
    }
    add(Type::kInteger, {});
    std::int64_t& value = tokens_.back().integer;
    const auto result = std::from_chars(digits.data(), digits.data() + digits.size(), value, base);
    if (result.ec != std::errc()) fail_lacking(line_, text("the integer ", digits, " needs more than 64 bits"));
    move_to(end);
  }

  void name() {
    std::size_t end = position_;
    while (end < source_.size() && (is_name_start(source_[end]) || is_ascii_digit(source_[end]))) ++end;
    if (end < source_.size() && static_cast<unsigned char>(source_[end]) >= 0x80) {
      std::size_t next = end;
      if (is_word(next_code_point(source_, next))) fail_lacking(line_, "names with characters beyond ASCII");
    }
    add(Type::kName, std::string(source_.substr(position_, end - position_)));
    move_to(end);
  }

  void string() {
    const char quote = peek();
    std::size_t end = position_ + 1;
    while (end < source_.size() && source_[end] != quote) end += source_[end] == '\\' ? 2 : 1;
    if (end >= source_.size()) fail_syntax(line_, "a string without its closing quote");
    add(Type::kString, unescape_literal(source_.substr(position_ + 1, end - position_ - 1), line_));
    move_to(end + 1);
  }

  void symbol() {
    constexpr std::string_view kSymbols[] = {"//", "**", "==", "!=", ">=", "<=", "+", "-", "/", "*", "%", "~", "[",
                                             "]",  "(",  ")",  "{",  "}",  ">",  "<", "=", ".", ":", "|", ",", ";"};
    for (const std::string_view candidate : kSymbols) {
      if (!follows(candidate)) continue;
      balance(candidate[0]);
      add(Type::kOperator, std::string(candidate));
      move_to(position_ + candidate.size());
      return;
    }
    std::size_t next = position_;
    if (is_word(next_code_point(source_, next))) fail_lacking(line_, "names with characters beyond ASCII");
    fail_syntax(line_, text("unexpected character '", source_.substr(position_, next - position_), "'"));
  }

  void balance(char c) {
    if (c == '(' || c == '[' || c == '{') open_ += c == '(' ? ')' : c == '[' ? ']' : '}';
    if (c != ')' && c != ']' && c != '}') return;
    if (open_.empty() || open_.back() != c) {
      fail_syntax(line_, text("unexpected '", c, "'", open_.empty() ? "" : text(", expected '", open_.back(), "'")));
    }
    open_.pop_back();
  }

  std::string storage_;
  std::string_view source_;
  std::size_t position_ = 0;
  int line_ = 1;
  std::string open_;  // brackets that are to close
  std::vector<Token> tokens_;
};

}  // namespace

void fail_syntax(int line, const std::string& message) { fail(ErrorCategory::kBadFile, text(line, ": ", message)); }
void fail_lacking(int line, const std::string& message) {
  fail(ErrorCategory::kUnsupported, text(line, ": not supported: ", message));
}

std::vector<Token> tokenize(std::string_view source) { return Lexer(source).run(); }

}  // namespace tca::runtime::jinja
