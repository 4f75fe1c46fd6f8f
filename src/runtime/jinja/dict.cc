#include "runtime/jinja/dict.h"

#include <algorithm>

#include "runtime/jinja/compare.h"

namespace tca::runtime::jinja {
namespace {

constexpr std::size_t kScanned = 8;  // entries up to which there is no index

}  // namespace

std::size_t Dict::locate(const Value& key, std::size_t key_hash) const {
  const auto is_here = [&](std::size_t i) { return hashes_[i] == key_hash && equal(entries_[i].first, key); };
  if (slots_.empty()) {
    std::size_t i = 0;
    while (i < entries_.size() && !is_here(i)) ++i;
    return i;
  }
  const std::size_t mask = slots_.size() - 1;
  for (std::size_t slot = key_hash & mask; slots_[slot] != 0; slot = (slot + 1) & mask) {
    if (is_here(slots_[slot] - 1)) return slots_[slot] - 1;
  }
  return entries_.size();
}

void Dict::index(std::size_t key_hash, std::size_t position) {
  const std::size_t mask = slots_.size() - 1;
  std::size_t slot = key_hash & mask;
  while (slots_[slot] != 0) slot = (slot + 1) & mask;
  slots_[slot] = static_cast<std::uint32_t>(position + 1);
}

void Dict::rebuild_index(std::size_t slots) {
  slots_.assign(slots, 0);
  for (std::size_t i = 0; i < hashes_.size(); ++i) index(hashes_[i], i);
}

const Value* Dict::find(const Value& key) const {
  const std::size_t i = locate(key, hash(key));
  return i < entries_.size() ? &entries_[i].second : nullptr;
}

const Value* Dict::find(std::string_view key) const { return find(Value::string(key, Origin::kTrusted)); }

void Dict::set(Value key, Value value) {
  const std::size_t key_hash = hash(key);
  nesting_ = std::max({nesting_, key.nesting(), value.nesting()});
  const std::size_t i = locate(key, key_hash);
  if (i < entries_.size()) {
    entries_[i].second = std::move(value);
    return;
  }
  entries_.emplace_back(std::move(key), std::move(value));
  hashes_.push_back(key_hash);
  if (entries_.size() <= kScanned) return;
  if (slots_.size() < 2 * entries_.size()) {
    rebuild_index(std::max<std::size_t>(4 * kScanned, 2 * slots_.size()));
  } else {
    index(key_hash, i);
  }
}

}  // namespace tca::runtime::jinja
