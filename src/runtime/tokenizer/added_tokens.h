// The "added_tokens" of tokenizer.json: tokens that are found in text before anything else happens to it.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "runtime/tokenizer/normalizer.h"
#include "runtime/tokenizer/regex.h"

namespace tca::runtime {

struct AddedToken {
  std::int32_t id = 0;
  std::string content;
  bool single_word = false, strips_left = false, strips_right = false, normalized = true, special = false;
};

/// A stretch of text, or an added token in it.
struct AddedSplit {
  Range range;
  std::optional<std::int32_t> id;
};

/// One entry of "added_tokens" whose id is `id`, whatever its own field says. Throws kBadFile naming the field behind
/// `where`.
AddedToken parse_added_token(const nlohmann::json& config, const nlohmann::json& id, const std::string& where);
/// The whole array, or null for none; no two of the same id or text.
std::vector<AddedToken> parse_added_tokens(const nlohmann::json& config, const std::string& file);

class AddedTokens {
 public:
  AddedTokens() = default;
  AddedTokens(std::vector<AddedToken> tokens, const Normalizer& normalizer);

  /// Whether a token may stand at bytes [begin, end) of the text that is split; else they are text.
  using Accepts = std::function<bool(const AddedToken& token, std::size_t begin, std::size_t end)>;

  const std::vector<AddedToken>& tokens() const { return tokens_; }
  /// Cuts text at the tokens that are looked for before normalisation (normalized false) or after it (true): the
  /// longest that may stand at a place is the one that counts.
  std::vector<AddedSplit> split(std::string_view text, bool normalized, const Accepts& accepts) const;

 private:
  // Bytes of all patterns as a trie: finds the longest pattern that starts at a position.
  struct Trie {
    std::array<bool, 256> starts{};
    std::unordered_map<std::uint64_t, std::uint32_t> children;  // node << 8 | byte
    std::unordered_map<std::uint32_t, std::size_t> tokens;      // node: index into tokens_
    std::uint32_t num_nodes = 1;

    void insert(std::string_view pattern, std::size_t token);
  };
  /// Index of the token whose pattern is the longest at text[at...] among those that are accepted, and its end.
  std::optional<std::size_t> match(const Trie& trie, std::string_view text, std::size_t at, const Accepts& accepts,
                                   std::size_t& end) const;
  bool stands_alone(std::string_view text, std::size_t begin, std::size_t end) const;

  std::vector<AddedToken> tokens_;
  Trie raw_, normalized_;
  std::optional<Regex> word_character_;  // when some token is single_word
};

}  // namespace tca::runtime
