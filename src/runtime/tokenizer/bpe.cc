#include "runtime/tokenizer/bpe.h"

#include <algorithm>
#include <limits>

#include "core/check.h"
#include "runtime/tokenizer/unicode.h"

namespace tca::runtime {

const std::array<std::string, 256>& byte_level_characters() {
  static const std::array<std::string, 256> characters = [] {
    std::array<std::string, 256> table;
    char32_t next_substitute = 0x100;
    for (int byte = 0; byte < 256; ++byte) {
      const bool printable = (byte >= 0x21 && byte <= 0x7E) || (byte >= 0xA1 && byte != 0xAD);
      append_utf8(table[static_cast<std::size_t>(byte)], printable ? static_cast<char32_t>(byte) : next_substitute++);
    }
    return table;
  }();
  return characters;
}

int byte_of_character(char32_t character) {
  static const std::array<int, 0x144> bytes = [] {  // 256 printable or substituted, the last substitute is U+0143
    std::array<int, 0x144> table;
    table.fill(-1);
    for (int byte = 0; byte < 256; ++byte) {
      std::size_t position = 0;
      table[next_code_point(byte_level_characters()[static_cast<std::size_t>(byte)], position)] = byte;
    }
    return table;
  }();
  return character < bytes.size() ? bytes[character] : -1;
}

void Bpe::encode(std::string_view piece, WordCache& cache, std::vector<std::int32_t>& ids) const {
  if (!byte_level_) {
    encode_text(piece, cache, ids);
    return;
  }
  if (spells_every_byte_) {
    encode_word(piece, false, cache, ids);
    return;
  }
  std::string spelled;
  for (const char c : piece) spelled += byte_level_characters()[static_cast<unsigned char>(c)];
  encode_word(spelled, true, cache, ids);
}

std::int32_t Bpe::character_id(char32_t character) const {
  if (character < ascii_ids_.size()) return ascii_ids_[character];
  const auto found = character_ids_.find(character);
  return found == character_ids_.end() ? -1 : found->second;
}

void Bpe::encode_text(std::string_view piece, WordCache& cache, std::vector<std::int32_t>& ids) const {
  if (ignore_merges_ && piece.size() <= longest_token_bytes_) {
    if (const auto whole = whole_word(std::string(piece))) {
      ids.push_back(*whole);
      return;
    }
  }
  std::size_t begin = 0;
  char32_t previous = 0;
  bool previous_known = false;
  for (std::size_t position = 0; position < piece.size();) {
    const std::size_t start = position;
    const char32_t c = next_code_point(piece, position);
    const bool known = character_id(c) >= 0;
    // Unknown characters stay with their neighbours: a run of them may become one unknown token.
    if (previous_known && known && inner_pairs_.count(pair_key(previous, c)) == 0) {
      encode_word(piece.substr(begin, start - begin), true, cache, ids);
      begin = start;
    }
    previous = c;
    previous_known = known;
  }
  if (begin < piece.size()) encode_word(piece.substr(begin), true, cache, ids);
}

void Bpe::encode_word(std::string_view word, bool is_text, WordCache& cache, std::vector<std::int32_t>& ids) const {
  const bool cacheable = word.size() <= WordCache::kMaxWordBytes;
  if (cacheable) {
    const auto cached = cache.find(word);
    if (cached.data() != nullptr) {
      ids.insert(ids.end(), cached.begin(), cached.end());
      return;
    }
  }
  check_supported(word.size() < std::size_t{std::numeric_limits<std::int32_t>::max()}, where_,
                  "a single word of the text has ", word.size(), " bytes; at most 2 GiB are supported");
  const std::size_t first = ids.size();
  std::vector<Symbol> symbols;
  if (ignore_merges_ && byte_level_ && word.size() <= longest_token_bytes_) {
    std::string spelled;
    if (!is_text) {
      for (const char c : word) spelled += byte_level_characters()[static_cast<unsigned char>(c)];
    }
    if (const auto whole = whole_word(is_text ? std::string(word) : spelled)) ids.push_back(*whole);
  }
  if (ids.size() == first) {
    symbols = is_text ? symbols_of_text(word) : symbols_of_bytes(word);
    merge_all(symbols);
    for (const Symbol& symbol : symbols) {
      if (symbol.id >= 0) ids.push_back(symbol.id);
    }
  }
  if (cacheable) cache.insert(word, std::span(ids).subspan(first));
}

std::optional<std::int32_t> Bpe::whole_word(const std::string& word) const {
  const auto found = vocabulary_.find(word);
  if (found == vocabulary_.end() || never_whole_.count(found->second) != 0) return std::nullopt;
  return found->second;
}

std::vector<Bpe::Symbol> Bpe::symbols_of_bytes(std::string_view word) const {
  std::vector<Symbol> symbols(word.size());
  for (std::size_t i = 0; i < word.size(); ++i) symbols[i].id = byte_ids_[static_cast<unsigned char>(word[i])];
  return symbols;
}

bool Bpe::append_byte_tokens(std::string_view character, std::vector<std::int32_t>& ids) const {
  for (const char c : character) {
    if (fallback_ids_[static_cast<unsigned char>(c)] < 0) return false;
  }
  for (const char c : character) ids.push_back(fallback_ids_[static_cast<unsigned char>(c)]);
  return true;
}

std::int32_t Bpe::unknown_id() const {
  const auto found = vocabulary_.find(*unknown_token_);
  if (found == vocabulary_.end()) {
    fail(ErrorCategory::kBadFile, text(where_, "unk_token is not in vocab, and the text needs it"));
  }
  return found->second;
}

std::vector<Bpe::Symbol> Bpe::symbols_of_text(std::string_view word) const {
  std::vector<std::int32_t> ids;
  bool unknown_pending = false;
  for (std::size_t position = 0; position < word.size();) {
    const std::size_t start = position;
    const std::int32_t id = character_id(next_code_point(word, position));
    if (id < 0 && byte_fallback_ && append_byte_tokens(word.substr(start, position - start), ids)) continue;
    if (id < 0 && !unknown_token_) continue;  // such characters have no token at all
    if (unknown_pending && (id >= 0 || !fuse_unknown_)) ids.push_back(unknown_id());
    unknown_pending = id < 0;
    if (id >= 0) ids.push_back(id);
  }
  if (unknown_pending) ids.push_back(unknown_id());
  std::vector<Symbol> symbols(ids.size());
  for (std::size_t i = 0; i < ids.size(); ++i) symbols[i].id = ids[i];
  return symbols;
}

const Bpe::Merge* Bpe::find_merge(std::int32_t left, std::int32_t right) const {
  const auto found = merges_.find(pair_key(static_cast<std::uint32_t>(left), static_cast<std::uint32_t>(right)));
  return found == merges_.end() ? nullptr : &found->second;
}

// The lowest rank first, the leftmost of equals: a heap of candidates, which are checked when they come up because
// their symbols may have been merged into others meanwhile.
void Bpe::merge_all(std::vector<Symbol>& symbols) const {
  struct Candidate {
    std::int32_t rank, position, id;
  };
  const auto later = [](const Candidate& a, const Candidate& b) {
    return a.rank != b.rank ? a.rank > b.rank : a.position > b.position;
  };
  std::vector<Candidate> heap;
  const auto count = static_cast<std::int32_t>(symbols.size());
  const auto at = [&](std::int32_t i) -> Symbol& { return symbols[static_cast<std::size_t>(i)]; };
  const auto consider = [&](std::int32_t position) {
    const std::int32_t next = at(position).next;
    if (next < 0) return false;
    const Merge* const merge = find_merge(at(position).id, at(next).id);
    if (merge != nullptr) heap.push_back({merge->rank, position, merge->id});
    return merge != nullptr;
  };
  for (std::int32_t i = 0; i < count; ++i) {
    at(i).previous = i - 1;
    at(i).next = i + 1 < count ? i + 1 : -1;
  }
  for (std::int32_t i = 0; i < count; ++i) consider(i);
  std::make_heap(heap.begin(), heap.end(), later);

  while (!heap.empty()) {
    std::pop_heap(heap.begin(), heap.end(), later);
    const Candidate best = heap.back();
    heap.pop_back();
    Symbol& left = at(best.position);
    if (left.id < 0 || left.next < 0) continue;
    Symbol& right = at(left.next);
    const Merge* const merge = find_merge(left.id, right.id);
    if (merge == nullptr || merge->id != best.id) continue;

    left.id = best.id;
    left.next = right.next;
    right.id = -1;
    if (left.next >= 0) at(left.next).previous = best.position;
    if (left.previous >= 0 && consider(left.previous)) std::push_heap(heap.begin(), heap.end(), later);
    if (consider(best.position)) std::push_heap(heap.begin(), heap.end(), later);
  }
}

}  // namespace tca::runtime
