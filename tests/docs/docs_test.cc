// What the documents say is there: code in the README is code of the examples, and every relative link leads somewhere.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <regex>
#include <string>
#include <vector>

namespace {

namespace fs = std::filesystem;

const fs::path kRoot = TCA_SOURCE_DIR;

std::string read(const fs::path& path) {
  std::ifstream stream(path);
  EXPECT_TRUE(stream) << path;
  return {std::istreambuf_iterator<char>(stream), {}};
}

// The bodies of ```language blocks.
std::vector<std::string> code_blocks(const std::string& markdown, const std::string& language) {
  const std::string open = "\n```" + language + "\n", close = "\n```\n";
  std::vector<std::string> blocks;
  for (std::size_t begin = markdown.find(open); begin != std::string::npos; begin = markdown.find(open, begin)) {
    begin += open.size();
    blocks.push_back(markdown.substr(begin, markdown.find(close, begin) - begin));
  }
  return blocks;
}

std::vector<std::string> relative_links(const std::string& markdown) {
  static const std::regex kLink(R"(\]\(([^)#\s]+)[^)]*\))");
  std::vector<std::string> links;
  for (std::sregex_iterator it(markdown.begin(), markdown.end(), kLink), end; it != end; ++it) {
    if ((*it)[1].str().find("://") == std::string::npos) links.push_back((*it)[1]);
  }
  return links;
}

std::vector<fs::path> documents() {
  std::vector<fs::path> found;
  const auto is_document = [](const fs::directory_entry& entry) { return entry.path().extension() == ".md"; };
  for (const auto& entry : fs::directory_iterator(kRoot)) {
    if (is_document(entry)) found.push_back(entry.path());
  }
  for (const char* folder : {"docs", "examples", "models", "bench"}) {
    for (const auto& entry : fs::recursive_directory_iterator(kRoot / folder)) {
      if (is_document(entry)) found.push_back(entry.path());
    }
  }
  return found;
}

TEST(Docs, CodeOfTheReadmeIsCodeOfTheExamples) {
  const std::vector<std::string> blocks = code_blocks(read(kRoot / "README.md"), "cpp");
  const std::string example = read(kRoot / "examples/cpp_attention/main.cc");
  EXPECT_FALSE(blocks.empty());
  for (const std::string& block : blocks) EXPECT_NE(example.find(block), std::string::npos) << block;
}

TEST(Docs, LinksLeadSomewhere) {
  int links = 0;
  for (const fs::path& document : documents()) {
    for (const std::string& link : relative_links(read(document))) {
      EXPECT_TRUE(fs::exists(document.parent_path() / link)) << document << ": " << link;
      ++links;
    }
  }
  EXPECT_GT(links, 10);
}

TEST(Docs, BlocksAndLinksAreFound) {
  EXPECT_EQ(code_blocks("a\n```cpp\nint x;\nint y;\n```\n```c\nint z;\n```\n", "cpp"),
            std::vector<std::string>{"int x;\nint y;"});
  EXPECT_EQ(relative_links("[a](b/c.md#d) [e](https://f.org) ![g](h.png)"),
            (std::vector<std::string>{"b/c.md", "h.png"}));
}

}  // namespace
