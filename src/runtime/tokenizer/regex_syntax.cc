#include "runtime/tokenizer/regex_syntax.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <utility>

#include "core/check.h"

namespace tca::runtime {
namespace {

constexpr std::array<std::string_view, 29> kCategories = {"L",  "Lu", "Ll", "Lt", "Lm", "Lo", "M",  "Mn", "Mc", "Me",
                                                          "N",  "Nd", "Nl", "No", "P",  "Pc", "Pd", "Ps", "Pe", "Pi",
                                                          "Pf", "Po", "S",  "Sm", "Sc", "Sk", "So", "Z",  "Zs"};
constexpr std::array<std::string_view, 4> kScripts = {"Han", "Hiragana", "Katakana", "Hangul"};

bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_alphanumeric(char c) { return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }

class Translator {
 public:
  Translator(std::string_view pattern, const std::string& where) : pattern_(pattern), where_(where) {}

  std::string run() {
    while (!done()) {
      switch (peek()) {
        case '\\':
          escape_outside();
          break;
        case '[':
          character_class();
          break;
        case '(':
          open_group();
          break;
        case '{':
          brace();
          break;
        default:
          out_ += take();
      }
    }
    return std::move(out_);
  }

 private:
  // What an escape stands for: literal text, or a class and the newer members of it.
  struct Escape {
    std::string text;
    std::string additions;
    bool negated = false;
  };

  [[noreturn]] void refuse(const std::string& what) const {
    fail(ErrorCategory::kUnsupported,
         text(where_, ": the regular expression uses ", what, " at byte ", position_, ", which is not supported"));
  }
  bool done() const { return position_ == pattern_.size(); }
  char peek() const { return pattern_[position_]; }
  char take() { return pattern_[position_++]; }
  bool looking_at(std::string_view s) const { return pattern_.substr(position_).starts_with(s); }

  Escape property(bool negated) {
    const std::size_t end = pattern_.find('}', position_);
    if (!looking_at("{") || end == std::string_view::npos) refuse("\\p without {...}");
    const std::string_view name = pattern_.substr(position_ + 1, end - position_ - 1);
    const bool is_script = std::find(kScripts.begin(), kScripts.end(), name) != kScripts.end();
    if (!is_script && std::find(kCategories.begin(), kCategories.end(), name) == kCategories.end()) {
      refuse(text("\\p{", name.substr(0, 40), "}"));
    }
    position_ = end + 1;
    // PCRE2's bare script names mean script extensions; Oniguruma's mean the script.
    return {text(negated ? "\\P{" : "\\p{", is_script ? "sc:" : "", name, "}"), newer_members(name), negated};
  }

  Escape code_point(std::size_t max_digits, bool braces) {
    const std::size_t begin = position_ + (braces ? 1 : 0);
    std::size_t end = begin;
    while (end < pattern_.size() && end - begin < max_digits &&
           std::isxdigit(static_cast<unsigned char>(pattern_[end]))) {
      ++end;
    }
    const bool closed = !braces || (end < pattern_.size() && pattern_[end] == '}');
    if (end == begin || !closed) refuse("a malformed hexadecimal escape");
    position_ = end + (braces ? 1 : 0);
    return {text("\\x{", pattern_.substr(begin, end - begin), "}"), ""};
  }

  Escape escape() {
    ++position_;  // the backslash
    if (done()) refuse("a trailing backslash");
    const char c = take();
    switch (c) {
      case 's':
        return {"\\p{White_Space}", ""};
      case 'S':
        return {"\\P{White_Space}", "", true};
      case 'd':
        return {"\\p{Nd}", newer_members("Nd")};
      case 'D':
        return {"\\P{Nd}", newer_members("Nd"), true};
      case 'p':
      case 'P':
        return property(c == 'P');
      case 'r':
      case 'n':
      case 't':
      case 'f':
        return {text('\\', c), ""};
      case 'v':
        return {"\\x0B", ""};  // PCRE2's \v is a class
      case 'x':
        if (looking_at("{")) return code_point(6, true);
        if (done() || peek() > '7') refuse("\\x above 7F without braces");  // a raw byte in Oniguruma
        return code_point(2, false);
      case 'u':
        return code_point(4, false);
      default:
        if (is_alphanumeric(c)) {
          --position_;
          refuse(text("the escape \\", c));
        }
        // Escaped punctuation, or a character that needs no escape.
        return {static_cast<unsigned char>(c) < 0x80 ? text('\\', c) : std::string(1, c), ""};
    }
  }

  void escape_outside() {
    const Escape e = escape();
    out_ += e.additions.empty() ? e.text
                                : text(e.negated ? "[^" : "[", e.negated ? positive(e.text) : e.text, e.additions, "]");
  }
  static std::string positive(std::string property_text) {
    property_text[1] = 'p';
    return property_text;
  }

  void character_class() {
    ++position_;
    const bool negated = !done() && peek() == '^';
    if (negated) ++position_;
    std::string body;
    std::string additions;
    while (true) {
      if (done()) refuse("a class without its closing bracket");
      if (peek() == ']') break;
      if (peek() == '[') refuse("a class inside a class");
      if (looking_at("&&")) refuse("an intersection of classes");
      if (peek() != '\\') {
        // A leading hyphen would make a range with the additions, which go first.
        body += body.empty() && peek() == '-' ? "\\" : "";
        body += take();
        continue;
      }
      const Escape e = escape();
      if (e.negated && !e.additions.empty()) refuse("a negated property inside a class");
      body += e.text;
      additions += e.additions;
    }
    ++position_;
    if (body.empty()) refuse("an empty class");
    out_ += text(negated ? "[^" : "[", additions, body, "]");
  }

  void open_group() {
    constexpr std::array<std::string_view, 7> kKinds = {"(?:", "(?=", "(?!", "(?<=", "(?<!", "(?>", "(?i:"};
    if (looking_at("(*")) refuse("(*");
    if (!looking_at("(?")) {
      out_ += take();
      return;
    }
    const auto kind = std::find_if(kKinds.begin(), kKinds.end(), [this](std::string_view k) { return looking_at(k); });
    if (kind == kKinds.end()) refuse(text("the group ", pattern_.substr(position_, 4)));
    out_ += *kind;
    position_ += kind->size();
  }

  // {n}, {n,}, {n,m}, {,m} repeat; any other brace is itself.
  void brace() {
    std::size_t i = position_ + 1;
    const auto digits = [&] {
      const std::size_t begin = i;
      while (i < pattern_.size() && is_digit(pattern_[i])) ++i;
      return pattern_.substr(begin, i - begin);
    };
    const std::string_view low = digits();
    const bool comma = i < pattern_.size() && pattern_[i] == ',';
    if (comma) ++i;
    const std::string_view high = comma ? digits() : std::string_view();
    if (i >= pattern_.size() || pattern_[i] != '}' || (low.empty() && high.empty())) {
      out_ += "\\{";
      ++position_;
      return;
    }
    position_ = i + 1;
    if (looking_at("+")) refuse("a possessive {n,m}+");  // a nested repeat in Oniguruma
    if (!comma && looking_at("?")) refuse("{n}?");       // an optional group in Oniguruma
    out_ += text("{", low.empty() ? "0" : low, comma ? "," : "", high, "}");
  }

  std::string_view pattern_;
  const std::string& where_;
  std::size_t position_ = 0;
  std::string out_;
};

}  // namespace

std::string to_pcre2_syntax(std::string_view pattern, const std::string& where) {
  return Translator(pattern, where).run();
}

std::string quote_for_pcre2(std::string_view literal) {
  std::string quoted;
  for (const char c : literal) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x80 && !is_alphanumeric(c)) quoted += '\\';
    quoted += c;
  }
  return quoted;
}

}  // namespace tca::runtime
