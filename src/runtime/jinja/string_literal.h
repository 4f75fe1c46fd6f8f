// What stands between the quotes of a string in a template.
#pragma once

#include <string>
#include <string_view>

namespace tca::runtime::jinja {

/// Escapes as Python reads them. Throws tca::Error with the line for broken ones.
std::string unescape_literal(std::string_view literal, int line);

}  // namespace tca::runtime::jinja
