// What comes from files is text on the page, whatever it holds.
#include "cli/html/markup.h"

#include <gtest/gtest.h>

namespace tca::cli::html {
namespace {

TEST(HtmlMarkup, TextCannotBecomeMarkup) {
  EXPECT_EQ(escaped("</script><img src=x onerror=alert(1)>").str(),
            "&lt;/script&gt;&lt;img src=x onerror=alert(1)&gt;");
  EXPECT_EQ(escaped("a & b \"c\" 'd' &amp;").str(), "a &amp; b &quot;c&quot; &#39;d&#39; &amp;amp;");
}

TEST(HtmlMarkup, OtherCharactersStay) {
  EXPECT_EQ(escaped("Zoë, 東京 \U0001F600\n\tnext").str(), "Zoë, 東京 \U0001F600\n\tnext");
}

TEST(HtmlMarkup, ControlCharactersAndWhatIsNotUtf8AreReplaced) {
  EXPECT_EQ(escaped(std::string_view("a\0b\x1b[31m\x7f", 9)).str(), "a\uFFFDb\uFFFD[31m\uFFFD");
  EXPECT_EQ(escaped("\u0085").str(), "\uFFFD");
  EXPECT_EQ(escaped("\xff\xfe<").str(), "\uFFFD\uFFFD&lt;");
}

TEST(HtmlMarkup, AttributesCannotBeLeft) {
  EXPECT_EQ(element("a", {{"title", "x\" onclick=\"y"}}, "<b>").str(),
            "<a title=\"x&quot; onclick=&quot;y\">&lt;b&gt;</a>");
  EXPECT_EQ(void_element("meta", {{"content", "'none'"}}).str(), "<meta content=\"&#39;none&#39;\">");
}

TEST(HtmlMarkup, MarkupIsNotEscapedTwice) {
  EXPECT_EQ(element("p", element("b", "1 < 2") + escaped(" & more")).str(), "<p><b>1 &lt; 2</b> &amp; more</p>");
}

TEST(HtmlMarkup, LongTextsAreCutBetweenCharacters) {
  EXPECT_EQ(clipped("Zoë", 3), "Zoë");
  EXPECT_EQ(clipped("Zoë!", 3), "Zoë…");
  EXPECT_EQ(shortened("東京都", 2), "東京… (1 more character)");
  EXPECT_EQ(shortened("東京都", 3), "東京都");
  EXPECT_EQ(shortened(std::string(1500, 'x'), 0), "… (1,500 more characters)");
}

}  // namespace
}  // namespace tca::cli::html
