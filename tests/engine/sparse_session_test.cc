// Sessions that choose: what is stored and attended to, thinning, tolerance, certificates, break-even.
#include <gtest/gtest.h>

#include <algorithm>

#include "engine/engine_fixture.h"

namespace tca::runtime {
namespace {

using test::eighths;
using test::Engine;
using test::held_positions;
using test::kLogitBound;
using test::largest_difference;
using test::read;
using test::small_rule;

constexpr std::int32_t kWindow = 24, kBlock = 8, kSinks = 3;  // small_rule()

SessionOptions tca_options(std::shared_ptr<const Profile> profile) {
  return {.attention = AttentionMode::kTca, .profile = std::move(profile)};
}

TEST(SparseSession, KeepingEverythingEqualsFullAttention) {
  const Engine engine;
  const auto all = engine.profile({BlockShares::full(kBlock)});
  Session sparse = engine.session(tca_options(all)), full = engine.session();
  for (const std::int64_t n : {200, 90, 5, 40}) {
    EXPECT_LE(largest_difference(read(sparse, engine.prompt(n, 9)), read(full, engine.prompt(n, 9))), kLogitBound);
  }
  for (int i = 0; i < 50; ++i) {
    EXPECT_LE(largest_difference(read(sparse, {i}), read(full, {i})), kLogitBound);
  }
  EXPECT_EQ(held_positions(sparse.cache()), held_positions(full.cache()));
  EXPECT_EQ(sparse.kept_share(), 1);
}

TEST(SparseSession, EveryHeadKeepsItsShare) {
  const Engine engine;
  Session session = engine.session(tca_options(engine.ragged_profile()));
  const std::int64_t n = 400;
  read(session, engine.prompt(n));
  EXPECT_TRUE(session.last_read().sparse);
  const KvCache& cache = session.cache();
  // Full; an eighth of the 50 blocks keeps 8 and a half 2; window only; a quarter keeps 4 and the rest 1. What the
  // window holds of them is counted with the window.
  const std::vector<std::vector<std::int64_t>> most = {{n, 6 * 8 + 25 * 2 + kWindow + kSinks},
                                                       {kWindow + kSinks, 13 * 4 + 37 + kWindow + kSinks}};
  for (std::int32_t l = 0; l < 2; ++l) {
    for (std::int32_t h = 0; h < 2; ++h) {
      const std::int64_t length = cache.length(l, h);
      EXPECT_LE(length, most[static_cast<std::size_t>(l)][static_cast<std::size_t>(h)]) << l << " " << h;
      EXPECT_GE(length, most[static_cast<std::size_t>(l)][static_cast<std::size_t>(h)] - kWindow - kSinks);
      for (std::int32_t i = 0; i < kSinks; ++i) EXPECT_EQ(cache.position(l, h, i), i);
      for (std::int64_t i = 0; i < kWindow; ++i) EXPECT_EQ(cache.position(l, h, length - 1 - i), n - 1 - i);
    }
  }
  EXPECT_EQ(cache.length(1, 0), kWindow + kSinks);
  EXPECT_LT(session.kept_share(), 0.5);
  EXPECT_LT(session.kv_bytes(), session.full_kv_bytes());
}

/// Visible pairs counted one by one.
double density_of(const KvCache& before, std::int32_t layer, const std::vector<std::vector<std::int32_t>>& kept,
                  std::int64_t n) {
  double share = 0;
  for (std::int32_t h = 0; h < 2; ++h) {
    const auto& positions = kept[static_cast<std::size_t>(h)];
    std::int64_t seen = 0, causal = 0;
    for (std::int64_t i = 0; i < n; ++i) {
      for (std::int64_t j = 0; j <= i; ++j) {
        seen += j > i - kWindow || std::binary_search(positions.begin(), positions.end(), j) ? 1 : 0;
      }
      seen += before.length(layer, h);
      causal += i + 1 + before.num_tokens(layer);
    }
    share += static_cast<double>(seen) / static_cast<double>(causal) / 2;
  }
  return share;
}

TEST(SparseSession, DensityCountsThePairsComputed) {
  const Engine engine;
  // Window-only heads keep the sinks alone: what is visible is known.
  Session session = engine.session(tca_options(engine.profile({BlockShares::window(kBlock)})));
  const Session empty = session.fork();
  const std::vector<std::vector<std::int32_t>> sinks = {{0, 1, 2}, {0, 1, 2}}, nothing = {{}, {}};
  read(session, engine.prompt(150));
  EXPECT_NEAR(session.last_read().density, density_of(empty.cache(), 0, sinks, 150), 1e-12);
  const Session first = session.fork();
  read(session, engine.prompt(70));
  EXPECT_NEAR(session.last_read().density, density_of(first.cache(), 0, nothing, 70), 1e-12);
}

TEST(SparseSession, AttendMayBeLessThanKeep) {
  const Engine engine;
  Session lean =
      engine.session(tca_options(engine.profile({BlockShares::full(kBlock)}, {BlockShares::window(kBlock)})));
  Session window = engine.session(tca_options(engine.profile({BlockShares::window(kBlock)})));
  const std::vector<std::int32_t> ids = engine.prompt(200);
  EXPECT_EQ(read(lean, ids), read(window, ids));
  EXPECT_EQ(lean.last_read().density, window.last_read().density);
  EXPECT_EQ(lean.kept_share(), 1);
  EXPECT_LT(window.kept_share(), 0.2);
  EXPECT_NE(read(lean, {7}), read(window, {7}));  // what was kept is looked at later
}

// ---- Thinning ----

void check_thinned(const KvCache& cache, const Profile& profile, std::int64_t n) {
  for (std::int32_t l = 0; l < cache.shape().num_layers; ++l) {
    for (std::int32_t h = 0; h < cache.shape().num_kv_heads; ++h) {
      SCOPED_TRACE(testing::Message() << "layer " << l << " head " << h << " after " << n << " tokens");
      const BlockShares& keep =
          profile.budgets[0].layers[static_cast<std::size_t>(l)][static_cast<std::size_t>(h)].keep;
      const std::int64_t tail = cache.length(l, h) - cache.tail_begin(l, h);
      EXPECT_LT(tail, kWindow + kBlock);
      EXPECT_GE(tail, std::min<std::int64_t>(n, kWindow));
      EXPECT_EQ(cache.num_tokens(l), n);
      const std::int64_t blocks = (n - tail) / kBlock;
      const auto per_block = static_cast<std::int64_t>(keep.kept_share() * kBlock + 0.5);
      EXPECT_GE(cache.tail_begin(l, h), blocks * per_block);
      EXPECT_LE(cache.tail_begin(l, h), blocks * per_block + (per_block == kBlock ? 0 : kSinks));
      for (std::int32_t i = 0; i < kSinks; ++i) EXPECT_EQ(cache.position(l, h, i), i);
      for (std::int64_t i = 0; i < tail; ++i) {
        ASSERT_EQ(cache.position(l, h, cache.length(l, h) - 1 - i), n - 1 - i) << "the tail is whole";
      }
    }
  }
}

TEST(SparseSession, TheTailIsThinnedWhileTokensComeOneByOne) {
  const Engine engine;
  const auto profile = engine.ragged_profile();
  Session session = engine.session(tca_options(profile));
  const std::vector<std::int32_t> ids = engine.prompt(150);
  for (std::size_t i = 0; i < ids.size(); ++i) {
    session.read(std::span(&ids[i], 1));
    if (i + 1 >= kSinks) check_thinned(session.cache(), *profile, static_cast<std::int64_t>(i) + 1);
  }
  EXPECT_LT(session.kept_share(), 0.7);
}

TEST(SparseSession, ShortTurnsAreReadDenseAndThinnedAfterwards) {
  const Engine engine;
  const auto profile = engine.ragged_profile();
  Session session = engine.session(tca_options(profile));
  std::int64_t n = 0;
  for (const std::int64_t turn : {20, 31, 1, 32, 7, 32, 32}) {  // none longer than window + block
    read(session, engine.prompt(turn));
    n += turn;
    EXPECT_FALSE(session.last_read().sparse);
    check_thinned(session.cache(), *profile, n);
  }
}

TEST(SparseSession, ALongTurnGivesUpTheWindowBeforeIt) {
  const Engine engine;
  Session session = engine.session(tca_options(engine.profile({BlockShares::window(kBlock)})));
  read(session, engine.prompt(100));
  read(session, engine.prompt(10));
  read(session, engine.prompt(90));
  std::vector<std::int32_t> expected = {0, 1, 2};
  for (std::int32_t i = 200 - kWindow; i < 200; ++i) expected.push_back(i);
  for (const auto& head : held_positions(session.cache())) EXPECT_EQ(head, expected);
}

TEST(SparseSession, FullModeDropsNothingEvenWithAProfile) {
  const Engine engine;
  Session session = engine.session({.attention = AttentionMode::kFull, .profile = engine.ragged_profile()});
  Session plain = engine.session();
  EXPECT_EQ(read(session, engine.prompt(200)), read(plain, engine.prompt(200)));
  for (int i = 0; i < 40; ++i) read(session, {i});
  EXPECT_EQ(session.kept_share(), 1);
  // One read of it may be sparse all the same.
  session.read(engine.prompt(100), {.attention = AttentionMode::kTca});
  EXPECT_TRUE(session.last_read().sparse);
  EXPECT_LT(session.kept_share(), 1);
}

// ---- Auto ----

TEST(SparseSession, AutoIsDenseBelowBreakEven) {
  Engine engine;
  engine.backend.break_even = 120;
  const auto profile = engine.profile({BlockShares::window(kBlock)});
  Session session = engine.session({.profile = profile}), full = engine.session();
  EXPECT_EQ(read(session, engine.prompt(119)), read(full, engine.prompt(119)));
  EXPECT_FALSE(session.last_read().sparse);
  EXPECT_EQ(session.kept_share(), 1);

  Session longer = engine.session({.profile = profile});
  read(longer, engine.prompt(120));
  EXPECT_TRUE(longer.last_read().sparse);
  EXPECT_LT(longer.kept_share(), 0.3);
}

TEST(SparseSession, AutoThinsOnceTheWholeSequenceIsLongEnough) {
  Engine engine;
  engine.backend.break_even = 120;
  Session session = engine.session({.profile = engine.profile({BlockShares::window(kBlock)})});
  read(session, engine.prompt(100));
  for (int i = 0; i < 19; ++i) read(session, {i});
  EXPECT_EQ(session.kept_share(), 1);
  read(session, {50});
  for (const auto& head : held_positions(session.cache())) {
    EXPECT_LT(std::ssize(head), kSinks + kWindow + kBlock);
    EXPECT_EQ(head[2], 2);
  }
}

TEST(SparseSession, AutoWithoutAProfileIsFull) {
  const Engine engine;
  Session automatic = engine.session(), full = engine.session({.attention = AttentionMode::kFull});
  EXPECT_EQ(read(automatic, engine.prompt(300)), read(full, engine.prompt(300)));
  EXPECT_FALSE(automatic.last_read().sparse);
}

// A window may be as long as the profile format allows, 2^31 - 1: everything is in it, so nothing is chosen or thinned.
TEST(SparseSession, TheLongestWindowKeepsEverything) {
  const Engine engine;
  Profile longest = *engine.ragged_profile();
  longest.rule.window = INT32_MAX;
  longest.rule.sinks = INT32_MAX;
  for (const AttentionMode mode : {AttentionMode::kTca, AttentionMode::kAuto}) {
    SessionOptions options = tca_options(std::make_shared<const Profile>(longest));
    options.attention = mode;
    Session session = engine.session(options), full = engine.session();
    for (const std::int64_t n : {300, 1, 40}) {
      EXPECT_LE(largest_difference(read(session, engine.prompt(n, 3)), read(full, engine.prompt(n, 3))), kLogitBound);
      EXPECT_FALSE(session.last_read().sparse);
      EXPECT_EQ(session.kept_share(), 1);
    }
  }
}

// ---- Certificate and tolerance ----

TEST(SparseSession, ACertificateCoversEveryHead) {
  const Engine engine;
  SessionOptions options = tca_options(engine.ragged_profile());
  options.certify = true;
  Session session = engine.session(options), plain = engine.session(tca_options(engine.ragged_profile()));
  EXPECT_FALSE(session.certificate().has_value());
  EXPECT_LE(largest_difference(read(session, engine.prompt(300)), read(plain, engine.prompt(300))), kLogitBound);
  const SessionCertificate& certificate = session.certificate().value();
  ASSERT_EQ(certificate.layers.size(), 2u);
  ASSERT_EQ(certificate.kept_share.size(), 2u);
  EXPECT_EQ(certificate.raised_heads, 0);
  EXPECT_EQ(certificate.layers[0][0].max_delta, 0) << "a full head drops nothing";
  EXPECT_EQ(certificate.kept_share[0][0], 1);
  EXPECT_GT(certificate.layers[1][0].max_delta, 0.01);
  EXPECT_NEAR(certificate.kept_share[1][0], (kSinks + kWindow) / 300.0, 1e-12);
  for (const auto& heads : certificate.layers) {
    for (const HeadCertificate& head : heads) {
      EXPECT_LE(head.mean_delta, head.max_delta);
      EXPECT_LE(head.p95_delta, head.max_delta);
      EXPECT_LE(head.max_delta, 1);
    }
  }
}

TEST(SparseSession, ALaterCertificateCoversThePast) {
  Engine engine;
  SessionOptions options = tca_options(engine.ragged_profile());
  options.certify = true;
  options.certify_rows = 20;
  Session session = engine.session(options);
  read(session, engine.prompt(300));
  const std::unique_ptr<Backend> oracle = create_backend("reference", engine.pool);
  std::vector<std::vector<HeadCertificate>> expected;
  engine.backend.before_certify = [&](const CertifyParams& params) {
    ASSERT_NE(params.past.cache, nullptr);
    EXPECT_EQ(params.past.cache->num_tokens(params.past.layer), 300);
    expected.push_back(oracle->certify(params));
  };
  read(session, engine.prompt(120, 2));
  const SessionCertificate& certificate = session.certificate().value();
  ASSERT_EQ(certificate.layers.size(), expected.size());
  for (std::size_t l = 0; l < expected.size(); ++l) {
    for (std::size_t h = 0; h < expected[l].size(); ++h) {
      EXPECT_NEAR(certificate.layers[l][h].bound, expected[l][h].bound, 1e-4);
      EXPECT_NEAR(certificate.layers[l][h].output_norm, expected[l][h].output_norm, 1e-4);
      EXPECT_GT(certificate.layers[l][h].output_norm, 0);
    }
  }
}

TEST(SparseSession, ToleranceRaisesTheHeadsThatLoseTooMuch) {
  const Engine engine;
  const auto run = [&](double tolerance) {
    SessionOptions options = tca_options(engine.ragged_profile());
    options.tolerance = tolerance;
    Session session = engine.session(options);
    read(session, engine.prompt(300));
    return session;
  };
  const Session strict = run(0), loose = run(1);
  EXPECT_EQ(loose.certificate()->raised_heads, 0);
  EXPECT_EQ(strict.certificate()->raised_heads, 3);  // all but the full one
  EXPECT_EQ(strict.kept_share(), 1);
  Session middle = run(0.3);
  for (const auto& heads : middle.certificate()->layers) {
    for (const HeadCertificate& head : heads) EXPECT_LE(head.p95_delta, 0.3);
  }
  EXPECT_GE(middle.kept_share(), loose.kept_share());
  EXPECT_LE(middle.kept_share(), 1);

  // Raised heads stay raised: the strict session thins nothing later either.
  Session later = strict.fork();
  for (int i = 0; i < 60; ++i) read(later, {i});
  EXPECT_EQ(later.kept_share(), 1);
}

TEST(SparseSession, SelectionRunsOnceALayerAndBudget) {
  Engine engine;
  Session session = engine.session(tca_options(engine.ragged_profile()));
  read(session, engine.prompt(300));
  EXPECT_EQ(engine.backend.num_selections, 2);
  read(session, engine.prompt(20));
  EXPECT_EQ(engine.backend.num_selections, 2);
}

}  // namespace
}  // namespace tca::runtime
