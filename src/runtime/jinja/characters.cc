#include "runtime/jinja/characters.h"

#include <utf8proc.h>

#include <algorithm>
#include <array>
#include <iterator>

#include "core/utf8.h"

namespace tca::runtime::jinja {
namespace {

struct CodePointRange {
  char32_t first, last;
};

template <std::size_t n>
bool contains(const CodePointRange (&ranges)[n], char32_t c) {
  const auto* range = std::lower_bound(std::begin(ranges), std::end(ranges), c,
                                       [](const CodePointRange& r, char32_t value) { return r.last < value; });
  return range != std::end(ranges) && range->first <= c;
}

// Numeric_Type=Digit outside the decimal digits.
constexpr CodePointRange kOtherDigits[] = {
    {0xB2, 0xB3},     {0xB9, 0xB9},       {0x1369, 0x1371},   {0x19DA, 0x19DA},   {0x2070, 0x2070},
    {0x2074, 0x2079}, {0x2080, 0x2089},   {0x2460, 0x2468},   {0x2474, 0x247C},   {0x2488, 0x2490},
    {0x24EA, 0x24EA}, {0x24F5, 0x24FD},   {0x24FF, 0x24FF},   {0x2776, 0x277E},   {0x2780, 0x2788},
    {0x278A, 0x2792}, {0x10A40, 0x10A43}, {0x10E60, 0x10E68}, {0x11052, 0x1105A}, {0x1F100, 0x1F10A},
};

// Other_Lowercase and Other_Uppercase.
constexpr CodePointRange kOtherLower[] = {
    {0xAA, 0xAA},     {0xBA, 0xBA},     {0x2B0, 0x2B8},     {0x2C0, 0x2C1},     {0x2E0, 0x2E4},     {0x345, 0x345},
    {0x37A, 0x37A},   {0x1D2C, 0x1D6A}, {0x1D78, 0x1D78},   {0x1D9B, 0x1DBF},   {0x2071, 0x2071},   {0x207F, 0x207F},
    {0x2090, 0x209C}, {0x2170, 0x217F}, {0x24D0, 0x24E9},   {0x2C7C, 0x2C7D},   {0xA69C, 0xA69D},   {0xA770, 0xA770},
    {0xA7F8, 0xA7F9}, {0xAB5C, 0xAB5F}, {0x10780, 0x10780}, {0x10783, 0x10785}, {0x10787, 0x107B0}, {0x107B2, 0x107BA},
};
constexpr CodePointRange kOtherUpper[] = {
    {0x2160, 0x216F}, {0x24B6, 0x24CF}, {0x1F130, 0x1F149}, {0x1F150, 0x1F169}, {0x1F170, 0x1F189}};

constexpr char32_t kCapitalSigma = 0x3A3;
constexpr char32_t kCapitalIWithDot = 0x130;
constexpr char32_t kSharpS = 0xDF;  // utf8proc has a capital one for it, which full mappings have not
constexpr char32_t kCapitalSharpS = 0x1E9E;

utf8proc_category_t category(char32_t c) { return utf8proc_category(static_cast<utf8proc_int32_t>(c)); }

bool is_cased(char32_t c) { return is_lower(c) || is_upper(c) || is_title(c); }

bool is_case_ignorable(char32_t c) {
  constexpr char32_t kPunctuation[] = {0x27,   0x2E,   0x3A,   0xB7,   0x387,  0x55F,  0x5F4,  0x2018, 0x2019,
                                       0x2024, 0x2027, 0xFE13, 0xFE52, 0xFE55, 0xFF07, 0xFF0E, 0xFF1A};
  if (std::find(std::begin(kPunctuation), std::end(kPunctuation), c) != std::end(kPunctuation)) return true;
  switch (category(c)) {
    case UTF8PROC_CATEGORY_MN:
    case UTF8PROC_CATEGORY_ME:
    case UTF8PROC_CATEGORY_CF:
    case UTF8PROC_CATEGORY_LM:
    case UTF8PROC_CATEGORY_SK:
      return true;
    default:
      return false;
  }
}

struct Mapping {
  std::array<char32_t, 3> points{};
  int count = 0;
};

Mapping one(utf8proc_int32_t c) { return {{static_cast<char32_t>(c)}, 1}; }

// Full case folding, where that is longer than a character and what upper and title case are made of.
Mapping long_folding(char32_t c) {
  Mapping result;
  if (c < 0x80 || c == kCapitalIWithDot || c == kCapitalSharpS) return result;
  utf8proc_int32_t parts[4];
  int boundary_class = UTF8PROC_BOUNDCLASS_START;
  const utf8proc_ssize_t n =
      utf8proc_decompose_char(static_cast<utf8proc_int32_t>(c), parts, 4, UTF8PROC_CASEFOLD, &boundary_class);
  if (n < 2 || n > 3) return result;
  for (utf8proc_ssize_t i = 0; i < n; ++i) result.points[static_cast<std::size_t>(i)] = static_cast<char32_t>(parts[i]);
  result.count = static_cast<int>(n);
  return result;
}

char32_t simple_upper(char32_t c) { return static_cast<char32_t>(utf8proc_toupper(static_cast<utf8proc_int32_t>(c))); }

Mapping upper_of(char32_t c) {
  Mapping folding = long_folding(c);
  if (folding.count == 0) return one(static_cast<utf8proc_int32_t>(simple_upper(c)));
  for (char32_t& point : folding.points) point = simple_upper(point);
  return folding;
}

Mapping title_of(char32_t c) {
  constexpr char32_t kIota = 0x3B9;
  constexpr char32_t kIotaBelow = 0x345;
  const utf8proc_int32_t simple = utf8proc_totitle(static_cast<utf8proc_int32_t>(c));
  Mapping folding = long_folding(c);
  const bool is_single = simple != static_cast<utf8proc_int32_t>(c) && c != kSharpS;
  if (folding.count == 0 || is_title(c) || is_single) return one(simple);
  const std::size_t first = is_cased(folding.points[0]) ? 0 : 1;  // U+0149 begins with an apostrophe
  folding.points[first] = simple_upper(folding.points[first]);
  for (std::size_t i = first + 1; i < folding.points.size(); ++i) {
    if (folding.points[i] == kIota) folding.points[i] = kIotaBelow;
  }
  return folding;
}

// Sigma is final behind a cased character and not before one, with ignorable ones between.
bool is_final_sigma(std::string_view text, std::size_t begin, std::size_t end) {
  bool is_behind = false;
  while (begin > 0) {
    begin = previous_start(text, begin);
    std::size_t position = begin;
    const char32_t c = next_code_point(text, position);
    if (is_case_ignorable(c)) continue;
    is_behind = is_cased(c);
    break;
  }
  if (!is_behind) return false;
  while (end < text.size()) {
    const char32_t c = next_code_point(text, end);
    if (!is_case_ignorable(c)) return !is_cased(c);
  }
  return true;
}

Mapping lower_at(std::string_view text, char32_t c, std::size_t begin, std::size_t end) {
  if (c == kCapitalSigma) return one(is_final_sigma(text, begin, end) ? 0x3C2 : 0x3C3);
  if (c == kCapitalIWithDot) return {{'i', 0x307}, 2};
  return one(utf8proc_tolower(static_cast<utf8proc_int32_t>(c)));
}

// map(c, begin, end) for each character.
template <class Map>
Text map_characters(const Text& text, const Map& map) {
  Text result;
  std::string utf8;
  const std::string& bytes = text.bytes();
  for (std::size_t position = 0; position < bytes.size();) {
    const std::size_t begin = position;
    const char32_t c = next_code_point(bytes, position);
    const Mapping mapping = map(c, begin, position);
    utf8.clear();
    for (int i = 0; i < mapping.count; ++i) append_utf8(utf8, mapping.points[static_cast<std::size_t>(i)]);
    result.append(utf8, text.foreign().empty() ? Origin::kTrusted : text.origin_at(begin));
  }
  return result;
}

}  // namespace

bool is_space(char32_t c) {
  return (c >= 0x09 && c <= 0x0D) || (c >= 0x1C && c <= 0x20) || c == 0x85 || c == 0xA0 || c == 0x1680 ||
         (c >= 0x2000 && c <= 0x200A) || c == 0x2028 || c == 0x2029 || c == 0x202F || c == 0x205F || c == 0x3000;
}

bool is_printable(char32_t c) {
  if (c < 0x80) return c >= 0x20 && c < 0x7F;
  switch (category(c)) {
    case UTF8PROC_CATEGORY_CN:
    case UTF8PROC_CATEGORY_CC:
    case UTF8PROC_CATEGORY_CF:
    case UTF8PROC_CATEGORY_CS:
    case UTF8PROC_CATEGORY_CO:
    case UTF8PROC_CATEGORY_ZS:
    case UTF8PROC_CATEGORY_ZL:
    case UTF8PROC_CATEGORY_ZP:
      return false;
    default:
      return true;
  }
}

bool is_decimal(char32_t c) { return c < 0x80 ? c >= '0' && c <= '9' : category(c) == UTF8PROC_CATEGORY_ND; }
bool is_digit(char32_t c) { return is_decimal(c) || contains(kOtherDigits, c); }

bool is_alphabetic(char32_t c) {
  if (c < 0x80) return (c | 0x20) >= 'a' && (c | 0x20) <= 'z';
  const utf8proc_category_t kind = category(c);
  return kind >= UTF8PROC_CATEGORY_LU && kind <= UTF8PROC_CATEGORY_LO;
}

bool is_lower(char32_t c) {
  if (c < 0x80) return c >= 'a' && c <= 'z';
  return category(c) == UTF8PROC_CATEGORY_LL || contains(kOtherLower, c);
}

bool is_upper(char32_t c) {
  if (c < 0x80) return c >= 'A' && c <= 'Z';
  return category(c) == UTF8PROC_CATEGORY_LU || contains(kOtherUpper, c);
}

bool is_title(char32_t c) { return c >= 0x80 && category(c) == UTF8PROC_CATEGORY_LT; }

bool is_word(char32_t c) {
  if (c == '_' || is_alphabetic(c)) return true;
  const utf8proc_category_t kind = category(c);
  return kind == UTF8PROC_CATEGORY_ND || kind == UTF8PROC_CATEGORY_NL || kind == UTF8PROC_CATEGORY_NO;
}

Text to_upper(const Text& text) {
  return map_characters(text, [](char32_t c, std::size_t, std::size_t) { return upper_of(c); });
}

Text to_lower(const Text& text) {
  return map_characters(
      text, [&](char32_t c, std::size_t begin, std::size_t end) { return lower_at(text.bytes(), c, begin, end); });
}

Text to_capitalized(const Text& text) {
  return map_characters(text, [&](char32_t c, std::size_t begin, std::size_t end) {
    return begin == 0 ? title_of(c) : lower_at(text.bytes(), c, begin, end);
  });
}

Text to_title(const Text& text) {
  bool inside = false;
  return map_characters(text, [&](char32_t c, std::size_t begin, std::size_t end) {
    const Mapping mapping = inside ? lower_at(text.bytes(), c, begin, end) : title_of(c);
    inside = is_cased(c);
    return mapping;
  });
}

Text to_swapped_case(const Text& text) {
  return map_characters(text, [&](char32_t c, std::size_t begin, std::size_t end) {
    if (is_upper(c)) return lower_at(text.bytes(), c, begin, end);
    return is_lower(c) ? upper_of(c) : one(static_cast<utf8proc_int32_t>(c));
  });
}

std::size_t length_of(std::string_view utf8) {
  return static_cast<std::size_t>(
      std::count_if(utf8.begin(), utf8.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xC0) != 0x80; }));
}

std::size_t byte_of(std::string_view utf8, std::size_t character) {
  std::size_t byte = 0;
  for (; character > 0; --character) next_code_point(utf8, byte);
  return byte;
}

}  // namespace tca::runtime::jinja
