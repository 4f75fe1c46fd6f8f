#include "runtime/engine/sampler.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <map>

#include "tca/error.h"

namespace tca::runtime {
namespace {

constexpr float kInf = std::numeric_limits<float>::infinity();

std::map<std::int32_t, double> frequencies(const SamplingOptions& options, const std::vector<float>& logits,
                                           const std::vector<std::int32_t>& noted = {}, int draws = 20000) {
  Sampler sampler(options);
  sampler.note(noted);
  std::map<std::int32_t, double> counts;
  for (int i = 0; i < draws; ++i) counts[sampler.sample(logits)] += 1.0 / draws;
  return counts;
}

/// Five standard deviations of a share over 20000 draws: less than one failure in a million.
double spread(double p) { return 5 * std::sqrt(p * (1 - p) / 20000); }

TEST(Sampler, GreedyTakesTheLargestAndTheLowerIdOfEquals) {
  Sampler sampler({});
  EXPECT_EQ(sampler.sample(std::vector<float>{1, 3, 2, 3}), 1);
  EXPECT_EQ(sampler.sample(std::vector<float>{-kInf, -5, -kInf}), 1);
}

TEST(Sampler, DrawsFollowTheProbabilities) {
  const std::vector<float> logits = {0, std::log(2.0f), std::log(5.0f)};
  const auto found = frequencies({.temperature = 1}, logits);
  EXPECT_NEAR(found.at(0), 1.0 / 8, spread(1.0 / 8));
  EXPECT_NEAR(found.at(1), 2.0 / 8, spread(2.0 / 8));
  EXPECT_NEAR(found.at(2), 5.0 / 8, spread(5.0 / 8));
  const auto warm = frequencies({.temperature = 0.5}, logits);  // squares: 1, 4, 25
  EXPECT_NEAR(warm.at(1), 4.0 / 30, spread(4.0 / 30));
}

TEST(Sampler, TopKKeepsTheLargestAndLowerIdsOfEquals) {
  const auto found = frequencies({.temperature = 1, .top_k = 3}, {1, 2, 1, 3, 1});
  EXPECT_EQ(found.size(), 3u);
  EXPECT_TRUE(found.count(0) && found.count(1) && found.count(3));
  EXPECT_EQ(frequencies({.temperature = 9, .top_k = 1}, {1, 2, 3}).size(), 1u);
  EXPECT_EQ(frequencies({.temperature = 9, .top_k = 7}, {1, 2, 3}).size(), 3u);
}

TEST(Sampler, TopPKeepsTheFewestThatReachIt) {
  const std::vector<float> logits = {std::log(0.1f), std::log(0.5f), std::log(0.15f), std::log(0.25f)};
  EXPECT_EQ(frequencies({.temperature = 1, .top_p = 0.4}, logits).size(), 1u);
  EXPECT_EQ(frequencies({.temperature = 1, .top_p = 0.7}, logits).size(), 2u);
  const auto three = frequencies({.temperature = 1, .top_p = 0.8}, logits);
  EXPECT_EQ(three.size(), 3u);
  EXPECT_EQ(three.count(0), 0u);
  EXPECT_NEAR(three.at(1), 0.5 / 0.9, spread(0.5 / 0.9));
  EXPECT_EQ(frequencies({.temperature = 1, .top_p = 1e-9}, logits).size(), 1u);
}

TEST(Sampler, TopPOverManyTokensSortsAsFarAsNeeded) {
  // 1000 equal tokens: the first half of the ids.
  const std::vector<float> logits(1000, 2.5f);
  const auto found = frequencies({.temperature = 1, .top_p = 0.5}, logits, {}, 4000);
  EXPECT_LE(found.rbegin()->first, 500);
  EXPECT_GE(found.size(), 480u);
}

TEST(Sampler, MinPIsAShareOfTheLargest) {
  const std::vector<float> logits = {0, std::log(0.5f), std::log(0.2f), std::log(0.05f)};
  EXPECT_EQ(frequencies({.temperature = 1, .min_p = 0.1}, logits).size(), 3u);
  EXPECT_EQ(frequencies({.temperature = 1, .min_p = 1}, logits).size(), 1u);
}

TEST(Sampler, FiltersApplyAfterTheTemperature) {
  const std::vector<float> logits = {0, std::log(0.5f)};
  // At temperature 2 the second is at 0.71 of the first.
  EXPECT_EQ(frequencies({.temperature = 2, .min_p = 0.6}, logits).size(), 2u);
  EXPECT_EQ(frequencies({.temperature = 1, .min_p = 0.6}, logits).size(), 1u);
}

TEST(Sampler, RepetitionIsPenalisedOnceAToken) {
  const auto sample = [](const std::vector<float>& logits, const std::vector<std::int32_t>& noted) {
    Sampler sampler({.repetition_penalty = 2});
    sampler.note(noted);
    return sampler.sample(logits);
  };
  EXPECT_EQ(sample({3, 2}, {0}), 1);  // 3 / 2 < 2
  EXPECT_EQ(sample({5, 2}, {0, 0, 0}), 0);
  EXPECT_EQ(sample({-1, -1.5f}, {0}), 1);  // -1 * 2 < -1.5
  EXPECT_EQ(sample({3, 2}, {7}), 0);       // no token of these logits
  EXPECT_EQ(sample({3, 2}, {}), 0);
}

TEST(Sampler, NotedTokensStayNoted) {
  Sampler sampler({.repetition_penalty = 2});
  const std::vector<float> logits = {3, 2, 1.75f};
  EXPECT_EQ(sampler.sample(logits), 0);
  EXPECT_EQ(sampler.sample(logits), 0) << "a sampled token counts when it is noted";
  sampler.note(std::vector<std::int32_t>{0});
  EXPECT_EQ(sampler.sample(logits), 1);
  sampler.note(std::vector<std::int32_t>{1});
  EXPECT_EQ(sampler.sample(logits), 2);  // 1.5, 1, 1.75
  EXPECT_THROW(sampler.note(std::vector<std::int32_t>{-1}), Error);
}

TEST(Sampler, TheSeedDecides) {
  std::vector<float> logits(100);
  for (std::size_t i = 0; i < logits.size(); ++i) logits[i] = static_cast<float>(i % 7);
  const auto draw = [&](std::uint64_t seed) {
    Sampler sampler({.temperature = 1, .top_p = 0.9, .seed = seed});
    std::vector<std::int32_t> ids;
    for (int i = 0; i < 20; ++i) ids.push_back(sampler.sample(logits));
    return ids;
  };
  EXPECT_EQ(draw(1), draw(1));
  EXPECT_NE(draw(1), draw(2));
  // A change of these changes what everybody's seeds give.
  Sampler sampler({.temperature = 1, .seed = 42});
  const std::vector<float> flat(1000, 0);
  std::vector<std::int32_t> first;
  for (int i = 0; i < 4; ++i) first.push_back(sampler.sample(flat));
  EXPECT_EQ(first, (std::vector<std::int32_t>{755, 639, 752, 136}));
}

TEST(Sampler, LogitsWithoutAnyTokenAreRefused) {
  Sampler sampler({});
  EXPECT_THROW(sampler.sample(std::vector<float>{1, NAN}), Error);
  EXPECT_THROW(sampler.sample(std::vector<float>{1, kInf}), Error);
  EXPECT_THROW(sampler.sample(std::vector<float>{-kInf, -kInf}), Error);
  EXPECT_THROW(sampler.sample({}), Error);
}

TEST(Sampler, OptionsOutOfRangeAreRefusedByName) {
  const auto refused = [](const SamplingOptions& options, const char* name) {
    try {
      Sampler sampler(options);
      ADD_FAILURE() << name;
    } catch (const Error& error) {
      EXPECT_EQ(error.category(), ErrorCategory::kInvalidArgument);
      EXPECT_NE(std::string(error.what()).find(name), std::string::npos) << error.what();
    }
  };
  refused({.temperature = -1}, "temperature is -1");
  refused({.temperature = NAN}, "temperature");
  refused({.top_k = -1}, "top_k is -1");
  refused({.top_p = 0}, "top_p is 0");
  refused({.top_p = 1.1}, "top_p is 1.1");
  refused({.min_p = -0.1}, "min_p");
  refused({.min_p = 2}, "min_p is 2");
  refused({.repetition_penalty = 0}, "repetition_penalty is 0");
  refused({.repetition_penalty = INFINITY}, "repetition_penalty");
}

}  // namespace
}  // namespace tca::runtime
