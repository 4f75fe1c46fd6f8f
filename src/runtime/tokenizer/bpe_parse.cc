#include <algorithm>
#include <cmath>
#include <functional>

#include "core/check.h"
#include "core/json.h"
#include "runtime/tokenizer/bpe.h"
#include "runtime/tokenizer/unicode.h"

namespace tca::runtime {

using nlohmann::json;

Bpe Bpe::parse(const json& model, bool byte_level, const std::string& where) {
  const std::string type = get_optional_string(model, "type", where).value_or("BPE");  // GPT-2's file names none
  check_supported(type == "BPE", where, "type is \"", type.substr(0, 40), "\"; supported: BPE");
  Bpe bpe;
  bpe.where_ = where;
  bpe.byte_level_ = byte_level;
  bpe.parse_options(model, where);
  bpe.parse_vocabulary(model, where);
  bpe.index_characters();
  bpe.parse_merges(model, where);
  return bpe;
}

void Bpe::parse_options(const json& model, const std::string& where) {
  const double dropout = get_optional_number(model, "dropout", where, 0, 1).value_or(0);
  check_supported(dropout == 0, where, "dropout is ", dropout, "; supported: null or 0");
  for (const char* field : {"continuing_subword_prefix", "end_of_word_suffix"}) {
    const std::string value = get_optional_string(model, field, where).value_or("");
    check_supported(value.empty(), where, field, " is \"", value.substr(0, 40), "\"; supported: null or empty");
  }
  unknown_token_ = get_optional_string(model, "unk_token", where);
  fuse_unknown_ = get_optional_bool(model, "fuse_unk", where).value_or(false);
  byte_fallback_ = get_optional_bool(model, "byte_fallback", where).value_or(false);
  ignore_merges_ = get_optional_bool(model, "ignore_merges", where).value_or(false);
}

void Bpe::parse_vocabulary(const json& model, const std::string& where) {
  const json& vocab = get_object(model, "vocab", where);
  vocabulary_.reserve(vocab.size());
  std::vector<bool> taken;
  for (const auto& [token, value] : vocab.items()) {
    const std::string field =
        "vocab[" + json(token.substr(0, 40)).dump(-1, ' ', true, json::error_handler_t::replace) + "]";
    if (!value.is_number_unsigned() || value.get<std::uint64_t>() >= std::uint64_t{kMaxTokenIds}) {
      fail_field(where, field, value, text("an integer in [0, ", kMaxTokenIds, ")"));
    }
    const auto id = value.get<std::int32_t>();
    const auto index = static_cast<std::size_t>(id);
    if (index >= taken.size()) taken.resize(std::max(index + 1, 2 * taken.size()));
    if (taken[index]) fail_field(where, field, value, "an id that no other token has");
    taken[index] = true;
    longest_token_bytes_ = std::max(longest_token_bytes_, token.size());
    vocabulary_.emplace(token, id);
  }
}

void Bpe::index_characters() {
  const auto id_of = [&](const std::string& token) {
    const auto found = vocabulary_.find(token);
    return found == vocabulary_.end() ? -1 : found->second;
  };
  ascii_ids_.fill(-1);
  for (const auto& [token, id] : vocabulary_) {
    std::size_t position = 0;
    const char32_t character = token.empty() ? 0 : next_code_point(token, position);
    if (position == 0 || position != token.size()) continue;
    if (character < ascii_ids_.size()) {
      ascii_ids_[character] = id;
    } else {
      character_ids_.emplace(character, id);
    }
  }
  constexpr std::string_view kHex = "0123456789ABCDEF";
  for (std::size_t byte = 0; byte < 256; ++byte) {
    byte_ids_[byte] = id_of(byte_level_characters()[byte]);
    fallback_ids_[byte] = id_of(text("<0x", kHex[byte >> 4], kHex[byte & 15], ">"));
  }
  spells_every_byte_ = std::all_of(byte_ids_.begin(), byte_ids_.end(), [](std::int32_t id) { return id >= 0; });
}

void Bpe::parse_merges(const json& model, const std::string& where) {
  const json& merges = get_array(model, "merges", where);
  merges_.reserve(merges.size());
  std::int32_t rank = 0;
  const auto id_of = [&](const std::string& token, const json& merge) {
    const auto found = vocabulary_.find(token);
    if (found == vocabulary_.end()) {
      fail_field(where, text("merges[", rank, "]"), merge.is_string() ? merge : json(merge.dump()),
                 "two tokens of vocab whose concatenation is one too");
    }
    return found->second;
  };
  for (const json& merge : merges) {
    std::string left;
    std::string right;
    if (merge.is_string()) {
      const auto& line = merge.get_ref<const std::string&>();
      if (line.starts_with("#version")) continue;
      const std::size_t space = line.find(' ');
      if (space == std::string::npos || line.find(' ', space + 1) != std::string::npos) {
        fail_field(where, text("merges[", rank, "]"), merge, "two tokens with one space between them");
      }
      left = line.substr(0, space);
      right = line.substr(space + 1);
    } else if (merge.is_array() && merge.size() == 2 && merge[0].is_string() && merge[1].is_string()) {
      left = merge[0].get<std::string>();
      right = merge[1].get<std::string>();
    } else {
      fail_field(where, text("merges[", rank, "]"), merge, "a string or an array of two strings");
    }
    const auto key =
        pair_key(static_cast<std::uint32_t>(id_of(left, merge)), static_cast<std::uint32_t>(id_of(right, merge)));
    const std::string joined = left + right;
    merges_[key] = {rank, id_of(joined, merge)};
    if (!byte_level_) note_inner_pairs(joined);
    ++rank;
  }
}

void Bpe::merge_by_scores(std::span<const float> scores) {
  std::unordered_map<std::string_view, std::int32_t> pieces;
  std::vector<float> ranks;  // distinct scores, the best first
  pieces.reserve(vocabulary_.size());
  ranks.reserve(vocabulary_.size());
  const auto score_of = [&](std::int32_t id) { return scores[static_cast<std::size_t>(id)]; };
  for (const auto& [token, id] : vocabulary_) {
    if (static_cast<std::size_t>(id) >= scores.size() || std::isnan(score_of(id)) || token.empty()) continue;
    pieces.emplace(token, id);
    ranks.push_back(score_of(id));
  }
  std::sort(ranks.begin(), ranks.end(), std::greater<>());
  ranks.erase(std::unique(ranks.begin(), ranks.end()), ranks.end());
  merges_.reserve(2 * pieces.size());  // about as many as real vocabularies have
  for (const auto& [token, id] : pieces) {
    const auto rank = std::lower_bound(ranks.begin(), ranks.end(), score_of(id), std::greater<>()) - ranks.begin();
    for (std::size_t cut = 0; next_code_point(token, cut), cut < token.size();) {
      const auto left = pieces.find(token.substr(0, cut));
      if (left == pieces.end()) continue;
      const auto right = pieces.find(token.substr(cut));
      if (right == pieces.end()) continue;
      const auto key = pair_key(static_cast<std::uint32_t>(left->second), static_cast<std::uint32_t>(right->second));
      merges_[key] = {static_cast<std::int32_t>(rank), id};
    }
    note_inner_pairs(token);
  }
}

void Bpe::note_inner_pairs(std::string_view token) {
  char32_t previous = 0;
  for (std::size_t position = 0; position < token.size();) {
    const bool is_first = position == 0;
    const char32_t c = next_code_point(token, position);
    if (!is_first) inner_pairs_.insert(pair_key(previous, c));
    previous = c;
  }
}

}  // namespace tca::runtime
