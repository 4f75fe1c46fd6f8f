// The facts that are planted: one maker a kind. lookback-28m was trained on exactly these sentences and questions.
#pragma once

#include <cstdint>
#include <set>
#include <string>
#include <vector>

#include "evaluation/lookup_tasks.h"
#include "evaluation/random.h"

namespace tca::evaluation {

/// No two facts of one maker ask the same question.
class FactMaker {
 public:
  FactMaker(const std::vector<std::string>& words, Random& random) : words_(words), random_(random) {}
  Fact make(FactKind kind);

 private:
  std::string word() {
    return words_[static_cast<std::size_t>(random_.below(static_cast<std::int64_t>(words_.size())))];
  }
  std::string pick(const char* alphabet, std::int64_t alphabet_size, std::int64_t count);
  std::string digits(std::int64_t count) { return pick("0123456789", 10, count); }
  std::string hex(std::int64_t count) { return pick("0123456789abcdef", 16, count); }
  std::string fresh(FactKind kind, std::string (FactMaker::*draw)());
  std::string word_pair() { return word() + "-" + word(); }
  std::string record() { return hex(8); }
  std::string value() { return digits(5); }
  Fact variable_chain();

  const std::vector<std::string>& words_;
  Random& random_;
  std::set<std::string> used_;  // subjects of questions so far
};

}  // namespace tca::evaluation
