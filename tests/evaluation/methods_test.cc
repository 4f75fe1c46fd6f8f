// What published methods keep, against their definitions computed the plain way in double from the model's own queries,
// keys and values.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>

#include "engine/engine_fixture.h"
#include "evaluation/methods/published.h"
#include "evaluation/quality.h"
#include "tca/error.h"

namespace tca::evaluation {
namespace {

using runtime::LayerObserver;
using runtime::Session;
using test::Engine;
using Vector = std::vector<double>;
using Positions = std::vector<std::int32_t>;

constexpr std::int64_t kTokens = 300;
constexpr std::int64_t kWindow = 32;

/// fp32 [n, heads, d], contiguous.
struct Rows {
  explicit Rows(const TensorView& view)
      : heads(view.num_heads), dim(view.head_dim), values(static_cast<std::size_t>(view.num_tokens * heads * dim)) {
    std::copy_n(static_cast<const float*>(view.data), values.size(), values.begin());
  }
  Vector of(std::int64_t token, std::int64_t head) const {
    const auto begin = values.begin() + (token * heads + head) * dim;
    return {begin, begin + dim};
  }
  std::int64_t heads, dim;
  std::vector<float> values;
};

struct Layer {
  Rows q, k, v;
};

class Capture : public LayerObserver {
 public:
  void on_layer(std::int32_t, const TensorView& q, const TensorView& k, const TensorView& v) override {
    layers.push_back({Rows(q), Rows(k), Rows(v)});
  }
  std::vector<Layer> layers;
};

std::vector<Layer> dense_layers(const Engine& engine, std::int64_t n) {
  Capture capture;
  Session session = engine.session();
  session.read(engine.prompt(n), {.observer = &capture});
  return std::move(capture.layers);
}

double dot(const Vector& a, const Vector& b) { return std::inner_product(a.begin(), a.end(), b.begin(), 0.0); }

Vector softmax(Vector scores) {
  const double top = *std::max_element(scores.begin(), scores.end());
  for (double& score : scores) score = std::exp(score - top);
  const double sum = std::accumulate(scores.begin(), scores.end(), 0.0);
  for (double& score : scores) score /= sum;
  return scores;
}

/// Mean attention of the last 32 queries and the group to the tokens before them, the maximum over 7 of it; [n], the
/// window at infinity.
Vector snapkv_of(const Layer& layer, std::int64_t kv_head) {
  const std::int64_t n = kTokens, group = layer.q.heads / layer.k.heads;
  Vector mean(static_cast<std::size_t>(n));
  for (std::int64_t row = n - kWindow; row < n; ++row) {
    for (std::int64_t g = 0; g < group; ++g) {
      const Vector query = layer.q.of(row, kv_head * group + g);
      Vector scores;
      for (std::int64_t j = 0; j <= row; ++j) {
        scores.push_back(dot(query, layer.k.of(j, kv_head)) / std::sqrt(static_cast<double>(layer.k.dim)));
      }
      scores = softmax(scores);
      for (std::size_t j = 0; j < scores.size(); ++j) mean[j] += scores[j] / static_cast<double>(kWindow * group);
    }
  }
  Vector pooled(mean.size(), INFINITY);
  for (std::int64_t j = 0; j < n - kWindow; ++j) {
    double& score = pooled[static_cast<std::size_t>(j)] = 0;
    for (std::int64_t i = std::max<std::int64_t>(0, j - 3); i <= std::min(j + 3, n - kWindow - 1); ++i) {
      score = std::max(score, mean[static_cast<std::size_t>(i)]);
    }
  }
  return pooled;
}

/// The positions of the `count` best, equal ones from the left.
Positions best(const Vector& scores, std::int64_t count) {
  Positions order(scores.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [&](std::int32_t a, std::int32_t b) {
    return scores[static_cast<std::size_t>(a)] > scores[static_cast<std::size_t>(b)];
  });
  order.resize(static_cast<std::size_t>(count));
  std::sort(order.begin(), order.end());
  return order;
}

Method method(const Engine& engine, const std::string& form, std::shared_ptr<const Profile> profile = {}) {
  return parse_method(form, {.profile = std::move(profile)}, engine.model->fingerprint(), kTokens);
}

Session read(const Engine& engine, const std::string& form, std::shared_ptr<const Profile> profile = {}) {
  Session session = engine.session(method(engine, form, std::move(profile)).options);
  session.read(engine.prompt(kTokens));
  EXPECT_TRUE(session.last_read().sparse);
  EXPECT_EQ(session.last_read().density, 1) << "prefill computes over everything";
  return session;
}

std::vector<Positions> kept(const Engine& engine, const std::string& form,
                            std::shared_ptr<const Profile> profile = {}) {
  return test::held_positions(read(engine, form, std::move(profile)).cache());
}

/// Heads of every layer in turn, each by its scores and count.
template <class Count>
std::vector<Positions> best_of(const std::vector<Layer>& layers, const Count& count) {
  std::vector<Positions> result;
  for (std::size_t l = 0; l < layers.size(); ++l) {
    for (std::int64_t h = 0; h < layers[l].k.heads; ++h) result.push_back(best(snapkv_of(layers[l], h), count(l)));
  }
  return result;
}

/// Curves of one window; a head's loss with the window alone is given.
std::shared_ptr<const Profile> curves_profile(const Engine& engine, std::vector<double> losses) {
  const ModelFingerprint model = engine.model->fingerprint();
  Profile profile;
  profile.model = model;
  AnswerRisk& answers = profile.answer_risk.emplace();
  answers.rule.order = BlockOrder::kTokens;
  answers.keep = {.windows = {8, 64}, .shares = {0, 1}, .heads = {}};
  for (std::int32_t l = 0; l < model.num_layers; ++l) {
    auto& heads = answers.keep.heads.emplace_back();
    for (std::int32_t h = 0; h < model.num_kv_heads; ++h) {
      heads.push_back({9, 0, losses[static_cast<std::size_t>(l * model.num_kv_heads + h)], 0});
    }
  }
  return std::make_shared<const Profile>(std::move(profile));
}

TEST(Methods, SnapKvKeepsWhatTheLastQueriesLookAt) {
  const Engine engine;
  EXPECT_EQ(kept(engine, "snapkv:0.3"), best_of(dense_layers(engine, kTokens), [](std::size_t) { return 90; }));
}

TEST(Methods, PyramidKvGivesEarlyLayersMore) {
  const Engine engine({.layers = 3});
  // A mean of 60 - 32 beside the window: 1.4 in the last layer, 54.6 in the first, 28 between them.
  const std::vector<std::int64_t> counts = {87, 60, 33};
  EXPECT_EQ(kept(engine, "pyramidkv:0.2"),
            best_of(dense_layers(engine, kTokens), [&](std::size_t layer) { return counts[layer]; }));
  // Here the first layer is full, and the last has what that leaves.
  EXPECT_EQ(read(engine, "pyramidkv:0.7").cache().length(0, 0), kTokens);
  EXPECT_EQ(read(engine, "pyramidkv:0.7").cache().length(2, 0), 120);
}

TEST(Methods, AdaKvSharesALayerAmongItsHeads) {
  const Engine engine;
  std::vector<Positions> expected;
  for (const Layer& layer : dense_layers(engine, kTokens)) {
    const std::int64_t heads = layer.k.heads, even = 120, safe = 24;
    std::vector<std::pair<double, std::int64_t>> all;  // of all heads, to be sorted: the best first
    std::vector<Vector> scores;
    for (std::int64_t h = 0; h < heads; ++h) {
      Vector sorted = scores.emplace_back(snapkv_of(layer, h));
      std::sort(sorted.begin(), sorted.end(), std::greater<>());
      for (std::size_t i = 0; i < sorted.size(); ++i) {
        all.emplace_back(-(static_cast<std::int64_t>(i) < safe ? INFINITY : sorted[i]), h);
      }
    }
    std::sort(all.begin(), all.end());
    std::map<std::int64_t, std::int64_t> counts;
    for (std::int64_t i = 0; i < heads * even; ++i) ++counts[all[static_cast<std::size_t>(i)].second];
    EXPECT_NE(counts[0], counts[1]) << "nothing to see";
    for (std::int64_t h = 0; h < heads; ++h) expected.push_back(best(scores[static_cast<std::size_t>(h)], counts[h]));
  }
  EXPECT_EQ(kept(engine, "adakv:0.4"), expected);
}

TEST(Methods, AdaKvLeavesEveryHeadAFifth) {
  // Head 0 has all of the best.
  std::vector<float> scores(200);
  std::iota(scores.rbegin(), scores.rend(), 0.0f);
  ThreadPool pool(1);
  const auto backend = create_backend("reference", pool);
  const runtime::ModelConfig config;
  const runtime::SegmentStart segment{.backend = *backend,
                                      .model = config,
                                      .dtype = DType::kF32,
                                      .memory = host_memory(),
                                      .pool = pool,
                                      .first_position = 0,
                                      .num_tokens = 100};
  const runtime::SegmentLayer layer{
      .q = {}, .k = contiguous(static_cast<const void*>(nullptr), DType::kF32, 100, 2, 1), .v = {}};
  EXPECT_EQ(adakv_budgets(0.5)({segment, layer}, scores), (std::vector<std::int64_t>{90, 10}));
}

/// One head's expected attention to the keys from token 4 on, by the definition.
Vector expected_attention_of(const Layer& layer, std::int64_t head, double theta) {
  const std::int64_t n = kTokens, d = layer.q.dim, half = d / 2, kv_head = head * layer.k.heads / layer.q.heads;
  const auto angle = [&](std::int64_t position, std::int64_t i) {
    return static_cast<double>(position) * std::pow(theta, -2.0 * static_cast<double>(i) / static_cast<double>(d));
  };
  // The rotation as a matrix [d, d].
  const auto rotation = [&](std::int64_t position) {
    std::vector<Vector> r(static_cast<std::size_t>(d), Vector(static_cast<std::size_t>(d)));
    for (std::int64_t i = 0; i < half; ++i) {
      const auto a = static_cast<std::size_t>(i), b = static_cast<std::size_t>(i + half);
      r[a][a] = r[b][b] = std::cos(angle(position, i));
      r[b][a] = std::sin(angle(position, i));
      r[a][b] = -r[b][a];
    }
    return r;
  };
  const auto times = [](const std::vector<Vector>& m, const Vector& x) {
    Vector y;
    for (const Vector& row : m) y.push_back(dot(row, x));
    return y;
  };
  std::vector<Vector> mean_rotation(static_cast<std::size_t>(d), Vector(static_cast<std::size_t>(d)));
  for (std::int64_t p = n; p < n + 512; ++p) {
    const auto r = rotation(p);
    for (std::size_t i = 0; i < r.size(); ++i) {
      for (std::size_t j = 0; j < r.size(); ++j) mean_rotation[i][j] += r[i][j] / 512;
    }
  }
  std::vector<Vector> queries;
  Vector mean(static_cast<std::size_t>(d));
  for (std::int64_t t = 4; t < n; ++t) {
    const Vector before = times(rotation(-t), layer.q.of(t, head));
    queries.push_back(before);
    for (std::size_t i = 0; i < mean.size(); ++i) mean[i] += before[i] / static_cast<double>(n - 4);
  }
  Vector scores;
  for (std::int64_t t = 4; t < n; ++t) {
    // k' R C R' k is the variance of the queries' products with R' k.
    const Vector key = layer.k.of(t, kv_head);
    double variance = 0;
    Vector turned(key.size());
    for (std::size_t i = 0; i < key.size(); ++i) {
      for (std::size_t j = 0; j < key.size(); ++j) turned[j] += mean_rotation[i][j] * key[i];
    }
    const double product = dot(mean, turned);
    for (const Vector& query : queries) {
      const double deviation = dot(query, turned) - product;
      variance += deviation * deviation / static_cast<double>(queries.size());
    }
    scores.push_back(product / std::sqrt(static_cast<double>(d)) + variance / (2 * static_cast<double>(d)));
  }
  return softmax(scores);
}

TEST(Methods, ExpectedAttentionKeepsWhatMayBeLookedAt) {
  for (const char* architecture : {"LlamaForCausalLM", "Qwen3ForCausalLM"}) {
    const Engine engine({.architecture = architecture, .head_dim = 16});
    std::vector<Positions> expected;
    for (const Layer& layer : dense_layers(engine, kTokens)) {
      const std::int64_t group = layer.q.heads / layer.k.heads;
      for (std::int64_t h = 0; h < layer.k.heads; ++h) {
        Vector scores(kTokens, INFINITY);
        for (std::int64_t t = 4; t < kTokens; ++t) scores[static_cast<std::size_t>(t)] = 0.01;
        for (std::int64_t g = 0; g < group; ++g) {
          const Vector head = expected_attention_of(layer, h * group + g, engine.model->config().ropes[0].theta);
          for (std::size_t i = 0; i < head.size(); ++i) scores[i + 4] += head[i] / static_cast<double>(group);
        }
        for (std::int64_t t = 4; t < kTokens; ++t) {
          const Vector value = layer.v.of(t, h);
          scores[static_cast<std::size_t>(t)] *= std::sqrt(dot(value, value));
        }
        expected.push_back(best(scores, 75));
      }
    }
    EXPECT_EQ(kept(engine, "expected-attention:0.25"), expected) << architecture;
  }
}

TEST(Methods, DuoMakesTheRichestHeadsWhole) {
  const Engine engine;  // 2 layers of 2 KV heads
  const auto profile = curves_profile(engine, {1, 3, 4, 2});
  // 0.5 is 150 tokens a head: fewer than streaming takes, so that all of it is streaming. 50 sinks, 100 tokens behind.
  Positions streaming(150);
  std::iota(streaming.begin(), streaming.begin() + 50, 0);
  std::iota(streaming.begin() + 50, streaming.end(), static_cast<std::int32_t>(kTokens) - 100);
  EXPECT_EQ(kept(engine, "duo:0.5", profile), std::vector<Positions>(4, streaming));

  // 1000 tokens, 600 a head: 4 * 216 beside what streaming takes. 616 make the richest head whole, 248 are left.
  Session session = engine.session(method(engine, "duo:0.6", profile).options);
  session.read(engine.prompt(1000));
  const auto held = test::held_positions(session.cache());
  EXPECT_EQ(held[2].size(), 1000u);
  EXPECT_EQ(held[1].size(), 384u + 248u);
  for (const std::size_t head : {std::size_t{0}, std::size_t{3}}) {
    Positions expected(384);
    std::iota(expected.begin(), expected.begin() + 128, 0);
    std::iota(expected.begin() + 128, expected.end(), 1000 - 256);
    EXPECT_EQ(held[head], expected);
  }
}

TEST(Methods, WithoutCurvesHeadsAreAsRichAsTheirBudgets) {
  const Engine engine;
  EXPECT_EQ(head_richness(*engine.ragged_profile()), (std::vector<double>{1, .25, 0, .21875}));
  EXPECT_EQ(head_richness(*curves_profile(engine, {1, 3, 4, 2})), (std::vector<double>{1, 3, 4, 2}));
  EXPECT_THROW(head_richness({}), Error);
}

class EveryMethod : public testing::TestWithParam<const char*> {
 protected:
  std::string form(const char* share) const { return std::string(GetParam()).append(":").append(share); }
  Engine engine{{.layers = 3}};
  std::shared_ptr<const Profile> profile = curves_profile(engine, {1, 3, 4, 2, 6, 5});
};

TEST_P(EveryMethod, HoldsTheShareThatWasAskedFor) {
  for (const char* share : {"0.1", "0.35", "0.8"}) {
    const Session session = read(engine, form(share), profile);
    // A head's count is rounded to whole tokens.
    EXPECT_NEAR(session.kept_share(), std::stod(share), 0.5 / kTokens + 1e-9) << share;
    EXPECT_LT(session.kv_bytes(), session.full_kv_bytes()) << share;
  }
}

TEST_P(EveryMethod, KeepingAllIsFullAttention) {
  Session session = read(engine, form("1"), profile), full = engine.session();
  full.read(engine.prompt(kTokens));
  EXPECT_EQ(test::held_positions(session.cache()), test::held_positions(full.cache()));
  for (std::int32_t i = 0; i < 150; ++i) ASSERT_EQ(test::read(session, {i % 97}), test::read(full, {i % 97})) << i;
  // Of the last layer more queries are computed here: products of another size are rounded in another order.
  EXPECT_LE(test::largest_difference(test::read(session, engine.prompt(40, 3)), test::read(full, engine.prompt(40, 3))),
            test::kLogitBound);
}

TEST_P(EveryMethod, WhatIsDecodedStaysAndAFurtherSegmentIsChosenFrom) {
  Session session = read(engine, form("0.4"), profile);
  const double held = session.kept_share() * kTokens;
  for (std::int32_t i = 0; i < 200; ++i) test::read(session, {i % 97});
  EXPECT_NEAR(session.kept_share() * (kTokens + 200), held + 200, 1e-6);
  Session forked = session.fork();
  test::read(forked, engine.prompt(200, 5));
  EXPECT_NEAR(forked.kept_share() * (kTokens + 400), held + 200 + .4 * 200, 0.5 + 1e-6);
}

INSTANTIATE_TEST_SUITE_P(Published, EveryMethod,
                         testing::Values("snapkv", "pyramidkv", "adakv", "expected-attention", "adakv-ea", "duo"),
                         [](const auto& method) {
                           std::string name = method.param;
                           std::erase(name, '-');
                           return name;
                         });

TEST(Methods, ErrorsSayWhatIsWanted) {
  const Engine engine;
  const auto message = [&](const std::string& form) {
    try {
      method(engine, form);
    } catch (const Error& error) {
      return std::string(error.what());
    }
    return std::string();
  };
  for (const char* bad : {"snapkv", "adakv:0", "duo:2", "pyramidkv:0.2/0.1", "expected-attention:x", "kvzip:"}) {
    EXPECT_NE(message(bad).find("snapkv, pyramidkv, adakv, expected-attention, adakv-ea or duo"), std::string::npos)
        << bad;
  }
  EXPECT_NE(message("duo:0.5").find("the method 'duo:0.5' needs a profile"), std::string::npos);
}

TEST(Methods, ASelectorAndAProfileExcludeEachOtherAndCannotBeSaved) {
  const Engine engine;
  runtime::SessionOptions options = method(engine, "snapkv:0.5").options;
  EXPECT_THROW(engine.session(options).save(testing::TempDir() + "methods_test.tca"), Error);
  options.profile = engine.ragged_profile();
  EXPECT_THROW(engine.session(options), Error);
}

}  // namespace
}  // namespace tca::evaluation
