#include "cli/format.h"

#include <fmt/format.h>

#include <array>
#include <charconv>
#include <cmath>

#include "tca/error.h"

namespace tca::cli {

std::string format_count(std::int64_t count) {
  std::string digits = fmt::format("{}", count);
  const std::size_t first = count < 0 ? 1 : 0;
  for (std::size_t at = digits.size(); at > first + 3;) {
    at -= 3;
    digits.insert(at, 1, ',');
  }
  return digits;
}

std::string counted(std::int64_t count, std::string_view what) {
  return fmt::format("{} {}{}", format_count(count), what, count == 1 ? "" : "s");
}

std::string format_bytes(std::uint64_t bytes) {
  static constexpr std::array<const char*, 5> kUnits = {"KiB", "MiB", "GiB", "TiB", "PiB"};
  if (bytes < 1024) return fmt::format("{} B", bytes);
  double value = static_cast<double>(bytes) / 1024;
  std::size_t unit = 0;
  // 1023.95 would print as 1024.0 of the smaller unit.
  while (value >= 1023.95 && unit + 1 < kUnits.size()) {
    value /= 1024;
    ++unit;
  }
  return fmt::format("{:.1f} {}", value, kUnits[unit]);
}

std::string format_seconds(double seconds) {
  if (!(seconds >= 0)) seconds = 0;
  if (seconds < 0.9995) return fmt::format("{:.0f} ms", seconds * 1000);
  if (seconds < 9.995) return fmt::format("{:.2f} s", seconds);
  if (seconds < 99.95) return fmt::format("{:.1f} s", seconds);
  const auto whole = static_cast<std::int64_t>(std::llround(seconds));
  return fmt::format("{} min {:02} s", whole / 60, whole % 60);
}

std::string format_percent(double share) {
  const double percent = share * 100;
  if (percent > 0 && percent < 9.95) return fmt::format("{:.1f} %", percent);
  return fmt::format("{:.0f} %", percent);
}

std::string format_rate(double tokens_per_second) {
  if (tokens_per_second >= 999.5) return format_count(std::llround(tokens_per_second)) + " tokens/s";
  return fmt::format("{:.1f} tokens/s", tokens_per_second);
}

namespace {

// Exponent of 1024 of a unit, or -1.
int unit_exponent(std::string_view unit) {
  if (unit.empty() || unit == "B" || unit == "b") return 0;
  static constexpr std::string_view kLower = "kmgt", kUpper = "KMGT";
  std::size_t exponent = kLower.find(unit[0]);
  if (exponent == std::string_view::npos) exponent = kUpper.find(unit[0]);
  if (exponent == std::string_view::npos) return -1;
  const std::string_view rest = unit.substr(1);
  const bool known = rest.empty() || rest == "B" || rest == "b" || rest == "iB" || rest == "ib";
  return known ? static_cast<int>(exponent) + 1 : -1;
}

}  // namespace

std::uint64_t parse_byte_size(std::string_view text) {
  const auto refuse = [&]() -> std::uint64_t {
    throw Error(
        ErrorCategory::kInvalidArgument,
        fmt::format("'{}' is not a size in bytes; write a number with K, M, G or T, such as 512M or 1.5G", text));
  };
  double number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number, std::chars_format::fixed);
  if (error != std::errc() || !(number >= 0)) return refuse();
  std::string_view unit(end, static_cast<std::size_t>(text.data() + text.size() - end));
  while (!unit.empty() && unit.front() == ' ') unit.remove_prefix(1);
  const int exponent = unit_exponent(unit);
  if (exponent < 0) return refuse();
  const double bytes = std::ldexp(number, 10 * exponent);
  // 2^62: far above any machine, far below where a double or a size_t would overflow.
  if (!(bytes >= 1 && bytes <= std::ldexp(1.0, 62))) return refuse();
  return static_cast<std::uint64_t>(bytes);
}

}  // namespace tca::cli
