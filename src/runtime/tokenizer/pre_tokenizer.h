// The "pre_tokenizer" of tokenizer.json: cuts text into the pieces that merges never cross.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "runtime/tokenizer/regex.h"
#include "runtime/tokenizer/tokenizer.h"

namespace tca::runtime {

/// Text, possibly rewritten, and its pieces in order.
struct Pieces {
  std::string text;
  std::vector<Range> ranges;
  std::string_view view(const Range& range) const { return std::string_view(text).substr(range.begin, range.size()); }
};

class PreTokenizer {
 public:
  /// null leaves the text in one piece. Throws kUnsupported naming a type or option that is not supported.
  static PreTokenizer parse(const nlohmann::json& config, const std::string& where);
  /// The pieces are raw bytes for a model whose vocabulary spells bytes.
  bool byte_level() const { return byte_level_; }
  Pieces split(std::string text, TextStart start) const;

 private:
  enum class Behavior { kIsolated, kRemoved, kContiguous, kMergedWithPrevious, kMergedWithNext };
  enum class Prepend { kAlways, kFirst, kNever };
  struct Split {
    Regex regex;
    Behavior behavior;
    bool invert;
  };
  struct Metaspace {
    std::string replacement;
    Prepend prepend;
    bool split;
  };
  struct PrefixSpace {};

  void add(const nlohmann::json& config, const std::string& where);
  void add_split(const nlohmann::json& config, const std::string& where);
  void add_metaspace(const nlohmann::json& config, const std::string& where);
  static void apply(const Split& step, Pieces& pieces, TextStart start);
  static void apply(const Metaspace& step, Pieces& pieces, TextStart start);
  static void apply(const PrefixSpace& step, Pieces& pieces, TextStart start);

  std::vector<std::variant<Split, Metaspace, PrefixSpace>> steps_;
  bool byte_level_ = false;
};

}  // namespace tca::runtime
