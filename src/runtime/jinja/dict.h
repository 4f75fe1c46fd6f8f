// Dicts in insertion order, with Python's equality of keys (1, 1.0 and True are one key).
#pragma once

#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include "runtime/jinja/value.h"

namespace tca::runtime::jinja {

class Dict {
 public:
  using Entries = std::vector<std::pair<Value, Value>>;

  const Entries& entries() const { return entries_; }
  std::size_t size() const { return entries_.size(); }
  /// nullptr when there is none. Throws kInvalidArgument for a key that has no hash (a list).
  const Value* find(const Value& key) const;
  const Value* find(std::string_view key) const;
  /// An equal key keeps its place. Throws as find does.
  void set(Value key, Value value);
  int nesting() const { return nesting_; }

 private:
  // Position in entries_, or entries_.size().
  std::size_t locate(const Value& key, std::size_t hash) const;
  void index(std::size_t hash, std::size_t position);
  void rebuild_index(std::size_t slots);

  Entries entries_;
  std::vector<std::size_t> hashes_;   // of entries_
  std::vector<std::uint32_t> slots_;  // open addressing, position + 1; empty while a scan is as fast
  int nesting_ = 0;
};

}  // namespace tca::runtime::jinja
