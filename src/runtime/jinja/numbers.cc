#include "runtime/jinja/numbers.h"

#include <charconv>
#include <cmath>
#include <string>

#include "core/check.h"
#include "core/utf8.h"
#include "runtime/jinja/characters.h"

namespace tca::runtime::jinja {
namespace {

std::string_view strip_space(std::string_view text) {
  std::size_t begin = 0;
  for (std::size_t next = 0; begin < text.size() && is_space(next_code_point(text, next));) begin = next;
  std::size_t end = text.size();
  while (end > begin) {
    const std::size_t start = previous_start(text, end);
    std::size_t position = start;
    if (!is_space(next_code_point(text, position))) break;
    end = start;
  }
  return text.substr(begin, end - begin);
}

void refuse_other_digits(std::string_view text) {
  for (std::size_t position = 0; position < text.size();) {
    const char32_t c = next_code_point(text, position);
    check_supported(c < 0x80 || !is_decimal(c), "a number with digits beyond ASCII");
  }
}

int digit_of(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  const char lower = static_cast<char>(c | 0x20);
  return lower >= 'a' && lower <= 'z' ? lower - 'a' + 10 : 99;
}

// "0x" and the like; the base it stands for, or 0.
int prefix_base(std::string_view text) {
  if (text.size() < 2 || text[0] != '0') return 0;
  const char letter = static_cast<char>(text[1] | 0x20);
  return letter == 'x' ? 16 : letter == 'o' ? 8 : letter == 'b' ? 2 : 0;
}

}  // namespace

std::optional<std::int64_t> parse_integer(std::string_view text, std::int64_t base) {
  refuse_other_digits(text);
  if (base != 0 && (base < 2 || base > 36)) return std::nullopt;
  text = strip_space(text);
  const bool is_negative = !text.empty() && text[0] == '-';
  if (is_negative || (!text.empty() && text[0] == '+')) text.remove_prefix(1);
  const int prefixed = prefix_base(text);
  const bool has_prefix = prefixed != 0 && (base == 0 || base == prefixed);
  if (has_prefix) text.remove_prefix(2);
  const bool must_be_zero = base == 0 && !has_prefix && !text.empty() && text[0] == '0';
  const int radix = base != 0 ? static_cast<int>(base) : has_prefix ? prefixed : 10;
  std::int64_t value = 0;
  bool after_digit = has_prefix;  // an underscore may stand between digits, and behind a prefix
  bool fits = true;
  for (const char c : text) {
    if (c == '_') {
      if (!after_digit) return std::nullopt;
      after_digit = false;
      continue;
    }
    const int digit = digit_of(c);
    if (digit >= radix || (must_be_zero && digit != 0)) return std::nullopt;
    // Downwards, where there is room for one number more.
    fits = fits && !__builtin_mul_overflow(value, radix, &value) && !__builtin_sub_overflow(value, digit, &value);
    after_digit = true;
  }
  if (text.empty() || !after_digit || text.back() == '_') return std::nullopt;
  check_supported(fits && (is_negative || value != INT64_MIN), "an integer that needs more than 64 bits");
  return is_negative ? value : -value;
}

std::optional<double> parse_real(std::string_view text) {
  refuse_other_digits(text);
  text = strip_space(text);
  std::string plain;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto is_digit_at = [&](std::size_t at) { return at < text.size() && text[at] >= '0' && text[at] <= '9'; };
    if (text[i] != '_') {
      plain += static_cast<char>(text[i] >= 'A' && text[i] <= 'Z' ? text[i] | 0x20 : text[i]);
    } else if (i == 0 || !is_digit_at(i - 1) || !is_digit_at(i + 1)) {
      return std::nullopt;
    }
  }
  const bool is_negative = !plain.empty() && plain[0] == '-';
  if (is_negative || (!plain.empty() && plain[0] == '+')) plain.erase(0, 1);
  const double sign = is_negative ? -1 : 1;
  if (plain == "inf" || plain == "infinity") return sign * HUGE_VAL;
  if (plain == "nan") return std::nan("");
  const bool fine = !plain.empty() && plain.find_first_not_of("0123456789.e+-") == std::string::npos &&
                    (plain[0] == '.' || (plain[0] >= '0' && plain[0] <= '9'));
  if (!fine) return std::nullopt;
  double value = 0;
  const auto result = std::from_chars(plain.data(), plain.data() + plain.size(), value);
  if (result.ptr != plain.data() + plain.size() || result.ec == std::errc::invalid_argument) return std::nullopt;
  // Beyond a double's range from_chars gives nothing; Python, infinity or zero.
  check_supported(result.ec == std::errc(), "a number beyond a double's range");
  return sign * value;
}

std::int64_t truncate_to_integer(double value) {
  check_supported(std::fabs(value) < 9.2e18, "an integer that needs more than 64 bits");
  return static_cast<std::int64_t>(value);
}

}  // namespace tca::runtime::jinja
