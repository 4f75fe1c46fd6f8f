#include "core/base64.h"

#include <gtest/gtest.h>

#include <string_view>

namespace tca {
namespace {

std::span<const std::byte> bytes_of(std::string_view text) { return std::as_bytes(std::span(text)); }

TEST(Base64, TheExamplesOfRfc4648) {
  for (const auto& [text, encoded] : {std::pair<std::string_view, std::string_view>{"", ""},
                                      {"f", "Zg=="},
                                      {"fo", "Zm8="},
                                      {"foo", "Zm9v"},
                                      {"foob", "Zm9vYg=="},
                                      {"fooba", "Zm9vYmE="},
                                      {"foobar", "Zm9vYmFy"},
                                      {"\xff\xfe\xfd", "//79"}}) {
    EXPECT_EQ(to_base64(bytes_of(text)), encoded);
    const auto decoded = from_base64(encoded);
    ASSERT_TRUE(decoded) << encoded;
    EXPECT_EQ(std::string(reinterpret_cast<const char*>(decoded->data()), decoded->size()), text);
  }
}

TEST(Base64, WhatItDoesNotWriteIsNotRead) {
  // Cut, foreign characters, padding inside, bits beyond the last byte, padding alone.
  for (const char* text : {"Zg=", "Zg", "Z*==", "Zg==Zg==", "Zh==", "Zm9=", "====", "Zm 9", "=m9v"}) {
    EXPECT_FALSE(from_base64(text)) << text;
  }
}

}  // namespace
}  // namespace tca
