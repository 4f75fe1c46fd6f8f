// Text that knows which of its bytes came from data: what a chat template wrote and what a user wrote look alike.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace tca::runtime::jinja {

/// Trusted: written by the template or its owner. Foreign: came with the data (messages, tools).
enum class Origin : bool { kTrusted, kForeign };

/// Bytes [begin, end).
struct Span {
  std::size_t begin, end;
  bool operator==(const Span&) const = default;
};

/// Valid UTF-8 and the spans of it that are foreign: sorted, none empty, none touching the next.
class Text {
 public:
  Text() = default;
  /// Invalid UTF-8 becomes U+FFFD.
  explicit Text(std::string_view bytes, Origin origin = Origin::kTrusted);

  const std::string& bytes() const { return bytes_; }
  const std::vector<Span>& foreign() const { return foreign_; }
  std::size_t size() const { return bytes_.size(); }
  bool empty() const { return bytes_.empty(); }
  Origin origin_at(std::size_t byte) const;

  /// bytes is valid UTF-8.
  void append(std::string_view bytes, Origin origin);
  void append(const Text& other) { append(other, 0, other.size()); }
  /// other's bytes [begin, end), which are whole characters.
  void append(const Text& other, std::size_t begin, std::size_t end);
  Text slice(std::size_t begin, std::size_t end) const;

 private:
  void mark_foreign(std::size_t begin, std::size_t end);

  std::string bytes_;
  std::vector<Span> foreign_;
};

}  // namespace tca::runtime::jinja
