// Python's equality, order and hash.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "runtime/jinja/value.h"

namespace tca::runtime::jinja {

enum class Order : std::uint8_t { kLess, kLessEqual, kGreater, kGreaterEqual };

bool equal(const Value& a, const Value& b);
/// Throws kInvalidArgument for what Python does not order.
bool ordered(Order order, const Value& a, const Value& b);
inline bool less(const Value& a, const Value& b) { return ordered(Order::kLess, a, b); }
/// Equal values have equal hashes. Throws kInvalidArgument for lists, dicts and tuples that hold them.
std::size_t hash(const Value& value);

/// Python's name of the value's type.
std::string_view type_name(const Value& value);

}  // namespace tca::runtime::jinja
