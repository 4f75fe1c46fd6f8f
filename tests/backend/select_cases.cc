#include <algorithm>
#include <limits>
#include <string_view>

#include "backend/backend_cases.h"
#include "core/check.h"

namespace tca::backend_test {
namespace {

constexpr std::int32_t kLargest = std::numeric_limits<std::int32_t>::max();  // odd
constexpr DType kDTypes[] = {DType::kF32, DType::kBF16, DType::kF16};

std::string_view name_of(Shares shares) {
  constexpr std::string_view kNames[] = {"full", "window", "loggaussian", "ragged"};
  return kNames[static_cast<int>(shares)];
}

class Table {
 public:
  /// Dtypes take turns: selection reads q and k through the same conversion for every shape.
  void add(const char* group, SelectCase c) {
    c.inputs.group = group;
    c.inputs.seed = 1000 + cases_.size();
    c.inputs.dtype = kDTypes[cases_.size() % 3];
    if (!c.probes_follow) c.inputs.queries = std::min<std::int64_t>(c.inputs.tokens, c.rule.probe_queries);
    cases_.push_back(std::move(c));
  }
  std::vector<SelectCase> take() { return std::move(cases_); }

 private:
  std::vector<SelectCase> cases_;
};

void add_shapes(Table& table) {
  for (const std::int64_t length : {1, 2, 15, 16, 17, 63, 64, 65, 127, 128, 129, 255, 256, 257, 511, 512, 513, 2007}) {
    table.add("lengths", {.inputs = {.tokens = length}});
  }
  table.add("empty", {.inputs = {.tokens = 0}});
  for (const std::int32_t probes : {1, 2, 31, 33, 90, 200, kLargest}) {  // the last two: more than tokens
    table.add("probes", {.inputs = {.tokens = 90}, .rule = {.probe_queries = probes}});
  }
  for (const std::int32_t head_dim : {64, 96, 128, 256}) {
    table.add("headdim", {.inputs = {.tokens = 150, .head_dim = head_dim}});
  }
  constexpr std::pair<int, int> kHeads[] = {{8, 8}, {4, 2}, {6, 2}, {8, 2}, {5, 1}, {6, 1}, {28, 4}, {8, 1}};
  for (const auto& [heads, kv_heads] : kHeads) {
    table.add("gqa",
              {.inputs = {.tokens = 140, .num_heads = heads, .num_kv_heads = kv_heads}, .shares = Shares::kRagged});
  }
}

void add_rules(Table& table) {
  for (const BlockOrder order : {BlockOrder::kMassDispersion, BlockOrder::kSimpson}) {
    const char* group = order == BlockOrder::kSimpson ? "simpson" : "massdispersion";
    for (const std::int32_t block_size : {8, 16, 32, 64, 128, 256}) {
      table.add(group, {.inputs = {.tokens = 600, .values = Values::kPeaked},
                        .rule = {.block_size = block_size, .order = order}});
    }
    for (const Shares shares : {Shares::kFull, Shares::kWindow, Shares::kLogGaussian, Shares::kRagged}) {
      table.add(group, {.inputs = {.tokens = 1030, .num_heads = 4, .num_kv_heads = 4},
                        .rule = {.block_size = 16, .order = order},
                        .shares = shares});
    }
  }
  for (const std::int32_t pool_width : {1, 3, 31, 1001, kLargest}) {
    table.add("pool", {.inputs = {.tokens = 200}, .rule = {.pool_width = pool_width}});
  }
  for (const std::int32_t sinks : {0, 1, 64, 500, kLargest}) {
    table.add("sinks", {.inputs = {.tokens = 200}, .rule = {.sinks = sinks}, .shares = Shares::kWindow});
  }
}

void add_inputs(Table& table) {
  for (const Values values : {Values::kPeaked, Values::kHuge, Values::kEqual, Values::kDominating}) {
    for (const BlockOrder order : {BlockOrder::kMassDispersion, BlockOrder::kSimpson}) {
      table.add("values", {.inputs = {.tokens = 333, .values = values}, .rule = {.block_size = 32, .order = order}});
    }
  }
  for (const Memory memory : {Memory::kHeadMajor, Memory::kPadded}) {
    table.add("memory", {.inputs = {.tokens = 140, .num_heads = 6, .num_kv_heads = 3, .memory = memory}});
  }
  for (const PastKind past :
       {PastKind::kUnused, PastKind::kDense, PastKind::kThinned, PastKind::kFork, PastKind::kEmptyHeads}) {
    for (const std::int64_t tokens : {20, 140}) {
      table.add("past", {.inputs = {.tokens = tokens,
                                    .past = past,
                                    .past_tokens = past == PastKind::kUnused ? 0 : 150,
                                    .num_heads = 4,
                                    .num_kv_heads = 2}});
    }
  }
}

void add_token_order(Table& table) {
  constexpr SelectionRule kRule{.order = BlockOrder::kTokens};
  for (const std::int64_t length : {0, 1, 2, 5, 63, 64, 65, 257, 2007}) {
    table.add(
        "tokens",
        {.inputs = {.tokens = length, .num_heads = 8, .num_kv_heads = 4}, .rule = kRule, .windows = Windows::kRagged});
  }
  for (const Windows windows : {Windows::kNone, Windows::kRagged}) {
    for (const Shares shares : {Shares::kFull, Shares::kWindow, Shares::kRagged}) {
      table.add("tokens", {.inputs = {.tokens = 1030, .num_heads = 4, .num_kv_heads = 4},
                           .rule = {.block_size = 16, .order = BlockOrder::kTokens},
                           .shares = shares,
                           .windows = windows});
    }
    for (const Values values : {Values::kPeaked, Values::kHuge, Values::kEqual, Values::kDominating}) {
      table.add("tokens", {.inputs = {.tokens = 333, .values = values}, .rule = kRule, .windows = windows});
    }
    for (const std::int32_t sinks : {0, 1, 64, 500, kLargest}) {
      table.add("tokens", {.inputs = {.tokens = 200, .num_heads = 3, .num_kv_heads = 3},
                           .rule = {.sinks = sinks, .order = BlockOrder::kTokens},
                           .windows = windows});
    }
    for (const PastKind past : {PastKind::kUnused, PastKind::kThinned, PastKind::kEmptyHeads}) {
      table.add("tokens", {.inputs = {.tokens = 140,
                                      .past = past,
                                      .past_tokens = past == PastKind::kUnused ? 0 : 150,
                                      .num_heads = 4,
                                      .num_kv_heads = 2},
                           .rule = kRule,
                           .windows = windows});
    }
  }
  // More than one pass of a GPU's block over the scores, and positions of two digits that decide between equal ones.
  for (const Values values : {Values::kNormal, Values::kEqual}) {
    table.add("tokens", {.inputs = {.tokens = 20011, .values = values}, .rule = kRule});
  }
}

void add_probes_that_follow(Table& table) {
  for (const std::int64_t probes : {1, 5, 32, 90, 300}) {  // at the end more than tokens
    for (const std::int64_t length : {1, 64, 201}) {
      table.add("follow", {.inputs = {.tokens = length, .queries = probes}, .probes_follow = true});
    }
  }
  for (const BlockOrder order : {BlockOrder::kMassDispersion, BlockOrder::kSimpson, BlockOrder::kTokens}) {
    for (const Values values : {Values::kPeaked, Values::kHuge, Values::kEqual, Values::kDominating}) {
      table.add("follow", {.inputs = {.tokens = 333, .queries = 40, .values = values},
                           .rule = {.block_size = 32, .order = order},
                           .probes_follow = true});
    }
    table.add("follow", {.inputs = {.tokens = 1200, .queries = 90, .num_heads = 28, .num_kv_heads = 4},
                         .rule = {.order = order},
                         .shares = Shares::kRagged,
                         .probes_follow = true});
  }
  for (const std::int64_t probes : {1, 5, 90, 300}) {  // up to several passes over the keys
    for (const std::int32_t head_dim : {64, 256}) {
      table.add("follow", {.inputs = {.tokens = 201, .queries = probes, .head_dim = head_dim},
                           .rule = {.order = BlockOrder::kTokens},
                           .probes_follow = true,
                           .reduce = ProbeReduce::kMax});
    }
  }
  for (const Values values : {Values::kPeaked, Values::kHuge, Values::kEqual, Values::kDominating}) {
    table.add("max", {.inputs = {.tokens = 333, .queries = 32, .values = values}, .reduce = ProbeReduce::kMax});
  }
  table.add("max", {.inputs = {.tokens = 20, .queries = 50, .past = PastKind::kThinned, .past_tokens = 150},
                    .probes_follow = true,
                    .reduce = ProbeReduce::kMax});
  for (const std::int32_t head_dim : {96, 128, 256}) {
    table.add("follow", {.inputs = {.tokens = 150, .queries = 170, .head_dim = head_dim}, .probes_follow = true});
  }
  for (const Memory memory : {Memory::kHeadMajor, Memory::kPadded}) {
    table.add("follow", {.inputs = {.tokens = 140, .queries = 20, .num_heads = 6, .num_kv_heads = 3, .memory = memory},
                         .probes_follow = true});
  }
  for (const PastKind past :
       {PastKind::kUnused, PastKind::kDense, PastKind::kThinned, PastKind::kFork, PastKind::kEmptyHeads}) {
    table.add("follow", {.inputs = {.tokens = 20,
                                    .queries = 50,
                                    .past = past,
                                    .past_tokens = past == PastKind::kUnused ? 0 : 150,
                                    .num_heads = 4,
                                    .num_kv_heads = 2},
                         .rule = {.order = BlockOrder::kTokens},
                         .windows = Windows::kRagged,
                         .probes_follow = true});
  }
}

}  // namespace

std::string SelectCase::name() const {
  return text(inputs.name(), "_", name_of(shares), "_b", rule.block_size, "_p", rule.pool_width, "_s", rule.sinks,
              windows == Windows::kRagged ? "_windows" : "", reduce == ProbeReduce::kMax ? "_max" : "");
}

std::vector<std::int32_t> make_windows(const SelectCase& c) {
  const auto tokens = static_cast<std::int32_t>(c.inputs.tokens);
  const std::int32_t in_turn[] = {tokens / 10, 0, tokens, kLargest};
  std::vector<std::int32_t> windows;
  for (std::int32_t head = 0; c.windows == Windows::kRagged && head < c.inputs.num_kv_heads; ++head) {
    windows.push_back(in_turn[head % 4]);
  }
  return windows;
}

std::vector<SelectCase> select_cases() {
  Table table;
  add_shapes(table);
  add_rules(table);
  add_inputs(table);
  add_token_order(table);
  add_probes_that_follow(table);
  return table.take();
}

}  // namespace tca::backend_test
