#include "cli/wrap.h"

#include <gtest/gtest.h>

namespace tca::cli {
namespace {

TEST(Wrap, BreaksAtSpaces) {
  EXPECT_EQ(wrap_words("one two three", 9), (std::vector<std::string>{"one two", "three"}));
  EXPECT_EQ(wrap_words("one two three", 7), (std::vector<std::string>{"one two", "three"}));
  EXPECT_EQ(wrap_words("one  two", 100), (std::vector<std::string>{"one two"}));
  EXPECT_EQ(wrap_words("incomprehensible if", 5), (std::vector<std::string>{"incomprehensible", "if"}));
  EXPECT_TRUE(wrap_words(" ", 10).empty());
}

TEST(Wrap, FillsParagraphs) {
  EXPECT_EQ(fill("one two three four\nfive", 20, 4), "    one two three\n    four\n    five\n");
  EXPECT_EQ(fill("größere Straßen überall", 20, 0), "größere Straßen\nüberall\n");
}

TEST(Wrap, CommandsCanStillBePasted) {
  const std::string command = "tca run -f report.txt -q \"Who signed the contract?\" --keep 0.1";
  EXPECT_EQ(fill_command(command, 100, 2), "  " + command + "\n");
  EXPECT_EQ(fill_command(command, 40, 2),
            "  tca run -f report.txt -q \\\n"
            "      \"Who signed the contract?\" \\\n"
            "      --keep 0.1\n");
}

TEST(Wrap, LabelsStandBeside) {
  EXPECT_EQ(labelled(Style(false, 30), "layers", 8, "one two three four five six"),
            "  layers  one two three four\n          five six\n");
}

}  // namespace
}  // namespace tca::cli
