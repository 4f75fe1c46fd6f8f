// Text to numbers, as Python's int() and float() read them.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace tca::runtime::jinja {

/// Nothing for what int() raises ValueError for. Throws kUnsupported for more than 64 bits and digits beyond ASCII.
std::optional<std::int64_t> parse_integer(std::string_view text, std::int64_t base);
std::optional<double> parse_real(std::string_view text);
/// int() of a float that is finite. Throws kUnsupported for more than 64 bits.
std::int64_t truncate_to_integer(double value);

}  // namespace tca::runtime::jinja
