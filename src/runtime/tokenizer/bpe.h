// The "model" of tokenizer.json: byte-pair encoding of one piece of text.
#pragma once

#include <array>
#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "runtime/tokenizer/word_cache.h"

namespace tca::runtime {

/// Ids of any file are below this: it bounds tables indexed by id.
inline constexpr std::int32_t kMaxTokenIds = 1 << 21;

/// The character that spells a byte in byte-level vocabularies, UTF-8, and back (-1: spells none).
const std::array<std::string, 256>& byte_level_characters();
int byte_of_character(char32_t character);

class Bpe {
 public:
  /// byte_level: pieces come as raw bytes, and the vocabulary spells every byte as a printable character.
  static Bpe parse(const nlohmann::json& model, bool byte_level, const std::string& where);

  /// Instead of listed merges: of two neighbours that make a token the pair goes first that makes the one with the
  /// highest score, the leftmost of equals. scores: by id, NaN for tokens that merging neither makes nor takes.
  void merge_by_scores(std::span<const float> scores);

  /// Appends the ids of piece. Time n log n in its length, whatever it holds.
  void encode(std::string_view piece, WordCache& cache, std::vector<std::int32_t>& ids) const;

  const std::unordered_map<std::string, std::int32_t>& vocabulary() const { return vocabulary_; }
  /// Text that spells this token stays several tokens even with ignore_merges.
  void never_take_whole(std::int32_t id) { never_whole_.insert(id); }

 private:
  struct Merge {
    std::int32_t rank, id;
  };
  struct Symbol {
    std::int32_t id, previous, next;  // -1: none; id -1: merged away
  };

  void parse_vocabulary(const nlohmann::json& model, const std::string& where);
  void parse_options(const nlohmann::json& model, const std::string& where);
  void parse_merges(const nlohmann::json& model, const std::string& where);
  void index_characters();
  void note_inner_pairs(std::string_view token);

  void encode_text(std::string_view piece, WordCache& cache, std::vector<std::int32_t>& ids) const;
  void encode_word(std::string_view word, bool is_text, WordCache& cache, std::vector<std::int32_t>& ids) const;
  std::vector<Symbol> symbols_of_bytes(std::string_view word) const;
  std::vector<Symbol> symbols_of_text(std::string_view word) const;
  std::optional<std::int32_t> whole_word(const std::string& word) const;
  bool append_byte_tokens(std::string_view character, std::vector<std::int32_t>& ids) const;
  void merge_all(std::vector<Symbol>& symbols) const;
  const Merge* find_merge(std::int32_t left, std::int32_t right) const;
  std::int32_t character_id(char32_t character) const;
  std::int32_t unknown_id() const;

  static std::uint64_t pair_key(std::uint32_t left, std::uint32_t right) { return std::uint64_t{left} << 32 | right; }
  struct PairHash {
    std::size_t operator()(std::uint64_t key) const {  // the multiplication mixes upwards, the shift brings it down
      key *= 0x9E3779B97F4A7C15u;
      return key ^ key >> 32;
    }
  };

  std::string where_;
  bool byte_level_ = false;
  std::unordered_map<std::string, std::int32_t> vocabulary_;
  std::unordered_map<std::uint64_t, Merge, PairHash> merges_;
  std::optional<std::string> unknown_token_;
  bool fuse_unknown_ = false, byte_fallback_ = false, ignore_merges_ = false;

  std::array<std::int32_t, 128> ascii_ids_{};
  std::unordered_map<char32_t, std::int32_t> character_ids_;  // beyond ASCII
  std::array<std::int32_t, 256> byte_ids_{};                  // byte-level: of one raw byte
  bool spells_every_byte_ = false;
  std::array<std::int32_t, 256> fallback_ids_{};  // of "<0x00>" ...; -1: not there
  std::size_t longest_token_bytes_ = 0;
  std::unordered_set<std::int32_t> never_whole_;
  // Neighbouring characters inside a token that a merge makes. Text is cut between all others, since no merge can
  // join what they separate: whole documents without a pre-tokenizer become words that repeat.
  std::unordered_set<std::uint64_t, PairHash> inner_pairs_;
};

}  // namespace tca::runtime
