// The page's style sheet.
#pragma once

#include <string_view>

namespace tca::cli::html {

/// Colours are variables, one set for light and one for dark; text has a contrast of 4.5 or more in both.
std::string_view style_sheet();

}  // namespace tca::cli::html
