// Methods of strings that look for something: split, find, startswith and the like.
#include <algorithm>
#include <cstdint>

#include "core/check.h"
#include "core/utf8.h"
#include "runtime/jinja/arguments.h"
#include "runtime/jinja/characters.h"
#include "runtime/jinja/compare.h"
#include "runtime/jinja/methods.h"
#include "runtime/jinja/rendering.h"

namespace tca::runtime::jinja {
namespace {

using Kind = Value::Kind;

// Spans of what lies between white space, from the left, at most `limit` cuts; negative: no limit.
std::vector<Span> split_at_space(const std::string& bytes, std::int64_t limit) {
  std::vector<Span> parts;
  std::size_t position = 0;
  const auto skip = [&](bool space) {
    while (position < bytes.size()) {
      std::size_t next = position;
      if (is_space(next_code_point(bytes, next)) != space) break;
      position = next;
    }
  };
  for (skip(true); position < bytes.size(); skip(true)) {
    const std::size_t begin = position;
    if (limit >= 0 && static_cast<std::int64_t>(parts.size()) == limit) {
      position = bytes.size();
    } else {
      skip(false);
    }
    parts.push_back({begin, position});
  }
  return parts;
}

// The same from the right; the last span comes first.
std::vector<Span> split_at_space_backwards(const std::string& bytes, std::int64_t limit) {
  std::vector<Span> parts;
  std::size_t position = bytes.size();
  const auto skip = [&](bool space) {
    while (position > 0) {
      const std::size_t start = previous_start(bytes, position);
      std::size_t next = start;
      if (is_space(next_code_point(bytes, next)) != space) break;
      position = start;
    }
  };
  for (skip(true); position > 0; skip(true)) {
    const std::size_t end = position;
    if (limit >= 0 && static_cast<std::int64_t>(parts.size()) == limit) {
      position = 0;
    } else {
      skip(false);
    }
    parts.push_back({position, end});
  }
  return parts;
}

std::vector<Span> split_at(const std::string& bytes, const std::string& separator, std::int64_t limit) {
  std::vector<Span> parts;
  std::size_t begin = 0;
  while (limit < 0 || static_cast<std::int64_t>(parts.size()) < limit) {
    const std::size_t found = bytes.find(separator, begin);
    if (found == std::string::npos) break;
    parts.push_back({begin, found});
    begin = found + separator.size();
  }
  parts.push_back({begin, bytes.size()});
  return parts;
}

std::vector<Span> split_at_backwards(const std::string& bytes, const std::string& separator, std::int64_t limit) {
  std::vector<Span> parts;
  std::size_t end = bytes.size();
  while (limit < 0 || static_cast<std::int64_t>(parts.size()) < limit) {
    if (end < separator.size()) break;
    const std::size_t found = bytes.rfind(separator, end - separator.size());
    if (found == std::string::npos) break;
    parts.push_back({found + separator.size(), end});
    end = found;
  }
  parts.push_back({0, end});
  return parts;
}

template <bool backwards>
Value split(Rendering& rendering, const Value& self, const Arguments& arguments) {
  const Bound bound("split", arguments, {"sep", "maxsplit"});
  const std::int64_t limit = bound.integer(1, -1);
  const Text& text = self.text();
  rendering.count_bytes(text.size());
  std::vector<Span> parts;
  if (bound.has_value(0)) {
    const std::string& separator = bound.text(0).bytes();
    check_argument(!separator.empty(), "empty separator");
    parts = (backwards ? split_at_backwards : split_at)(text.bytes(), separator, limit);
  } else {
    parts = (backwards ? split_at_space_backwards : split_at_space)(text.bytes(), limit);
  }
  if (backwards) std::reverse(parts.begin(), parts.end());
  rendering.count_bytes(parts.size() * (sizeof(Text) + sizeof(Value)));
  rendering.step(static_cast<std::int64_t>(parts.size()));
  Value::Items items;
  for (const Span& part : parts) items.push_back(Value::string(text.slice(part.begin, part.end)));
  return Value::list(std::move(items));
}

template <bool backwards>
Value partition(Rendering& rendering, const Value& self, const Arguments& arguments) {
  const Bound bound("partition", arguments, {""}, 1);
  const Text& text = self.text();
  const std::string& separator = bound.text(0).bytes();
  check_argument(!separator.empty(), "empty separator");
  rendering.count_bytes(text.size());
  const std::size_t found = backwards ? text.bytes().rfind(separator) : text.bytes().find(separator);
  const Value nothing = Value::string(Text());
  if (found == std::string::npos) {
    return backwards ? Value::tuple({nothing, nothing, self}) : Value::tuple({self, nothing, nothing});
  }
  return Value::tuple({Value::string(text.slice(0, found)), *bound[0],
                       Value::string(text.slice(found + separator.size(), text.size()))});
}

// The bytes that text[start:end] is, and whether start lies beyond the text's end.
struct Window {
  std::size_t begin, end;
  bool is_beyond;
};

Window window_of(const std::string& bytes, const Bound& bound) {
  if (!bound.has_value(1) && !bound.has_value(2)) return {0, bytes.size(), false};
  const auto size = static_cast<std::int64_t>(length_of(bytes));
  const auto clip = [&](std::size_t i, std::int64_t otherwise) {
    if (!bound.has_value(i)) return otherwise;
    const std::int64_t index = bound.integer(i, 0);
    return index < 0 ? std::max<std::int64_t>(0, index + size) : index;
  };
  const std::int64_t start = clip(1, 0);
  const std::int64_t end = std::min(clip(2, size), size);
  if (start > end) return {0, 0, true};
  return {byte_of(bytes, static_cast<std::size_t>(start)), byte_of(bytes, static_cast<std::size_t>(end)), false};
}

template <bool backwards, bool must_exist>
Value find(Rendering& rendering, const Value& self, const Arguments& arguments) {
  const Bound bound("find or index", arguments, {"", "", ""}, 1);
  const std::string& bytes = self.text().bytes();
  rendering.step(static_cast<std::int64_t>(bytes.size() / 256));
  const Window window = window_of(bytes, bound);
  const std::string_view inside = std::string_view(bytes).substr(window.begin, window.end - window.begin);
  const std::string& wanted = bound.text(0).bytes();
  std::size_t found = std::string::npos;
  if (!window.is_beyond) found = backwards ? inside.rfind(wanted) : inside.find(wanted);
  check_argument(!must_exist || found != std::string::npos, "substring not found");
  if (found == std::string::npos) return Value::integer(-1);
  const std::string_view before = std::string_view(bytes).substr(0, window.begin + found);
  return Value::integer(static_cast<std::int64_t>(length_of(before)));
}

Value count(Rendering& rendering, const Value& self, const Arguments& arguments) {
  const Bound bound("count", arguments, {"", "", ""}, 1);
  const std::string& bytes = self.text().bytes();
  rendering.step(static_cast<std::int64_t>(bytes.size() / 256));
  const Window window = window_of(bytes, bound);
  if (window.is_beyond) return Value::integer(0);
  const std::string_view inside = std::string_view(bytes).substr(window.begin, window.end - window.begin);
  const std::string& wanted = bound.text(0).bytes();
  if (wanted.empty()) return Value::integer(static_cast<std::int64_t>(length_of(inside)) + 1);
  std::int64_t result = 0;
  for (std::size_t at = 0; (at = inside.find(wanted, at)) != std::string::npos; at += wanted.size()) ++result;
  return Value::integer(result);
}

template <bool at_start>
Value has_affix(Rendering& rendering, const Value& self, const Arguments& arguments) {
  const Bound bound("startswith or endswith", arguments, {"", "", ""}, 1);
  const std::string& bytes = self.text().bytes();
  rendering.step();
  const Window window = window_of(bytes, bound);
  const std::string_view inside = std::string_view(bytes).substr(window.begin, window.end - window.begin);
  const auto has = [&](const Value& affix) {
    check_argument(affix.is_string(), "startswith or endswith: expected a string or a tuple of them, not ",
                   type_name(affix));
    const std::string& wanted = affix.text().bytes();
    if (window.is_beyond || inside.size() < wanted.size()) return false;
    return inside.substr(at_start ? 0 : inside.size() - wanted.size(), wanted.size()) == wanted;
  };
  if (!bound[0]->is(Kind::kTuple)) return Value::boolean(has(*bound[0]));
  const Value::Items& affixes = bound[0]->items();
  return Value::boolean(std::any_of(affixes.begin(), affixes.end(), has));
}

}  // namespace

const std::vector<Method>& string_search_methods() {
  static const std::vector<Method> kMethods = {
      {"split", split<false>},         {"rsplit", split<true>},       {"partition", partition<false>},
      {"rpartition", partition<true>}, {"find", find<false, false>},  {"rfind", find<true, false>},
      {"index", find<false, true>},    {"rindex", find<true, true>},  {"count", count},
      {"startswith", has_affix<true>}, {"endswith", has_affix<false>}};
  return kMethods;
}

}  // namespace tca::runtime::jinja
