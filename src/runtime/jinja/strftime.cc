#include "runtime/jinja/strftime.h"

#include <array>
#include <cstdio>
#include <ctime>

#include "core/check.h"
#include "runtime/jinja/rendering.h"

namespace tca::runtime::jinja {
namespace {

constexpr std::array<const char*, 7> kDays = {"Sunday",   "Monday", "Tuesday", "Wednesday",
                                              "Thursday", "Friday", "Saturday"};
constexpr std::array<const char*, 12> kMonths = {"January", "February", "March",     "April",   "May",      "June",
                                                 "July",    "August",   "September", "October", "November", "December"};

std::string number(int value, int width, char fill = '0') {
  std::string digits = std::to_string(value);
  const auto size = static_cast<std::size_t>(width);
  return digits.size() < size ? std::string(size - digits.size(), fill) + digits : digits;
}

struct IsoWeek {
  int year, week;
};

IsoWeek iso_week(const std::tm& time) {
  const int weekday = (time.tm_wday + 6) % 7;  // Monday is 0
  int year = time.tm_year + 1900;
  int week = (time.tm_yday - weekday + 10) / 7;
  const auto weeks_in = [](int y) {
    const auto december_31 = [](int n) { return (n + n / 4 - n / 100 + n / 400) % 7; };
    return december_31(y) == 4 || december_31(y - 1) == 3 ? 53 : 52;
  };
  if (week < 1) {
    --year;
    week = weeks_in(year);
  } else if (week > weeks_in(year)) {
    ++year;
    week = 1;
  }
  return {year, week};
}

class TimeFormatter {
 public:
  TimeFormatter(const std::tm& time, int microseconds) : time_(time), microseconds_(microseconds) {}

  // In the C locale. has_zeros: false for "%-d".
  std::string directive(char c, bool has_zeros) const {
    const int hour12 = time_.tm_hour % 12 == 0 ? 12 : time_.tm_hour % 12;
    const auto two = [&](int value) { return number(value, has_zeros ? 2 : 1); };
    switch (c) {
      case 'd':
        return two(time_.tm_mday);
      case 'e':
        return has_zeros ? number(time_.tm_mday, 2, ' ') : number(time_.tm_mday, 1);
      case 'm':
        return two(time_.tm_mon + 1);
      case 'y':
        return two((time_.tm_year + 1900) % 100);
      case 'C':
        return two((time_.tm_year + 1900) / 100);
      case 'H':
        return two(time_.tm_hour);
      case 'I':
        return two(hour12);
      case 'k':
        return has_zeros ? number(time_.tm_hour, 2, ' ') : number(time_.tm_hour, 1);
      case 'l':
        return has_zeros ? number(hour12, 2, ' ') : number(hour12, 1);
      case 'M':
        return two(time_.tm_min);
      case 'S':
        return two(time_.tm_sec);
      case 'j':
        return number(time_.tm_yday + 1, has_zeros ? 3 : 1);
      case 'U':
        return two((time_.tm_yday + 7 - time_.tm_wday) / 7);
      case 'W':
        return two((time_.tm_yday + 7 - (time_.tm_wday + 6) % 7) / 7);
      case 'V':
        return two(iso_week(time_).week);
      default:
        return words(c);
    }
  }

 private:
  std::string words(char c) const {
    switch (c) {
      case 'Y':
        return number(time_.tm_year + 1900, 1);
      case 'G':
        return number(iso_week(time_).year, 1);
      case 'a':
        return std::string(kDays.at(static_cast<std::size_t>(time_.tm_wday))).substr(0, 3);
      case 'A':
        return kDays.at(static_cast<std::size_t>(time_.tm_wday));
      case 'b':
      case 'h':
        return std::string(kMonths.at(static_cast<std::size_t>(time_.tm_mon))).substr(0, 3);
      case 'B':
        return kMonths.at(static_cast<std::size_t>(time_.tm_mon));
      case 'p':
        return time_.tm_hour < 12 ? "AM" : "PM";
      case 'P':
        return time_.tm_hour < 12 ? "am" : "pm";
      case 'f':
        return number(microseconds_, 6);
      case 'w':
        return number(time_.tm_wday, 1);
      case 'u':
        return number(time_.tm_wday == 0 ? 7 : time_.tm_wday, 1);
      case 'n':
        return "\n";
      case 't':
        return "\t";
      case 'z':
      case 'Z':
        return "";  // a time without a zone
      case '%':
        return "%";
      default:
        return combined(c);
    }
  }

  std::string combined(char c) const {
    const auto all = [&](std::string_view directives) {
      std::string result;
      for (const char part : directives) {
        const bool is_letter = (part | 0x20) >= 'a' && (part | 0x20) <= 'z';
        result += is_letter ? directive(part, true) : std::string(1, part);
      }
      return result;
    };
    switch (c) {
      case 'D':
      case 'x':
        return all("m/d/y");
      case 'F':
        return all("Y-m-d");
      case 'T':
      case 'X':
        return all("H:M:S");
      case 'R':
        return all("H:M");
      case 'r':
        return all("I:M:S p");
      case 'c':
        return all("a b e H:M:S Y");
      default:
        fail(ErrorCategory::kUnsupported, text("strftime_now: not supported: '%", c, "'"));
    }
  }

  const std::tm& time_;
  int microseconds_;
};

}  // namespace

Text format_time(Rendering& rendering, const Text& format, std::chrono::system_clock::time_point time) {
  using std::chrono::duration_cast;
  const auto since = duration_cast<std::chrono::microseconds>(time.time_since_epoch()).count();
  const std::int64_t microseconds = (since % 1'000'000 + 1'000'000) % 1'000'000;
  const auto seconds = static_cast<std::time_t>((since - microseconds) / 1'000'000);
  std::tm local{};
  check_supported(localtime_r(&seconds, &local) != nullptr, "a time without a date");
  const TimeFormatter formatter(local, static_cast<int>(microseconds));
  TextBuilder out(rendering);
  const std::string& bytes = format.bytes();
  for (std::size_t position = 0; position < bytes.size();) {
    const std::size_t percent = std::min(bytes.find('%', position), bytes.size());
    out.append(format, position, percent);
    position = percent;
    if (position == bytes.size()) break;
    const bool has_zeros = position + 1 >= bytes.size() || bytes[position + 1] != '-';
    position += has_zeros ? 1 : 2;
    check_supported(position < bytes.size(), "strftime_now: a '%' at the end of the format");
    out.append(formatter.directive(bytes[position], has_zeros));
    ++position;
  }
  return out.take();
}

}  // namespace tca::runtime::jinja
