// The "normalizer" of tokenizer.json: what is done to text before it is split.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "runtime/tokenizer/regex.h"
#include "runtime/tokenizer/unicode.h"

namespace tca::runtime {

/// "pattern" and "content" of Replace, for normalizers and decoders.
class Replacement {
 public:
  static Replacement parse(const nlohmann::json& step, const std::string& where);
  std::string apply(std::string_view text) const;
  /// The pattern is a single literal character: text may come in pieces.
  bool is_single_character() const { return is_single_character_; }

 private:
  std::string literal_;  // empty: regex_
  std::optional<Regex> regex_;
  std::string content_;
  bool is_single_character_ = false;
};

class Normalizer {
 public:
  /// null is the identity. Throws kUnsupported naming a type that is not supported.
  static Normalizer parse(const nlohmann::json& config, const std::string& where);
  bool is_identity() const { return steps_.empty(); }
  /// original is valid UTF-8. prepends: the text does not go on from text before it.
  std::string apply(std::string_view original, bool prepends) const;

 private:
  struct Prepend {
    std::string prefix;
  };
  void add(const nlohmann::json& config, const std::string& where);
  std::vector<std::variant<UnicodeForm, Prepend, Replacement>> steps_;
};

}  // namespace tca::runtime
