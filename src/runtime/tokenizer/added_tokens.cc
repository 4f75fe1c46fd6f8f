#include "runtime/tokenizer/added_tokens.h"

#include <algorithm>
#include <unordered_set>
#include <utility>

#include "core/check.h"
#include "core/json.h"
#include "runtime/tokenizer/bpe.h"
#include "runtime/tokenizer/unicode.h"

namespace tca::runtime {

using nlohmann::json;

namespace {

// Looking for tokens takes at most this many steps at each position of a text.
constexpr std::size_t kMaxTokenBytes = 1024;

std::size_t white_space_before(std::string_view text, std::size_t end) {
  while (end > 0) {
    const std::size_t start = previous_start(text, end);
    std::size_t position = start;
    if (!is_white_space(next_code_point(text, position))) break;
    end = start;
  }
  return end;
}

std::size_t white_space_after(std::string_view text, std::size_t begin) {
  for (std::size_t next = begin; next < text.size() && is_white_space(next_code_point(text, next)); begin = next) {
  }
  return begin;
}

}  // namespace

AddedToken parse_added_token(const json& config, const json& id, const std::string& where) {
  AddedToken token;
  const std::int64_t number = id.is_number_integer() ? id.get<std::int64_t>() : -1;  // negative past its range, too
  if (number < 0 || number >= kMaxTokenIds) {
    fail_field(where, "id", id, text("an integer in [0, ", kMaxTokenIds - 1, "]"));
  }
  token.id = static_cast<std::int32_t>(number);
  token.content = get_string(config, "content", where);
  if (token.content.size() > kMaxTokenBytes) {
    fail_field(where, "content", token.content, text("at most ", kMaxTokenBytes, " bytes"));
  }
  token.special = get_optional_bool(config, "special", where).value_or(false);
  token.single_word = get_optional_bool(config, "single_word", where).value_or(false);
  token.strips_left = get_optional_bool(config, "lstrip", where).value_or(false);
  token.strips_right = get_optional_bool(config, "rstrip", where).value_or(false);
  token.normalized = get_optional_bool(config, "normalized", where).value_or(!token.special);
  return token;
}

void AddedTokens::Trie::insert(std::string_view pattern, std::size_t token) {
  if (pattern.empty()) return;
  starts[static_cast<unsigned char>(pattern[0])] = true;
  std::uint32_t node = 0;
  for (const char c : pattern) {
    const auto [child, is_new] =
        children.try_emplace(std::uint64_t{node} << 8 | static_cast<unsigned char>(c), num_nodes);
    if (is_new) ++num_nodes;
    node = child->second;
  }
  tokens[node] = token;
}

std::optional<std::size_t> AddedTokens::match(const Trie& trie, std::string_view text, std::size_t at,
                                              const Accepts& accepts, std::size_t& end) const {
  std::optional<std::size_t> longest;
  std::uint32_t node = 0;
  for (std::size_t i = at; i < text.size(); ++i) {
    const auto child = trie.children.find(std::uint64_t{node} << 8 | static_cast<unsigned char>(text[i]));
    if (child == trie.children.end()) break;
    node = child->second;
    const auto token = trie.tokens.find(node);
    if (token != trie.tokens.end() && accepts(tokens_[token->second], at, i + 1)) {
      longest = token->second;
      end = i + 1;
    }
  }
  return longest;
}

std::vector<AddedToken> parse_added_tokens(const json& config, const std::string& file) {
  std::vector<AddedToken> tokens;
  if (config.is_null()) return tokens;
  if (!config.is_array()) fail_field(file, "added_tokens", config, "an array");
  std::unordered_set<std::int32_t> ids;
  std::unordered_set<std::string> contents;
  for (std::size_t i = 0; i < config.size(); ++i) {
    const std::string field = text(file, ": added_tokens[", i, "].");
    AddedToken token = parse_added_token(config[i], get_field(config[i], "id", field), field);
    if (token.content.empty()) continue;  // matches nothing
    if (!ids.insert(token.id).second) fail_field(field, "id", token.id, "an id that no other added token has");
    if (!contents.insert(token.content).second) {
      fail_field(field, "content", token.content, "a text that no other added token has");
    }
    tokens.push_back(std::move(token));
  }
  return tokens;
}

AddedTokens::AddedTokens(std::vector<AddedToken> tokens, const Normalizer& normalizer) : tokens_(std::move(tokens)) {
  for (std::size_t i = 0; i < tokens_.size(); ++i) {
    const AddedToken& token = tokens_[i];
    const std::string pattern = token.normalized ? normalizer.apply(token.content, true) : token.content;
    (token.normalized ? normalized_ : raw_).insert(pattern, i);
    if (token.single_word && !word_character_) word_character_ = Regex::word_character();
  }
}

bool AddedTokens::stands_alone(std::string_view text, std::size_t begin, std::size_t end) const {
  const std::size_t before = begin == 0 ? 0 : previous_start(text, begin);
  std::size_t after = end;
  if (end < text.size()) next_code_point(text, after);
  return !word_character_->matches_somewhere(text.substr(before, begin - before)) &&
         !word_character_->matches_somewhere(text.substr(end, after - end));
}

std::vector<AddedSplit> AddedTokens::split(std::string_view text, bool normalized, const Accepts& accepts) const {
  const Trie& trie = normalized ? normalized_ : raw_;
  std::vector<AddedSplit> splits;
  std::size_t done = 0;  // where the last token ended, white space that it strips included
  std::size_t position = 0;
  while (position < text.size()) {
    std::size_t end = 0;
    if (!trie.starts[static_cast<unsigned char>(text[position])]) {
      ++position;
      continue;
    }
    const auto found = match(trie, text, position, accepts, end);
    if (!found) {
      ++position;
      continue;
    }
    const AddedToken& token = tokens_[*found];
    std::size_t begin = position;
    position = end;  // what a token covers is used up even when the token does not count
    if (token.single_word && !stands_alone(text, begin, end)) continue;
    if (token.strips_left) begin = std::max(white_space_before(text, begin), done);
    if (token.strips_right) end = white_space_after(text, end);
    if (done < begin) splits.push_back({{done, begin}, std::nullopt});
    splits.push_back({{begin, end}, token.id});
    done = end;
  }
  if (done < text.size()) splits.push_back({{done, text.size()}, std::nullopt});
  return splits;
}

}  // namespace tca::runtime
