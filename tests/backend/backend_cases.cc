#include "backend/backend_cases.h"

#include <limits>
#include <string_view>
#include <utility>

#include "core/check.h"

namespace tca::backend_test {
namespace {

constexpr std::int32_t kLargest = std::numeric_limits<std::int32_t>::max();
constexpr DType kDTypes[] = {DType::kF32, DType::kBF16, DType::kF16};
// Around vector widths, query tiles, pages (64 tokens) and multiples of them.
constexpr std::int64_t kLengths[] = {1, 2, 15, 16, 17, 63, 64, 65, 127, 128, 129, 255, 256, 257, 511, 512, 513};

constexpr Values kSpecialValues[] = {Values::kPeaked, Values::kHuge, Values::kEqual, Values::kDominating};

struct Heads {
  std::int32_t query, kv;
};
// MHA, every group size from 2 to 8 (7: Qwen2.5-7B), MQA.
constexpr Heads kHeads[] = {{1, 1}, {8, 8}, {4, 2}, {6, 2}, {8, 2}, {5, 1}, {12, 2}, {7, 1}, {28, 4}, {8, 1}};

std::string_view name_of(Values v) {
  constexpr std::string_view kNames[] = {"normal", "peaked",   "huge",     "equal",    "dominating",
                                         "tiny",   "overflow", "loudpast", "nonfinite"};
  return kNames[static_cast<int>(v)];
}
std::string_view name_of(Kept kept) {
  constexpr std::string_view kNames[] = {"dense", "ragged", "windowonly", "full", "emptymiddle", "mixed"};
  return kNames[static_cast<int>(kept)];
}
std::string_view name_of(PastKind past) {
  constexpr std::string_view kNames[] = {"nopast",      "unusedcache", "densepast",
                                         "thinnedpast", "forkedpast",  "emptyheads"};
  return kNames[static_cast<int>(past)];
}
std::string_view name_of(Memory memory) {
  constexpr std::string_view kNames[] = {"tokenmajor", "headmajor", "padded", "inplace"};
  return kNames[static_cast<int>(memory)];
}
class Table {
 public:
  explicit Table(const char* group) : group_(group) {}
  void add(Case c) {
    c.group = group_;
    c.seed = cases_.size() + 1;
    if (c.memory == Memory::kInPlace) c.out_dtype = c.dtype;
    cases_.push_back(std::move(c));
  }
  /// In every dtype, to outputs of the same dtype.
  void add_all_dtypes(Case c) {
    for (const DType dtype : kDTypes) {
      c.dtype = c.out_dtype = dtype;
      add(c);
    }
  }
  void group(const char* name) { group_ = name; }
  std::vector<Case> take() { return std::move(cases_); }

 private:
  const char* group_;
  std::vector<Case> cases_;
};

void add_shapes(Table& table) {
  table.group("lengths");
  for (const std::int64_t length : kLengths) {
    table.add_all_dtypes({.tokens = length, .kept = Kept::kDense});
    table.add_all_dtypes({.tokens = length, .kept = Kept::kRagged, .window = 64});
  }
  table.add({.tokens = 2007, .dtype = DType::kBF16, .out_dtype = DType::kBF16});
  table.add({.tokens = 2007, .kept = Kept::kRagged, .window = 256});
  table.group("empty");
  table.add_all_dtypes({.tokens = 0});
  table.group("gqa");
  for (const Heads heads : kHeads) {
    for (const Kept kept : {Kept::kDense, Kept::kRagged}) {
      table.add_all_dtypes({.tokens = 71, .num_heads = heads.query, .num_kv_heads = heads.kv, .kept = kept});
    }
  }
  table.group("headdim");
  for (const std::int32_t head_dim : {64, 96, 128, 256}) {
    for (const Kept kept : {Kept::kDense, Kept::kRagged}) {
      table.add_all_dtypes({.tokens = 97, .head_dim = head_dim, .kept = kept});
    }
  }
}

void add_sparsity(Table& table) {
  table.group("kept");
  for (const Kept kept : {Kept::kRagged, Kept::kWindowOnly, Kept::kFull, Kept::kEmptyMiddle, Kept::kMixed}) {
    for (const std::int32_t window : {1, 5, 64, 100}) {
      table.add_all_dtypes({.tokens = 300, .num_heads = 8, .num_kv_heads = 4, .kept = kept, .window = window});
    }
    table.add_all_dtypes({.tokens = 200, .num_heads = 4, .num_kv_heads = 4, .kept = kept});
  }
  table.group("sinks");
  for (const std::int32_t sinks : {0, 1, 64, 500}) {
    table.add_all_dtypes({.tokens = 150, .kept = Kept::kMixed, .window = 9, .sinks = sinks});
  }
  table.group("windowislong");
  table.add_all_dtypes({.tokens = 150, .kept = Kept::kRagged, .window = 150});
  table.add_all_dtypes({.tokens = 150, .kept = Kept::kWindowOnly, .window = kLargest});
  table.add_all_dtypes({.tokens = 150, .kept = Kept::kMixed, .window = 3, .sinks = kLargest});
  table.group("lastqueries");
  for (const std::int64_t queries : {1, 5, 64, 199}) {
    for (const Kept kept : {Kept::kDense, Kept::kRagged}) {
      table.add_all_dtypes({.tokens = 200, .queries = queries, .kept = kept});
      // Segments that end with a tile of keys.
      table.add_all_dtypes({.tokens = 256, .queries = queries, .head_dim = 128, .kept = kept});
    }
  }
}

void add_values(Table& table) {
  table.group("values");
  for (const Values values : kSpecialValues) {
    for (const Kept kept : {Kept::kDense, Kept::kRagged}) {
      table.add_all_dtypes({.tokens = 141, .kept = kept, .values = values});
    }
    table.add({.tokens = 141, .head_dim = 256, .dtype = DType::kBF16, .values = values});
  }
  for (const Values values : {Values::kTiny, Values::kNonFinite}) {
    table.add_all_dtypes({.tokens = 141, .values = values});
  }
  for (const DType dtype : {DType::kF32, DType::kBF16}) {
    table.add({.tokens = 141, .dtype = dtype, .out_dtype = DType::kF16, .values = Values::kOverflow});
  }
  table.group("scale");
  table.add({.tokens = 66, .scale = 1.0f});
  table.add({.tokens = 66, .dtype = DType::kBF16, .kept = Kept::kRagged, .scale = 0.01f});
}

void add_memory(Table& table) {
  table.group("memory");
  for (const Memory memory : {Memory::kHeadMajor, Memory::kPadded, Memory::kInPlace}) {
    for (const Kept kept : {Kept::kDense, Kept::kMixed}) {
      table.add_all_dtypes({.tokens = 70, .num_heads = 6, .num_kv_heads = 3, .kept = kept, .memory = memory});
    }
  }
  table.add({.tokens = 70, .head_dim = 96, .dtype = DType::kBF16, .memory = Memory::kPadded});
  table.group("outdtype");
  for (const DType dtype : kDTypes) {
    for (const DType out_dtype : kDTypes) {
      if (dtype == out_dtype) continue;
      table.add({.tokens = 67, .dtype = dtype, .out_dtype = out_dtype, .kept = Kept::kRagged});
    }
  }
}

void add_pasts(Table& table) {
  table.group("past");
  for (const PastKind past :
       {PastKind::kUnused, PastKind::kDense, PastKind::kThinned, PastKind::kFork, PastKind::kEmptyHeads}) {
    for (const Kept kept : {Kept::kDense, Kept::kRagged}) {
      table.add_all_dtypes({.tokens = 70,
                            .past = past,
                            .past_tokens = past == PastKind::kUnused ? 0 : 200,
                            .num_heads = 4,
                            .num_kv_heads = 2,
                            .kept = kept});
    }
  }
  for (const std::int64_t past_tokens : {1, 63, 64, 65, 128}) {
    table.add_all_dtypes({.tokens = 33, .past = PastKind::kDense, .past_tokens = past_tokens});
    table.add({.tokens = 1,
               .past = PastKind::kFork,
               .past_tokens = past_tokens,
               .dtype = DType::kBF16,
               .kept = Kept::kWindowOnly});
  }
  table.add_all_dtypes({.tokens = 70,
                        .past = PastKind::kThinned,
                        .past_tokens = 150,
                        .kept = Kept::kRagged,
                        .window = kLargest,
                        .sinks = kLargest});
  for (const PastKind past : {PastKind::kDense, PastKind::kThinned, PastKind::kEmptyHeads}) {
    for (const Kept kept : {Kept::kRagged, Kept::kWindowOnly}) {
      table.add_all_dtypes({.tokens = 70,
                            .past = past,
                            .past_tokens = 150,
                            .num_heads = 4,
                            .num_kv_heads = 2,
                            .kept = kept,
                            .window = 3,
                            .values = Values::kLoudPast});
    }
  }
  table.add({.tokens = 90,
             .queries = 3,
             .past = PastKind::kThinned,
             .past_tokens = 300,
             .dtype = DType::kBF16,
             .kept = Kept::kMixed});
}

std::string shape_name(const Case& c) {
  const std::string queries = c.queries == 0 ? "" : text("q", c.queries);
  return text(c.group, "_L", c.tokens, queries, "_h", c.num_heads, "x", c.num_kv_heads, "_d", c.head_dim, "_", c.dtype);
}

}  // namespace

std::string Case::name() const {
  std::string name = text(shape_name(*this), "_", name_of(kept));
  if (out_dtype != dtype) name += text("_to_", out_dtype);
  if (kept != Kept::kDense) name += text("_w", window, "_s", sinks);
  if (values != Values::kNormal) name += text("_", name_of(values));
  if (memory != Memory::kTokenMajor) name += text("_", name_of(memory));
  if (past != PastKind::kNone) name += text("_", name_of(past), past_tokens);
  return name;
}

std::vector<Case> prefill_cases() {
  Table table("");
  add_shapes(table);
  add_sparsity(table);
  add_values(table);
  add_memory(table);
  add_pasts(table);
  return table.take();
}

std::vector<Case> decode_cases() {
  Table table("lengths");
  for (const std::int64_t length : kLengths) {  // tokens held, the query's own included
    table.add_all_dtypes({.tokens = 1, .past = PastKind::kDense, .past_tokens = length - 1});
  }
  table.add_all_dtypes({.tokens = 1, .past = PastKind::kThinned, .past_tokens = 2006});
  table.group("queries");
  for (const std::int64_t n : {1, 2, 3, 4, 5, 6, 7, 8, 9, 17, 70}) {
    table.add_all_dtypes({.tokens = n, .past = PastKind::kNone});
    table.add_all_dtypes({.tokens = n, .past = PastKind::kThinned, .past_tokens = 150});
  }
  table.group("gqa");
  for (const Heads heads : kHeads) {
    table.add_all_dtypes({.tokens = 2,
                          .past = PastKind::kThinned,
                          .past_tokens = 170,
                          .num_heads = heads.query,
                          .num_kv_heads = heads.kv});
  }
  table.group("headdim");
  for (const std::int32_t head_dim : {64, 96, 128, 256}) {
    table.add_all_dtypes({.tokens = 1, .past = PastKind::kDense, .past_tokens = 130, .head_dim = head_dim});
  }
  table.group("past");
  for (const PastKind past : {PastKind::kFork, PastKind::kEmptyHeads}) {
    table.add_all_dtypes({.tokens = 3, .past = past, .past_tokens = 100, .num_heads = 4, .num_kv_heads = 2});
  }
  table.group("values");
  for (const Values values : kSpecialValues) {
    table.add_all_dtypes({.tokens = 2, .past = PastKind::kDense, .past_tokens = 140, .values = values});
  }
  for (const Values values : {Values::kTiny, Values::kNonFinite}) {
    table.add_all_dtypes({.tokens = 2, .past = PastKind::kDense, .past_tokens = 140, .values = values});
  }
  table.group("memory");
  for (const Memory memory : {Memory::kHeadMajor, Memory::kPadded, Memory::kInPlace}) {
    table.add_all_dtypes({.tokens = 3,
                          .past = PastKind::kDense,
                          .past_tokens = 77,
                          .num_heads = 6,
                          .num_kv_heads = 3,
                          .memory = memory});
  }
  return table.take();
}

}  // namespace tca::backend_test
