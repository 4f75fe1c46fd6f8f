// Unicode normalisation as the tokenizers package does them.
#pragma once

#include <string>
#include <string_view>

#include "core/utf8.h"

namespace tca::runtime {

/// Unicode property White_Space.
bool is_white_space(char32_t code_point);

enum class UnicodeForm { kNfc, kNfd, kNfkc, kNfkd };
/// text is valid UTF-8. Linear but for a sort inside runs of combining marks.
std::string normalize_unicode(std::string_view text, UnicodeForm form);

}  // namespace tca::runtime
