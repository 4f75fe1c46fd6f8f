// Collects, within one translation unit that Highway compiles once per target, the tables of those targets.
#pragma once

#include <cstddef>
#include <cstdint>
#include <utility>

namespace tca::cpu {
namespace {  // every translation unit has its own specialisations

/// Specialised in the pass of each target; what was not compiled has no table.
template <class Table, std::int64_t kTarget>
struct TargetTable {
  static constexpr const Table* value = nullptr;
};

template <class Table, std::size_t... kBits>
const Table* find_target_table(std::int64_t target, std::index_sequence<kBits...>) {
  const Table* found = nullptr;
  const auto look = [&](std::int64_t candidate, const Table* table) {
    if (candidate == target) found = table;
  };
  (look(std::int64_t{1} << kBits, TargetTable<Table, (std::int64_t{1} << kBits)>::value), ...);
  return found;
}

/// Null when this translation unit was not compiled for that Highway target.
template <class Table>
const Table* find_target_table(std::int64_t target) {
  return find_target_table<Table>(target, std::make_index_sequence<63>());
}

}  // namespace
}  // namespace tca::cpu
