#include "runtime/jinja/text.h"

#include <algorithm>

#include "core/utf8.h"

namespace tca::runtime::jinja {
namespace {

// The first span that ends behind the byte.
auto first_behind(const std::vector<Span>& spans, std::size_t byte) {
  return std::lower_bound(spans.begin(), spans.end(), byte, [](const Span& s, std::size_t b) { return s.end <= b; });
}

}  // namespace

Text::Text(std::string_view bytes, Origin origin) {
  std::string storage;
  append(repair_utf8(bytes, storage), origin);
}

Origin Text::origin_at(std::size_t byte) const {
  const auto span = first_behind(foreign_, byte);
  return span != foreign_.end() && span->begin <= byte ? Origin::kForeign : Origin::kTrusted;
}

void Text::mark_foreign(std::size_t begin, std::size_t end) {
  if (begin == end) return;
  if (!foreign_.empty() && foreign_.back().end == begin) {
    foreign_.back().end = end;
  } else {
    foreign_.push_back({begin, end});
  }
}

void Text::append(std::string_view bytes, Origin origin) {
  const std::size_t begin = bytes_.size();
  bytes_ += bytes;
  if (origin == Origin::kForeign) mark_foreign(begin, bytes_.size());
}

void Text::append(const Text& other, std::size_t begin, std::size_t end) {
  const std::size_t start = bytes_.size();
  bytes_.append(other.bytes_, begin, end - begin);
  for (auto span = first_behind(other.foreign_, begin); span != other.foreign_.end() && span->begin < end; ++span) {
    mark_foreign(start + std::max(span->begin, begin) - begin, start + std::min(span->end, end) - begin);
  }
}

Text Text::slice(std::size_t begin, std::size_t end) const {
  Text result;
  result.append(*this, begin, end);
  return result;
}

}  // namespace tca::runtime::jinja
