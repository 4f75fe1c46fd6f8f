// Words that were merged before and their ids: text repeats its words.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace tca::runtime {

class WordCache {
 public:
  static constexpr std::size_t kMaxWordBytes = 128;

  /// Ids of word, valid until the next insert; data() is null when it is not here.
  std::span<const std::int32_t> find(std::string_view word) const {
    const auto found = spans_.find(word);
    if (found == spans_.end()) return {};
    return {ids_.data() + found->second.begin, found->second.count};
  }

  void insert(std::string_view word, std::span<const std::int32_t> ids) {
    if (spans_.size() == kMaxWords) {  // a new text brings new words
      spans_.clear();
      ids_.clear();
    }
    spans_.emplace(word, Span{ids_.size(), ids.size()});
    ids_.insert(ids_.end(), ids.begin(), ids.end());
  }

 private:
  static constexpr std::size_t kMaxWords = 1 << 16;
  struct Span {
    std::size_t begin, count;
  };
  struct Hash {
    using is_transparent = void;
    std::size_t operator()(std::string_view word) const { return std::hash<std::string_view>()(word); }
  };
  std::unordered_map<std::string, Span, Hash, std::equal_to<>> spans_;
  std::vector<std::int32_t> ids_;
};

}  // namespace tca::runtime
