// The table every backend is held to, grouped by intent. A case says what the inputs are like; problem.h makes them.
#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <ostream>
#include <string>
#include <vector>

#include "backend/tensor_buffer.h"
#include "tca/attention.h"

namespace tca::backend_test {

enum class Values {
  kNormal,      // q, k, v standard normal
  kPeaked,      // every query close to one key it sees: attention with a few peaks
  kHuge,        // integers with |q.k| * scale of 1e4 and more, exact in fp32 whatever the order of summation
  kEqual,       // all keys the same: all scores equal
  kDominating,  // one key in the middle outweighs all others by e^100 and more
  kTiny,        // values of 1e-6: subnormal in fp16
  kOverflow,    // values of 1e6, in inputs that can hold them: beyond fp16 outputs
  kLoudPast,    // values of the past 100 times those of the segment
  kNonFinite,   // an infinity and a NaN among the first token's values, which every query of dense attention sees
};

enum class Kept {
  kDense,        // no kept set: dense causal attention
  kRagged,       // random, from 2 to 90 % by head
  kWindowOnly,   // no head keeps anything
  kFull,         // every head keeps everything
  kEmptyMiddle,  // the first and last eighth
  kMixed,        // heads in turn full, empty, one token, every other token
};

enum class PastKind {
  kNone,        // no cache
  kUnused,      // a cache that holds nothing yet
  kDense,       // stored in two steps, everything held
  kThinned,     // kept set and window, then a tail thinned differently by head
  kFork,        // shares its pages with a sequence that went on
  kEmptyHeads,  // KV head 0 holds nothing but what the segment adds
};

enum class Memory { kTokenMajor, kHeadMajor, kPadded, kInPlace };  // kInPlace: out is the memory of q

struct Case {
  std::string group = {};
  std::int64_t tokens = 64;  // L
  std::int64_t queries = 0;  // of the segment's end; 0: all
  PastKind past = PastKind::kNone;
  std::int64_t past_tokens = 0;
  std::int32_t num_heads = 2;
  std::int32_t num_kv_heads = 1;
  std::int32_t head_dim = 64;
  DType dtype = DType::kF32;
  DType out_dtype = DType::kF32;
  Kept kept = Kept::kDense;
  std::int32_t window = 16;
  std::int32_t sinks = 4;
  Values values = Values::kNormal;
  Memory memory = Memory::kTokenMajor;
  float scale = 0;
  std::uint64_t seed = 1;

  std::int64_t num_queries() const { return queries == 0 ? tokens : queries; }
  std::string name() const;
};
inline std::ostream& operator<<(std::ostream& out, const Case& c) { return out << c.name(); }

/// Prefill attention and the certificate.
std::vector<Case> prefill_cases();
/// The segment is stored after the past; all of its tokens are queries. Also for tail scores.
std::vector<Case> decode_cases();

enum class Shares {
  kFull,
  kWindow,
  kLogGaussian,  // every number of tokens a block can keep gets a share
  kRagged,       // heads in turn full, window, log-Gaussian, a tenth of the blocks whole
};

enum class Windows {
  kNone,    // no array
  kRagged,  // heads in turn a tenth of the segment, 0, all of it, more than that
};

/// inputs.queries is min(L, rule.probe_queries), unless probes follow.
struct SelectCase {
  Case inputs;
  SelectionRule rule = {};
  Shares shares = Shares::kLogGaussian;
  Windows windows = Windows::kNone;  // with BlockOrder::kTokens
  bool probes_follow = false;
  ProbeReduce reduce = ProbeReduce::kMean;
  std::string name() const;
};
inline std::ostream& operator<<(std::ostream& out, const SelectCase& c) { return out << c.name(); }
std::vector<SelectCase> select_cases();
/// Empty or [Hk].
std::vector<std::int32_t> make_windows(const SelectCase& c);

/// gtest parameter names must be unique: the case's place in its table and its name.
template <class C>
std::string case_name(const testing::TestParamInfo<C>& info) {
  return info.param.name() + "_" + std::to_string(info.index);
}

}  // namespace tca::backend_test
