#include "runtime/jinja/value.h"

#include <gtest/gtest.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "core/expect_error.h"
#include "runtime/jinja/compare.h"
#include "runtime/jinja/dict.h"

namespace tca::runtime::jinja {
namespace {

using testing::expect_error;

TEST(ValueTest, JsonBecomesValuesInOrder) {
  const auto json = nlohmann::ordered_json::parse(R"({"b": [1, 2.5, null, true], "a": "x"})");
  const Value value = Value::from_json(json, Origin::kForeign);
  const Dict::Entries& entries = value.dict().entries();
  ASSERT_EQ(entries.size(), 2u);
  EXPECT_EQ(entries[0].first.text().bytes(), "b");
  EXPECT_EQ(entries[0].first.text().foreign().size(), 1u);
  const Value::Items& items = entries[0].second.items();
  EXPECT_EQ(items[0].as_integer(), 1);
  EXPECT_EQ(items[1].as_real(), 2.5);
  EXPECT_TRUE(items[2].is(Value::Kind::kNone));
  EXPECT_TRUE(items[3].as_bool());
  EXPECT_EQ(entries[1].second.text().origin_at(0), Origin::kForeign);
}

TEST(ValueTest, WhatDoesNotFitIsRefused) {
  expect_error(ErrorCategory::kUnsupported, "18446744073709551615",
               [] { Value::from_json(nlohmann::ordered_json(UINT64_MAX), Origin::kForeign); });
  nlohmann::ordered_json deep = 1;
  for (int i = 0; i <= kMaxNesting; ++i) deep = nlohmann::ordered_json::array({deep});
  expect_error(ErrorCategory::kUnsupported, "nested deeper than 100",
               [&] { Value::from_json(deep, Origin::kForeign); });
  Value list = Value::list({});
  for (int i = 1; i < kMaxNesting; ++i) list = Value::list({list});
  expect_error(ErrorCategory::kUnsupported, "nested deeper than 100", [&] { Value::list({list}); });
  expect_error(ErrorCategory::kUnsupported, "nested deeper than 100", [&] { Value::dict({{"k", list}}); });
}

TEST(DictTest, KeysAreEqualAsInPython) {
  Dict dict;
  dict.set(Value::integer(1), Value::integer(10));
  dict.set(Value::real(1.0), Value::integer(20));
  dict.set(Value::boolean(true), Value::integer(30));
  ASSERT_EQ(dict.size(), 1u);
  EXPECT_TRUE(dict.entries()[0].first.is(Value::Kind::kInteger));  // the first key stays
  EXPECT_EQ(dict.find(Value::integer(1))->as_integer(), 30);
  EXPECT_EQ(dict.find("1"), nullptr);
  expect_error(ErrorCategory::kInvalidArgument, "unhashable type: 'list'", [&] { dict.find(Value::list({})); });
}

TEST(DictTest, ManyKeysAreFound) {
  Dict dict;
  for (int i = 0; i < 1000; ++i) {
    dict.set(Value::string("key" + std::to_string(i % 500), Origin::kTrusted), Value::integer(i));
  }
  EXPECT_EQ(dict.size(), 500u);
  for (int i = 0; i < 500; ++i) EXPECT_EQ(dict.find("key" + std::to_string(i))->as_integer(), 500 + i);
  EXPECT_EQ(dict.find("key500"), nullptr);
}

TEST(CompareTest, IntegersAndFloatsCompareExactly) {
  const Value integer = Value::integer(9007199254740993);
  const Value real = Value::real(9007199254740992.0);
  EXPECT_FALSE(equal(integer, real));
  EXPECT_TRUE(less(real, integer));
  EXPECT_TRUE(less(Value::integer(INT64_MAX), Value::real(9223372036854775808.0)));
  EXPECT_FALSE(less(Value::real(NAN), Value::integer(1)));
  EXPECT_FALSE(ordered(Order::kGreaterEqual, Value::real(NAN), Value::integer(1)));
  expect_error(ErrorCategory::kInvalidArgument, "'<' not supported between instances of 'str' and 'int'",
               [] { less(Value::string("a", Origin::kTrusted), Value::integer(1)); });
}

}  // namespace
}  // namespace tca::runtime::jinja
