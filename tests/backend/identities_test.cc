// What must hold between two results of the same backend, without an oracle.
#include <gtest/gtest.h>

#include <cmath>

#include "backend/compare.h"

namespace tca::backend_test {
namespace {

constexpr DType kDTypes[] = {DType::kF32, DType::kBF16, DType::kF16};

Output prefill(const Backend& backend, const Problem& problem) {
  Output output = problem.output();
  const PrefillParams params = problem.prefill(output);
  backend.prefill_attention({&params, 1});
  return output;
}

Output decode(const Backend& backend, const Problem& problem) {
  Output output = problem.output();
  const DecodeParams params = problem.decode(output);
  backend.decode_attention({&params, 1});
  return output;
}

TEST(Identities, KeepingEverythingEqualsDense) {
  for (const DType dtype : kDTypes) {
    const Problem problem(
        {.group = "full", .tokens = 277, .num_heads = 4, .num_kv_heads = 2, .dtype = dtype, .kept = Kept::kFull});
    const ErrorModel model = ErrorModel(problem).between_two();
    for (const auto& [name, backend] : backends_for(problem.spec())) {
      Output dense = problem.output();
      PrefillParams params = problem.prefill(dense);
      params.kept = nullptr;
      backend->prefill_attention({&params, 1});
      EXPECT_TRUE(matches(prefill(*backend, problem), dense, model)) << name << ", " << dtype_name(dtype);
    }
  }
}

TEST(Identities, TwoStepsEqualOne) {
  constexpr std::int64_t kFirst = 90, kAll = 213;
  for (const DType dtype : kDTypes) {
    const Problem problem({.group = "steps", .tokens = kAll, .num_heads = 4, .num_kv_heads = 2, .dtype = dtype});
    const ErrorModel model = ErrorModel(problem).between_two();
    KvCache cache(KvPool::create(1 << 22, 64, dtype),
                  {.num_layers = 1, .num_kv_heads = 2, .head_dim = 64, .dtype = dtype});
    cache.store(0, problem.k().tokens(0, kFirst), problem.v().tokens(0, kFirst));
    for (const auto& [name, backend] : backends_for(problem.spec())) {
      const Output one = prefill(*backend, problem);
      Output two = problem.output();
      PrefillParams first = problem.prefill(two), second = first;
      first.q = first.q.tokens(0, kFirst);
      first.k = first.k.tokens(0, kFirst);
      first.v = first.v.tokens(0, kFirst);
      first.out = first.out.tokens(0, kFirst);
      first.lse = first.lse.first(kFirst * 4);
      second.q = second.q.tokens(kFirst, kAll - kFirst);
      second.k = second.k.tokens(kFirst, kAll - kFirst);
      second.v = second.v.tokens(kFirst, kAll - kFirst);
      second.out = second.out.tokens(kFirst, kAll - kFirst);
      second.lse = second.lse.subspan(kFirst * 4);
      second.past = {.cache = &cache, .layer = 0};
      backend->prefill_attention({&first, 1});
      backend->prefill_attention({&second, 1});
      EXPECT_TRUE(matches(two, one, model)) << name << ", " << dtype_name(dtype);
    }
  }
}

TEST(Identities, DecodeEqualsPrefillOfTheLastQueries) {
  for (const DType dtype : kDTypes) {
    for (const std::int64_t n : {1, 8}) {
      Problem problem(
          {.group = "last", .tokens = 150, .queries = n, .num_heads = 4, .num_kv_heads = 2, .dtype = dtype});
      const ErrorModel model = ErrorModel(problem).between_two();
      const std::vector<BackendOfCase> backends = backends_for(problem.spec());
      std::vector<Output> prefilled;
      for (const auto& [name, backend] : backends) prefilled.push_back(prefill(*backend, problem));
      problem.store_segment();
      for (std::size_t b = 0; b < prefilled.size(); ++b) {
        const auto& [name, backend] = backends[b];
        EXPECT_TRUE(matches(decode(*backend, problem), prefilled[b], model)) << name << ", " << dtype_name(dtype);
      }
    }
  }
}

TEST(Identities, ABatchEqualsItsRunsBitwise) {
  std::vector<Problem> problems;
  std::uint64_t seed = 40;
  for (const std::int64_t tokens : {1, 200, 0, 65, 64, 7}) {
    const bool past = tokens % 2 == 1;
    problems.emplace_back(Case{.group = "batch",
                               .tokens = tokens,
                               .past = past ? PastKind::kThinned : PastKind::kNone,
                               .past_tokens = past ? 130 : 0,
                               .num_heads = 4,
                               .num_kv_heads = 2,
                               .dtype = DType::kBF16,
                               .kept = tokens > 64 ? Kept::kRagged : Kept::kDense,
                               .seed = seed++});
  }
  for (const auto& [name, backend] : backends_for(problems.front().spec())) {
    std::vector<Output> outputs;
    for (const Problem& problem : problems) outputs.push_back(problem.output());
    std::vector<PrefillParams> batch;
    for (std::size_t i = 0; i < problems.size(); ++i) batch.push_back(problems[i].prefill(outputs[i]));
    backend->prefill_attention(batch);
    for (std::size_t i = 0; i < problems.size(); ++i) {
      EXPECT_TRUE(same_bits(outputs[i], prefill(*backend, problems[i]))) << name << ", item " << i;
    }
    backend->prefill_attention({});
  }
}

TEST(Identities, ADecodeBatchEqualsItsRunsBitwise) {
  std::vector<Problem> problems;
  std::uint64_t seed = 50;
  for (const std::int64_t past_tokens : {0, 1, 63, 700, 64, 300}) {
    problems.emplace_back(Case{.group = "batch",
                               .tokens = 1 + past_tokens % 3,
                               .past = PastKind::kThinned,
                               .past_tokens = past_tokens,
                               .num_heads = 8,
                               .num_kv_heads = 2,
                               .dtype = DType::kBF16,
                               .seed = seed++});
    problems.back().store_segment();
  }
  for (const auto& [name, backend] : backends_for(problems.front().spec())) {
    std::vector<Output> outputs;
    for (const Problem& problem : problems) outputs.push_back(problem.output());
    std::vector<DecodeParams> batch;
    for (std::size_t i = 0; i < problems.size(); ++i) batch.push_back(problems[i].decode(outputs[i]));
    backend->decode_attention(batch);
    for (std::size_t i = 0; i < problems.size(); ++i) {
      EXPECT_TRUE(same_bits(outputs[i], decode(*backend, problems[i]))) << name << ", item " << i;
    }
    backend->decode_attention({});
  }
}

// Everything a backend computes for one problem, as bits.
struct Results {
  Output prefilled, decoded;
  std::vector<float> scores, tail, deltas;
  KeptSet kept;
};

Results run_everything(const Backend& backend, const Problem& problem, const Problem& stored) {
  const SelectionRule rule{.block_size = 16};
  const std::vector<BlockShares> shares = make_shares(Shares::kLogGaussian, rule.block_size, 2);
  Results r{.prefilled = prefill(backend, problem),
            .decoded = decode(backend, stored),
            .scores = std::vector<float>(2 * 300),
            .tail = std::vector<float>(40),
            .deltas = std::vector<float>(300 * 6),
            .kept = {}};
  SelectParams select = problem.select(shares, rule);
  select.q = select.q.tokens(300 - 32, 32);
  r.kept = backend.select(select);
  ProbeParams probe = problem.probe(7);
  probe.q = select.q;
  backend.probe_scores(probe, r.scores);
  const TailScoreParams tail{.q = stored.q(),
                             .lse = r.decoded.lse,
                             .cache = stored.cache(),
                             .layer = Problem::kLayer,
                             .kv_head = 1,
                             .count = 40,
                             .out = r.tail};
  backend.tail_scores({&tail, 1});
  std::vector<std::int32_t> rows;
  for (std::int32_t i = 0; i < 300; ++i) rows.push_back(i);
  backend.certify(problem.certify(rows, problem.q()), r.deltas);
  return r;
}

TEST(Identities, AnyNumberOfThreadsGivesTheSameBits) {
  const Problem problem({.group = "threads",
                         .tokens = 300,
                         .past = PastKind::kThinned,
                         .past_tokens = 200,
                         .num_heads = 6,
                         .num_kv_heads = 2,
                         .dtype = DType::kBF16,
                         .kept = Kept::kRagged});
  Problem stored({.group = "threads",
                  .tokens = 2,
                  .past = PastKind::kDense,
                  .past_tokens = 900,
                  .num_heads = 6,
                  .num_kv_heads = 2,
                  .dtype = DType::kBF16});
  stored.store_segment();
  std::vector<Results> with_one;
  for (const int threads : {1, 2, 3, 5}) {
    ThreadPool pool(threads);
    const std::vector<NamedBackend> backends = backends_under_test(pool);
    for (std::size_t b = 0; b < backends.size(); ++b) {
      const Results r = run_everything(*backends[b].backend, problem, stored);
      if (threads == 1) {
        with_one.push_back(r);
        continue;
      }
      EXPECT_TRUE(same_bits(r.prefilled, with_one[b].prefilled)) << backends[b].name << ", " << threads << " threads";
      EXPECT_TRUE(same_bits(r.decoded, with_one[b].decoded)) << backends[b].name << ", " << threads << " threads";
      EXPECT_EQ(r.scores, with_one[b].scores) << backends[b].name << ", " << threads << " threads";
      EXPECT_EQ(r.tail, with_one[b].tail) << backends[b].name << ", " << threads << " threads";
      EXPECT_EQ(r.deltas, with_one[b].deltas) << backends[b].name << ", " << threads << " threads";
      EXPECT_EQ(r.kept, with_one[b].kept) << backends[b].name << ", " << threads << " threads";
    }
  }
}

TEST(Identities, InPlaceEqualsOutOfPlaceBitwise) {
  Case c{.group = "inplace", .tokens = 133, .num_heads = 6, .num_kv_heads = 2, .kept = Kept::kRagged};
  for (const DType dtype : kDTypes) {
    c.dtype = c.out_dtype = dtype;
    c.memory = Memory::kTokenMajor;
    const Problem apart(c);
    c.memory = Memory::kInPlace;
    const Problem in_place(c);
    for (const auto& [name, backend] : backends_for(c)) {
      EXPECT_TRUE(same_bits(prefill(*backend, apart), prefill(*backend, in_place))) << name;
    }
  }
}

TEST(Identities, EachKvHeadStandsAlone) {
  const Problem problem({.group = "heads", .tokens = 140, .num_heads = 6, .num_kv_heads = 3, .kept = Kept::kRagged});
  const ErrorModel model = ErrorModel(problem).between_two();
  for (const auto& [name, backend] : backends_for(problem.spec())) {
    const Output together = prefill(*backend, problem);
    Output alone = problem.output();
    for (std::int32_t head = 0; head < 3; ++head) {
      const auto positions = problem.kept()->head(head);
      const KeptSet kept(140, {0, static_cast<std::int64_t>(positions.size())}, {positions.begin(), positions.end()});
      PrefillParams params = problem.prefill(alone);
      params.kept = &kept;
      params.lse = {};
      params.q.data = params.q.row(0, 2 * head);
      params.k.data = params.k.row(0, head);
      params.v.data = params.v.row(0, head);
      params.out.data = params.out.row(0, 2 * head);
      params.q.num_heads = params.out.num_heads = 2;
      params.k.num_heads = params.v.num_heads = 1;
      backend->prefill_attention({&params, 1});
    }
    alone.lse = together.lse;
    EXPECT_TRUE(matches(alone, together, model)) << name;
  }
}

TEST(Identities, LaterTokensChangeNoEarlierRow) {
  for (const Kept kept : {Kept::kDense, Kept::kFull, Kept::kRagged}) {
    const Problem problem({.group = "causal", .tokens = 150, .dtype = DType::kBF16, .kept = kept});
    Problem changed = Problem(problem.spec());
    changed.overwrite_from(101, 1e30);
    for (const auto& [name, backend] : backends_for(problem.spec())) {
      const Output a = prefill(*backend, problem), b = prefill(*backend, changed);
      for (std::int64_t i = 0; i <= 100; ++i) {
        for (std::int32_t e = 0; e < 64; ++e) ASSERT_EQ(a.out.at(i, 1, e), b.out.at(i, 1, e)) << name << ", row " << i;
      }
    }
  }
}

}  // namespace
}  // namespace tca::backend_test
