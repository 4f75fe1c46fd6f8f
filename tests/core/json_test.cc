#include "core/json.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "core/check.h"
#include "core/expect_error.h"

namespace tca {
namespace {

using testing::expect_error;

TEST(Text, JoinsWhatMessagesAreMadeOf) {
  const std::string word = "word";
  EXPECT_EQ(text("literal ", word, ' ', std::string_view("view"), ' ', true, ' ', false),
            "literal word view true false");
  EXPECT_EQ(text(-3, ' ', 1.5f, ' ', 0.1, ' ', UINT64_MAX, ' ', DType::kBF16), "-3 1.5 0.1 18446744073709551615 bf16");
}

TEST(Json, ParsesEveryType) {
  const auto json = parse_json(R"({"a": [1, -2, 3.5, "x", true, null, {"b": {}}], "u": 18446744073709551615})", "f");
  EXPECT_EQ(json.dump(), R"({"a":[1,-2,3.5,"x",true,null,{"b":{}}],"u":18446744073709551615})");
  EXPECT_EQ(parse_json(" 7 ", "f"), 7);
}

TEST(Json, MalformedTextIsNamedWithItsOffset) {
  for (const char* bad : {" ", "{", "[1,]", "{\"a\" 1}", "nul", "1 2", "\"\\ud800\"", "\"\xff\"", "1e999", "[1}", "'a'",
                          "{1: 2}", "01", "// comment"}) {
    expect_error(ErrorCategory::kBadFile, "f.json: not valid JSON at byte ", [&] { parse_json(bad, "f.json"); });
  }
  expect_error(ErrorCategory::kBadFile, "at byte 4", [] { parse_json("[1,x]", "f.json"); });
}

TEST(Json, AnotherKindOfFileIsNamed) {
  expect_error(ErrorCategory::kBadFile, "f.json: is a Git LFS pointer", [] {
    parse_json("version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 9085657\n", "f.json");
  });
  expect_error(ErrorCategory::kBadFile, "f.json: is a web page (HTML)",
               [] { parse_json("\n<!DOCTYPE html><html>", "f.json"); });
  expect_error(ErrorCategory::kBadFile, "f.json: is a GGUF file",
               [] { parse_python_json("GGUF\x03\x00\x00\x00", "f.json"); });
  expect_error(ErrorCategory::kBadFile, "f.json: is empty", [] { parse_json("", "f.json"); });
}

TEST(PythonJson, HasThreeMoreNumbers) {
  const auto json = parse_python_json(R"({"a": NaN, "b": [Infinity,-Infinity, 1.5], "NaN": "NaN \" Infinity"})", "f");
  EXPECT_TRUE(std::isnan(json["a"].get<double>()));
  EXPECT_EQ(json["b"][0].get<double>(), std::numeric_limits<double>::infinity());
  EXPECT_EQ(json["b"][1].get<double>(), -std::numeric_limits<double>::infinity());
  EXPECT_EQ(json["b"][2].get<double>(), 1.5);
  EXPECT_EQ(json["NaN"], "NaN \" Infinity");
  expect_error(ErrorCategory::kBadFile, "f: not valid JSON", [] { parse_json("[NaN]", "f"); });
  for (const char* bad :
       {"[1NaN]", "[NaN1]", "[-NaN]", "[Infinity.5]", "[nan]", "[- Infinity]", "NaN NaN", "[\"a\"NaN]"}) {
    expect_error(ErrorCategory::kBadFile, "f: not valid JSON", [&] { parse_python_json(bad, "f"); });
  }
  // Offsets are those of the text, whatever stood for its constants.
  expect_error(ErrorCategory::kBadFile, "at byte 16", [] { parse_python_json("[NaN, Infinity,x]", "f"); });
  // Where a number in a range is asked for, none of them is one.
  for (const char* number : {"NaN", "Infinity", "-Infinity"}) {
    const auto object = parse_python_json(text("{\"n\": ", number, "}"), "f");
    expect_error(ErrorCategory::kBadFile, "f: n is ", [&] { get_number(object, "n", "f", -1e300, 1e300); });
    expect_error(ErrorCategory::kBadFile, "expected an integer",
                 [&] { get_int(object, "n", "f", INT64_MIN, INT64_MAX); });
  }
}

TEST(PythonJson, OfAKeyThatOccursTwiceTheLastValueCounts) {
  EXPECT_EQ(parse_python_json(R"({"a": {"x": 1}, "b": 2, "a": [3]})", "f").dump(), R"({"a":[3],"b":2})");
  EXPECT_EQ(parse_python_json(R"({"a": 1, "a": {"c": 4}})", "f").dump(), R"({"a":{"c":4}})");
}

TEST(Json, RawBytesOfTheFileStayOutOfMessages) {
  try {
    parse_json("[\"\x1b[2J\xff\"]", "f.json");
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(std::string(error.what()).find('\x1b'), std::string::npos) << error.what();
  }
}

TEST(Json, DepthIsLimited) {
  const std::string deep = std::string(kMaxJsonDepth, '[') + std::string(kMaxJsonDepth, ']');
  EXPECT_NO_THROW(parse_json(deep, "f"));
  expect_error(ErrorCategory::kBadFile, "nested deeper than 64", [&] { parse_json("[" + deep + "]", "f"); });
  expect_error(ErrorCategory::kBadFile, "nested deeper", [] { parse_json(std::string(100000, '['), "f"); });
}

TEST(Json, DuplicateKeysAreRefused) {
  expect_error(ErrorCategory::kBadFile, "\"a\" occurs twice", [] { parse_json(R"({"a": 1, "b": 2, "a": 3})", "f"); });
  EXPECT_NO_THROW(parse_json(R"([{"a": {"a": 1}}, {"a": 2}])", "f"));
}

TEST(JsonGetters, ReturnWhatIsThere) {
  const auto json = parse_json(R"({"i": -5, "n": 0.5, "s": "x", "b": true, "z": null, "a": [1], "o": {}})", "f");
  EXPECT_EQ(get_int(json, "i", "f", -5, 5), -5);
  EXPECT_EQ(get_number(json, "n", "f", 0, 1), 0.5);
  EXPECT_EQ(get_number(json, "i", "f", -10, 0), -5);
  EXPECT_EQ(get_string(json, "s", "f"), "x");
  EXPECT_TRUE(get_bool(json, "b", "f"));
  EXPECT_EQ(get_array(json, "a", "f").size(), 1u);
  EXPECT_TRUE(get_object(json, "o", "f").empty());
  EXPECT_EQ(get_optional_int(json, "i", "f", -9, 9), -5);
  EXPECT_EQ(get_optional_number(json, "n", "f", 0, 1), 0.5);
  EXPECT_EQ(get_optional_string(json, "s", "f"), "x");
  EXPECT_EQ(get_optional_bool(json, "b", "f"), true);
  EXPECT_EQ(get_optional_object(json, "o", "f"), &json["o"]);
  for (const char* absent : {"z", "missing"}) {
    EXPECT_EQ(get_optional_int(json, absent, "f", 0, 1), std::nullopt);
    EXPECT_EQ(get_optional_number(json, absent, "f", 0, 1), std::nullopt);
    EXPECT_EQ(get_optional_string(json, absent, "f"), std::nullopt);
    EXPECT_EQ(get_optional_bool(json, absent, "f"), std::nullopt);
    EXPECT_EQ(get_optional_object(json, absent, "f"), nullptr);
  }
}

TEST(JsonGetters, NameFileFieldAndValue) {
  const auto json = parse_json(R"({"i": 7, "n": 1.5, "s": "text", "big": 18446744073709551615, "z": null})", "f");
  const auto refuse = [](const std::string& message, const auto& action) {
    expect_error(ErrorCategory::kBadFile, message, action);
  };
  refuse("f.json: i is 7; expected an integer in [0, 5]", [&] { get_int(json, "i", "f.json", 0, 5); });
  refuse("f.json: n is 1.5; expected an integer", [&] { get_int(json, "n", "f.json", 0, 5); });
  refuse("big is 18446744073709551615", [&] { get_int(json, "big", "f.json", INT64_MIN, INT64_MAX); });
  refuse("f.json: m[2].n is 1.5; expected a number in [0, 1]", [&] { get_number(json, "n", "f.json: m[2].", 0, 1); });
  refuse("s is \"text\"; expected a number", [&] { get_number(json, "s", "f.json", 0, 1); });
  refuse("i is 7; expected a string", [&] { get_string(json, "i", "f.json"); });
  refuse("i is 7; expected true or false", [&] { get_bool(json, "i", "f.json"); });
  refuse("i is 7; expected an array", [&] { get_array(json, "i", "f.json"); });
  refuse("i is 7; expected an object", [&] { get_object(json, "i", "f.json"); });
  refuse("i is 7; expected a string", [&] { get_optional_string(json, "i", "f.json"); });
  refuse("i is 7; expected an object", [&] { get_optional_object(json, "i", "f.json"); });
  refuse("f.json: missing is missing or null", [&] { get_field(json, "missing", "f.json"); });
  refuse("f.json: z is missing or null", [&] { get_int(json, "z", "f.json", 0, 1); });
  refuse("not an object", [&] { get_int(nlohmann::json::array(), "i", "f.json", 0, 1); });
}

TEST(JsonGetters, LongValuesAreShortened) {
  const nlohmann::json json = {{"s", std::string(100000, 'x')}};
  try {
    get_int(json, "s", "f", 0, 1);
    FAIL();
  } catch (const Error& error) {
    EXPECT_LT(std::string(error.what()).size(), 200u);
  }
}

}  // namespace
}  // namespace tca
