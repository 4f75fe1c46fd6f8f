// Documents whose memory runs out while they are read, and while they are given up.
#include <gtest/gtest.h>

#include <string>

#include "core/faults/failing_new.h"
#include "core/json.h"
#include "tca/error.h"

namespace tca::testing {
namespace {

const std::string kNested = R"({"a": [[1, [2, "a text that is too long for a string without memory of its own"]], {}],
                                "b": {"c": {"d": [true, null, {"e": [1.5, -7]}]}, "f": []}, "g": [[], [[]]]})";

class JsonFaults : public ::testing::TestWithParam<bool> {};

TEST_P(JsonFaults, ADocumentIsReadOrGivenUp) {
  const std::string name = "f";
  const auto read = [&] { const JsonDocument document(parse_json(kNested, name)); };
  EXPECT_GT(fail_every_allocation(read, GetParam()), 20);
  const std::string twice = R"({"a": {"b": [1, 2, [3]]}, "a": [{"c": [4]}], "a": 5})";
  const auto read_python = [&] { const JsonDocument document(parse_python_json(twice, name)); };
  EXPECT_GT(fail_every_allocation(read_python, GetParam()), 10);
}

TEST_P(JsonFaults, ADocumentThatIsRefusedIsGivenUp) {
  const std::string name = "f";
  for (const char* bad : {R"({"a": [[1, {"b": [2]}], nonsense]})", R"({"a": [1, [2]], "b": {"c": [3], "c": 4}})"}) {
    const std::string text = bad;
    const auto read = [&] {
      try {
        parse_json(text, name);
      } catch (const Error&) {
      }
    };
    EXPECT_GT(fail_every_allocation(read, GetParam()), 10);
  }
}

INSTANTIATE_TEST_SUITE_P(Once, JsonFaults, ::testing::Values(false));
INSTANTIATE_TEST_SUITE_P(AndLater, JsonFaults, ::testing::Values(true));

TEST(JsonDocument, WhatIsEmptiedIsStillAnArrayOrAnObject) {
  JsonDocument document(parse_json(kNested, "f"));
  JsonDocument::empty((*document)["a"]);
  EXPECT_EQ((*document)["a"], nlohmann::json::array());
  JsonDocument::empty(*document);
  EXPECT_EQ(*document, nlohmann::json::object());
}

TEST(JsonDocument, ADocumentThatIsMovedIsGivenUpOnce) {
  JsonDocument document(parse_json(kNested, "f"));
  const JsonDocument moved(std::move(document));
  EXPECT_EQ((*moved)["g"].size(), 2u);
}

}  // namespace
}  // namespace tca::testing
