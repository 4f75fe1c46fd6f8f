// The whole way, from text to a profile, with the shipped model and short sequences.
#include "calibration/calibrate.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "core/file.h"
#include "runtime/engine/session.h"
#include "tca/error.h"

namespace tca::calibration {
namespace {

using runtime::ChatFrames;
using runtime::ChatTemplate;
using runtime::Model;
using runtime::Tokenizer;

class Calibrate : public testing::Test {
 protected:
  static ThreadPool& pool() {
    static ThreadPool instance;
    return instance;
  }
  static std::shared_ptr<const Model> model() {
    static const auto instance = Model::load(TCA_SOURCE_DIR "/models/lookback-28m", pool());
    return instance;
  }
  static const std::vector<CalibrationSequence>& sequences() {
    static const Tokenizer tokenizer = Tokenizer::load(TCA_SOURCE_DIR "/models/lookback-28m");
    static const auto instance = make_calibration_sequences(
        tokenizer, ChatFrames(ChatTemplate::load(TCA_SOURCE_DIR "/models/lookback-28m", tokenizer)),
        read_file(TCA_SOURCE_DIR "/examples/data/sbcl-manual.txt", 1 << 20).substr(0, 40'000),
        {.tokens = 1200, .lookup_sequences = 1, .plain_sequences = 1, .num_facts = 6});
    return instance;
  }
  static CalibrationOptions options() {
    CalibrationOptions options;
    options.rule.window = 64;
    options.paper_rule.window = 64;
    options.rows = 48;
    options.budgets = {0.3, 0.1};
    options.seed = 4;
    return options;
  }
  static Profile run(const CalibrationOptions& options, const runtime::Progress& progress = {}) {
    const auto backend = create_backend("cpu", pool());
    return calibrate(model(), *backend, pool(), sequences(), options, progress);
  }
};

TEST_F(Calibrate, TheProfileHoldsEveryObjectiveAndBudget) {
  std::vector<std::int64_t> steps;
  std::int64_t last_total = 0;
  const Profile profile = run(options(), [&](std::int64_t done, std::int64_t total) {
    steps.push_back(done);
    last_total = total;
    return true;
  });
  ASSERT_EQ(profile.budgets.size(), 4u);
  const auto check = [&](std::size_t i, const std::string& objective, double budget) {
    EXPECT_EQ(profile.budgets[i].objective, objective);
    EXPECT_EQ(profile.budgets[i].budget, budget);
    EXPECT_LE(profile.budgets[i].kept_share, budget + 1e-9);
    // Window and sinks take 68 of about 1130 tokens.
    EXPECT_GT(profile.budgets[i].kept_share, budget - 0.06 - 0.03);
  };
  check(0, "paper", 0.1);
  check(1, "paper", 0.3);
  check(2, "tail-risk", 0.1);
  check(3, "tail-risk", 0.3);
  EXPECT_EQ(profile.rule_of(profile.budgets[0]), options().paper_rule);
  EXPECT_EQ(profile.rule_of(profile.budgets[2]), options().rule);
  EXPECT_EQ(profile.model, model()->fingerprint());
  EXPECT_EQ(profile.calibration_tokens, 2400);
  EXPECT_EQ(profile.seed, 4u);
  EXPECT_EQ(Profile::parse(profile.to_json(), "written").to_json(), profile.to_json());
  EXPECT_TRUE(std::is_sorted(steps.begin(), steps.end()));
  ASSERT_FALSE(steps.empty());
  EXPECT_EQ(steps.back(), last_total);
}

TEST_F(Calibrate, EveryTokenMayBeASink) {
  CalibrationOptions all = options();
  all.rule.sinks = INT32_MAX;
  all.objectives = {"tail-risk"};
  const Profile profile = run(all);
  for (const auto& heads : profile.budgets.at(0).layers) {
    for (const HeadProfile& head : heads) {
      EXPECT_TRUE(head.keep.is_window()) << "sinks are all that there is";
      EXPECT_EQ(head.risk, 0);
    }
  }
}

TEST_F(Calibrate, MoreTokensMeanLessRisk) {
  const Profile profile = run(options());
  const auto total_dropped = [&](std::size_t budget) {
    double sum = 0;
    for (const auto& layer : profile.budgets[budget].layers) {
      for (const HeadProfile& head : layer) sum += head.mean_dropped;
    }
    return sum;
  };
  EXPECT_LT(total_dropped(1), total_dropped(0));
  EXPECT_LT(total_dropped(3), total_dropped(2));
}

TEST_F(Calibrate, FullHeadsDropNothing) {
  CalibrationOptions everything = options();
  everything.budgets = {1.0};
  for (const ProfileBudget& budget : run(everything).budgets) {
    for (const auto& layer : budget.layers) {
      for (const HeadProfile& head : layer) {
        // With enough budget nothing is dropped, but for what weighs less than the last bit of a float.
        EXPECT_LT(head.mean_dropped, 1e-7);
        if (head.keep.is_full()) {
          EXPECT_EQ(head.risk, 0.0);
        }
      }
    }
  }
}

TEST_F(Calibrate, IsDeterministic) { EXPECT_EQ(run(options()).to_json(), run(options()).to_json()); }

TEST_F(Calibrate, CanBeCancelled) {
  try {
    run(options(), [](std::int64_t done, std::int64_t total) { return done < total / 4; });
    FAIL() << "calibration went on";
  } catch (const Error& error) {
    EXPECT_EQ(error.category(), ErrorCategory::kCancelled);
  }
}

TEST_F(Calibrate, BadOptionsAreNamed) {
  const auto refused = [](const auto& change) {
    CalibrationOptions changed = options();
    change(changed);
    try {
      run(changed);
    } catch (const Error& error) {
      EXPECT_EQ(error.category(), ErrorCategory::kInvalidArgument);
      return std::string(error.what());
    }
    return std::string("nothing");
  };
  EXPECT_NE(refused([](auto& o) { o.rows = 1; }).find("rows is 1"), std::string::npos);
  EXPECT_NE(refused([](auto& o) { o.tail = 0; }).find("tail is 0"), std::string::npos);
  EXPECT_NE(refused([](auto& o) { o.budgets = {1.5}; }).find("1.5"), std::string::npos);
  EXPECT_NE(refused([](auto& o) { o.budgets = {}; }).find("budgets"), std::string::npos);
  EXPECT_NE(refused([](auto& o) { o.objectives = {"best"}; }).find("'best'"), std::string::npos);
  EXPECT_NE(refused([](auto& o) { o.objectives = {}; }).find("objectives"), std::string::npos);
  EXPECT_NE(refused([](auto& o) { o.paper_rule.block_size = 32; }).find("block_size"), std::string::npos);
  EXPECT_NE(refused([](auto& o) { o.rule.window = 5000; }).find("5000"), std::string::npos);
  const auto backend = create_backend("cpu", pool());
  EXPECT_THROW(calibrate(model(), *backend, pool(), {}, options()), Error);
}

}  // namespace
}  // namespace tca::calibration
