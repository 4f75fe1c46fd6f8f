#include "runtime/jinja/item_getter.h"

#include <algorithm>

#include "core/check.h"
#include "runtime/jinja/attributes.h"
#include "runtime/jinja/characters.h"
#include "runtime/jinja/numbers.h"
#include "runtime/jinja/rendering.h"

namespace tca::runtime::jinja {
namespace {

std::vector<std::string> split_at(const std::string& text, char separator) {
  std::vector<std::string> parts;
  std::size_t begin = 0;
  for (std::size_t end = 0; (end = text.find(separator, begin)) != std::string::npos; begin = end + 1) {
    parts.push_back(text.substr(begin, end - begin));
  }
  parts.push_back(text.substr(begin));
  return parts;
}

bool is_number(const std::string& part) {
  return !part.empty() && part.find_first_not_of("0123456789") == std::string::npos;
}

}  // namespace

ItemGetter::ItemGetter(const Value& attribute, Value otherwise) : otherwise_(std::move(otherwise)) {
  if (attribute.is(Value::Kind::kNone)) return;
  if (!attribute.is_string()) {
    parts_.push_back(attribute);
    return;
  }
  for (const std::string& part : split_at(attribute.text().bytes(), '.')) {
    parts_.push_back(is_number(part) ? Value::integer(*parse_integer(part, 10))
                                     : Value::string(part, Origin::kTrusted));
  }
}

Value ItemGetter::operator()(Rendering& rendering, Value item) const {
  for (const Value& part : parts_) {
    item = get_item(rendering, item, part);
    if (item.is(Value::Kind::kUndefined) && !otherwise_.is(Value::Kind::kNone)) item = otherwise_;
  }
  return item;
}

std::vector<ItemGetter> ItemGetter::split(const Value& attribute) {
  if (!attribute.is_string()) return {ItemGetter(attribute)};
  std::vector<ItemGetter> getters;
  for (const std::string& part : split_at(attribute.text().bytes(), ',')) {
    getters.emplace_back(Value::string(part, Origin::kTrusted));
  }
  return getters;
}

Value without_case(Rendering& rendering, const Value& value) {
  if (!value.is_string()) return value;
  rendering.count_bytes(value.text().size());
  return Value::string(to_lower(value.text()));
}

}  // namespace tca::runtime::jinja
