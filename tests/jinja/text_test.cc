#include "runtime/jinja/text.h"

#include <gtest/gtest.h>

namespace tca::runtime::jinja {
namespace {

using Spans = std::vector<Span>;

TEST(TextTest, SpansGrowTogetherAndKeepApart) {
  Text text("ab", Origin::kForeign);
  text.append("cd", Origin::kForeign);
  text.append("ef", Origin::kTrusted);
  text.append("", Origin::kForeign);
  text.append("gh", Origin::kForeign);
  EXPECT_EQ(text.bytes(), "abcdefgh");
  EXPECT_EQ(text.foreign(), (Spans{{0, 4}, {6, 8}}));
  EXPECT_EQ(text.origin_at(3), Origin::kForeign);
  EXPECT_EQ(text.origin_at(4), Origin::kTrusted);
  EXPECT_EQ(text.origin_at(7), Origin::kForeign);
}

TEST(TextTest, SlicesClipSpans) {
  Text text("ab");
  text.append(Text("cdef", Origin::kForeign));
  text.append(Text("gh"));
  EXPECT_EQ(text.slice(1, 4).foreign(), (Spans{{1, 3}}));
  EXPECT_EQ(text.slice(3, 5).foreign(), (Spans{{0, 2}}));
  EXPECT_EQ(text.slice(6, 8).foreign(), Spans{});
  Text joined = text.slice(4, 6);
  joined.append(text, 2, 4);  // foreign bytes that now touch
  EXPECT_EQ(joined.bytes(), "efcd");
  EXPECT_EQ(joined.foreign(), (Spans{{0, 4}}));
}

TEST(TextTest, BrokenBytesBecomeReplacementCharacters) {
  const Text text("a\xff", Origin::kForeign);
  EXPECT_EQ(text.bytes(), "a\xEF\xBF\xBD");
  EXPECT_EQ(text.foreign(), (Spans{{0, 4}}));
}

}  // namespace
}  // namespace tca::runtime::jinja
