// How options are checked: what the user typed either becomes a value in range or a message that names it.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include "cli/device.h"
#include "cli/options.h"

namespace tca::cli {
namespace {

// The message of the error, empty when the arguments were taken.
template <class Args>
std::string parse(void (*add)(CLI::App&, Args&), Args& args, std::vector<std::string> words) {
  CLI::App app;
  add(app, args);
  std::reverse(words.begin(), words.end());  // CLI11 takes them from the back
  try {
    app.parse(words);
    return "";
  } catch (const CLI::ParseError& error) {
    return error.what();
  }
}

TEST(Arguments, KeepIsAShare) {
  AttentionArgs args;
  EXPECT_EQ(parse(add_attention_options, args, {"--keep", "0.2"}), "");
  EXPECT_EQ(args.keep, 0.2);
  EXPECT_EQ(parse(add_attention_options, args, {"--keep", "1"}), "");
  for (const char* bad : {"0", "-0.1", "1.01", "nan", "inf", "", "0.2x", "a"}) {
    const std::string message = parse(add_attention_options, args, {"--keep", bad});
    EXPECT_NE(message.find("--keep"), std::string::npos) << bad << ": " << message;
    EXPECT_NE(message.find(std::string("'") + bad + "'"), std::string::npos) << message;
  }
}

TEST(Arguments, WhatIsNotGivenStaysOpen) {
  AttentionArgs args;
  EXPECT_EQ(parse(add_attention_options, args, {}), "");
  EXPECT_FALSE(args.keep.has_value());
  EXPECT_FALSE(args.tolerance.has_value());
  EXPECT_EQ(args.attention, "auto");
  EXPECT_EQ(args.kv_budget_bytes, 0u);
}

TEST(Arguments, KvBudgetHasUnits) {
  AttentionArgs args;
  EXPECT_EQ(parse(add_attention_options, args, {"--kv-budget", "512M"}), "");
  EXPECT_EQ(args.kv_budget_bytes, 512u << 20);
  EXPECT_NE(parse(add_attention_options, args, {"--kv-budget", "lots"}).find("'lots'"), std::string::npos);
}

TEST(Arguments, AttentionIsOneOfThree) {
  AttentionArgs args;
  EXPECT_EQ(parse(add_attention_options, args, {"--attention", "tca"}), "");
  EXPECT_EQ(attention_mode(args.attention), runtime::AttentionMode::kTca);
  EXPECT_NE(parse(add_attention_options, args, {"--attention", "sparse"}), "");
}

TEST(Arguments, ADeviceIsAWordOrTheNumberOfAGpu) {
  for (const char* good : {"auto", "cpu", "cuda", "cuda:0", "cuda:1", "cuda:12", "reference"}) {
    ModelArgs args;
    EXPECT_EQ(parse(add_model_options, args, {"--device", good}), "");
    EXPECT_EQ(args.device, good);
  }
  for (const char* bad :
       {"abacus", "cuda:", "cuda:-1", "cuda:x", "cuda:1x", "cuda:99999999999", "cuda1", "cpu:1", ""}) {
    ModelArgs args;
    EXPECT_EQ(parse(add_model_options, args, {"--device", bad}),
              fmt::format("--device: '{}' must be auto, cpu, cuda, cuda:N (GPU N, counted from 0) or reference", bad));
  }
}

TEST(Arguments, NumbersOfGpus) {
  EXPECT_EQ(gpu_number("cuda"), 0);
  EXPECT_EQ(gpu_number("cuda:3"), 3);
  for (const char* other : {"cpu", "auto", "cuda:", "cuda:-1", "cuda:1 ", "cuda:2147483648"}) {
    EXPECT_EQ(gpu_number(other), std::nullopt) << other;
  }
}

TEST(Arguments, SamplingRanges) {
  SamplingArgs args;
  EXPECT_EQ(parse(add_sampling_options, args,
                  {"--temperature", "0.7", "--top-k", "40", "--top-p", "0.9", "--min-p", "0.05", "--seed", "7",
                   "--repetition-penalty", "1.1", "-n", "10"}),
            "");
  EXPECT_EQ(args.max_tokens, 10);
  EXPECT_EQ(args.sampling.top_k, 40);
  EXPECT_EQ(args.sampling.temperature, 0.7);
  EXPECT_EQ(args.sampling.seed, 7u);
  const std::vector<std::pair<std::string, std::string>> bad = {
      {"--temperature", "-1"}, {"--temperature", "nan"}, {"--top-k", "-1"}, {"--top-k", "1.5"},
      {"--top-p", "0"},        {"--top-p", "1.1"},       {"--min-p", "2"},  {"--repetition-penalty", "0"},
      {"--max-tokens", "-1"},  {"--seed", "x"},          {"--seed", "-1"},  {"--max-tokens", "99999999999999999999"}};
  for (const auto& [name, value] : bad) {
    SamplingArgs ignored;
    EXPECT_NE(parse(add_sampling_options, ignored, {name, value}), "") << name << " " << value;
  }
}

TEST(Arguments, NamesOfModesGoRoundTrip) {
  for (const char* name : {"auto", "full", "tca"}) EXPECT_EQ(attention_name(attention_mode(name)), name);
}

}  // namespace
}  // namespace tca::cli
