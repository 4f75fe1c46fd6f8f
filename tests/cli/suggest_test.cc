#include "cli/suggest.h"

#include <gtest/gtest.h>

namespace tca::cli {
namespace {

TEST(Suggest, TheNearestWord) {
  const std::vector<std::string> commands = {"run", "chat", "calibrate", "inspect", "eval", "demo", "bench"};
  EXPECT_EQ(nearest_word("rnu", commands), "run");
  EXPECT_EQ(nearest_word("cat", commands), "chat");
  EXPECT_EQ(nearest_word("calibarte", commands), "calibrate");
  EXPECT_EQ(nearest_word("inspekt", commands), "inspect");
  EXPECT_EQ(nearest_word("calib", commands), "calibrate");
  EXPECT_EQ(nearest_word("fly", commands), "");
  EXPECT_EQ(nearest_word("", commands), "");
  EXPECT_EQ(nearest_word("--max-token", {"--max-tokens", "--min-p"}), "--max-tokens");
  EXPECT_EQ(nearest_word("--no-such-option", {"--max-tokens", "--min-p"}), "");
}

TEST(Suggest, SaysWhatIsUnknown) {
  ProgramReference program;
  program.program.options = {{.names = {"-V", "--version"}}};
  program.commands = {{.name = "run", .options = {{.names = {"--keep"}}}}, {.name = "chat"}};
  const CommandReference& run = program.commands[0];
  EXPECT_EQ(unknown_word_message({"rnu", "-p", "x"}, program, nullptr), "unknown command 'rnu'; did you mean 'run'?");
  EXPECT_EQ(unknown_word_message({"--verison"}, program, nullptr),
            "unknown option '--verison'; did you mean '--version'?");
  EXPECT_EQ(unknown_word_message({"--kep=0.2"}, program, &run), "unknown option '--kep'; did you mean '--keep'?");
  EXPECT_EQ(unknown_word_message({"--unlike"}, program, &run), "unknown option '--unlike'");
  EXPECT_EQ(unknown_word_message({"word"}, program, &run), "'word' was not expected here");
  EXPECT_EQ(unknown_word_message({}, program, nullptr), "");
}

}  // namespace
}  // namespace tca::cli
