// Compiled regular expressions over valid UTF-8, safe for text and patterns from outside.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace tca::runtime {

struct Range {
  std::size_t begin, end;  // bytes
  std::size_t size() const { return end - begin; }
};

/// Immutable: any number of threads may search with one object.
class Regex {
 public:
  class Searcher;

  /// pattern in the syntax of tokenizer.json. Throws kUnsupported or kBadFile naming where.
  static Regex parse(std::string_view pattern, const std::string& where);
  static Regex literal(std::string_view text);
  /// One character of a word as the Rust package regex understands \w.
  static Regex word_character();

  /// All matches from left to right, without overlap; an empty one never directly follows another.
  /// Throws kUnsupported when the expression needs unreasonably many steps on this text.
  std::vector<Range> find_all(std::string_view text) const;
  bool matches_somewhere(std::string_view text) const;

 private:
  struct Code;
  class Search;
  Regex(const std::string& pcre2_pattern, std::string where);
  std::shared_ptr<const Code> code_;
  std::string where_;
};

/// Searches the pieces of one text, `text_bytes` in all, with what a search needs set up once.
class Regex::Searcher {
 public:
  Searcher(const Regex& regex, std::size_t text_bytes);
  ~Searcher();
  /// As find_all; the result is valid until the next call.
  const std::vector<Range>& find_all(std::string_view piece);

 private:
  std::unique_ptr<Search> search_;
  std::vector<Range> matches_;
};

}  // namespace tca::runtime
