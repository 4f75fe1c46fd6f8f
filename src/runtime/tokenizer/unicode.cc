#include "runtime/tokenizer/unicode.h"

#include <utf8proc.h>

#include <algorithm>
#include <cstdint>
#include <iterator>
#include <vector>

namespace tca::runtime {
namespace {

struct CodePointRange {
  std::int32_t first, last;
};

// The tokenizers package normalises with the tables of Unicode 11, in which these had neither a decomposition nor a
// combining class: they pass unchanged and keep what stands before and after them apart. Ascending.
constexpr CodePointRange kNewerThanUnicode11[] = {
    {0x7FD, 0x7FD},     {0x897, 0x89F},     {0x8CA, 0x8D3},     {0x9FE, 0x9FE},     {0xC3C, 0xC3C},
    {0xD3B, 0xD3C},     {0xEBA, 0xEBA},     {0x1715, 0x1715},   {0x1ABF, 0x1AEB},   {0x1DF6, 0x1DFA},
    {0x32FF, 0x32FF},   {0xA7F1, 0xA7F4},   {0xA82C, 0xA82C},   {0xAB69, 0xAB69},   {0x105C0, 0x105F3},
    {0x10781, 0x10785}, {0x10787, 0x107B0}, {0x107B2, 0x107BA}, {0x10D24, 0x10D27}, {0x10D69, 0x10D6D},
    {0x10EAB, 0x10EAC}, {0x10EFA, 0x10EFF}, {0x10F46, 0x10F50}, {0x10F82, 0x10F85}, {0x11070, 0x11070},
    {0x1133B, 0x1133B}, {0x11380, 0x113E2}, {0x1145E, 0x1145E}, {0x11839, 0x1183A}, {0x11930, 0x11938},
    {0x1193D, 0x1193E}, {0x11943, 0x11943}, {0x119E0, 0x119E0}, {0x11A34, 0x11A34}, {0x11A47, 0x11A47},
    {0x11A99, 0x11A99}, {0x11D42, 0x11D42}, {0x11D44, 0x11D45}, {0x11D97, 0x11D97}, {0x11F41, 0x11F42},
    {0x16100, 0x16139}, {0x16D40, 0x16D79}, {0x16FF0, 0x16FF1}, {0x1CCD6, 0x1CCF9}, {0x1E030, 0x1E06D},
    {0x1E08F, 0x1E08F}, {0x1E130, 0x1E136}, {0x1E2AE, 0x1E2AE}, {0x1E2EC, 0x1E2EF}, {0x1E4EC, 0x1E4EF},
    {0x1E5EE, 0x1E5EF}, {0x1E6E3, 0x1E6F5}, {0x1F16C, 0x1F16C}, {0x1FBF0, 0x1FBF9},
};

bool passes_unchanged(char32_t c) {
  const auto value = static_cast<std::int32_t>(c);
  const auto* range = std::lower_bound(std::begin(kNewerThanUnicode11), std::end(kNewerThanUnicode11), value,
                                       [](const CodePointRange& r, std::int32_t v) { return r.last < v; });
  return range != std::end(kNewerThanUnicode11) && range->first <= value;
}

utf8proc_option_t decomposition_of(UnicodeForm form) {
  const bool compatibility = form == UnicodeForm::kNfkc || form == UnicodeForm::kNfkd;
  return static_cast<utf8proc_option_t>(UTF8PROC_DECOMPOSE | (compatibility ? UTF8PROC_COMPAT : 0));
}

// Normalises what it is given piece by piece and appends it to out.
class FormBuilder {
 public:
  FormBuilder(UnicodeForm form, std::string& out) : form_(form), decomposition_(decomposition_of(form)), out_(out) {}

  void add(char32_t c) {
    if (passes_unchanged(c)) {
      flush();
      append_utf8(out_, c);
      return;
    }
    constexpr int kLongestDecomposition = 18;  // U+FDFA
    utf8proc_int32_t parts[kLongestDecomposition];
    int boundary_class = UTF8PROC_BOUNDCLASS_START;
    const utf8proc_ssize_t n = utf8proc_decompose_char(static_cast<utf8proc_int32_t>(c), parts, kLongestDecomposition,
                                                       decomposition_, &boundary_class);
    points_.insert(points_.end(), parts, parts + n);
  }

  void flush() {
    order_marks();
    auto count = static_cast<utf8proc_ssize_t>(points_.size());
    if (form_ == UnicodeForm::kNfc || form_ == UnicodeForm::kNfkc) {
      count = utf8proc_normalize_utf32(points_.data(), count,
                                       static_cast<utf8proc_option_t>(UTF8PROC_STABLE | UTF8PROC_COMPOSE));
    }
    for (utf8proc_ssize_t i = 0; i < count; ++i) append_utf8(out_, static_cast<char32_t>(points_[i]));
    points_.clear();
  }

 private:
  static int combining_class(utf8proc_int32_t c) { return utf8proc_get_property(c)->combining_class; }

  // utf8proc orders marks by exchanging neighbours, which is quadratic in the length of a run; this is not.
  void order_marks() {
    for (std::size_t begin = 0; begin < points_.size();) {
      std::size_t end = begin;
      while (end < points_.size() && combining_class(points_[end]) != 0) ++end;
      if (end - begin > 1) {
        std::stable_sort(
            points_.begin() + static_cast<std::ptrdiff_t>(begin), points_.begin() + static_cast<std::ptrdiff_t>(end),
            [](utf8proc_int32_t a, utf8proc_int32_t b) { return combining_class(a) < combining_class(b); });
      }
      begin = end + 1;
    }
  }

  UnicodeForm form_;
  utf8proc_option_t decomposition_;
  std::string& out_;
  std::vector<utf8proc_int32_t> points_;
};

}  // namespace

bool is_white_space(char32_t c) {
  return (c >= 0x09 && c <= 0x0D) || c == 0x20 || c == 0x85 || c == 0xA0 || c == 0x1680 ||
         (c >= 0x2000 && c <= 0x200A) || c == 0x2028 || c == 0x2029 || c == 0x202F || c == 0x205F || c == 0x3000;
}

std::string normalize_unicode(std::string_view text, UnicodeForm form) {
  // Below this, characters are starters that no form changes unless something at or above it follows.
  const char32_t inert_below = form == UnicodeForm::kNfc ? 0x300 : 0x80;
  std::string out;
  out.reserve(text.size());
  FormBuilder builder(form, out);
  std::size_t position = 0;
  std::size_t copied = 0;    // text[0, copied) is in out
  std::size_t previous = 0;  // start of the character before position, if not copied
  while (position < text.size()) {
    const std::size_t start = position;
    const char32_t first = next_code_point(text, position);
    if (first < inert_below) {
      previous = start;
      continue;
    }
    // One run: the character before, which marks may join, and all that follows up to an inert one.
    std::size_t run = std::max(previous, copied);
    out.append(text, copied, run - copied);
    if (run < start) builder.add(next_code_point(text, run));
    builder.add(first);
    for (std::size_t next = position; next < text.size(); position = next) {
      const char32_t c = next_code_point(text, next);
      if (c < inert_below) break;
      builder.add(c);
    }
    builder.flush();
    copied = position;
  }
  out.append(text, copied, text.size() - copied);
  return out;
}

}  // namespace tca::runtime
