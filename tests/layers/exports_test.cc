// A shared libtca shows its public interface and nothing of what is inside.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <regex>
#include <string>
#include <vector>

namespace {

// Demangled names that the library defines for others.
std::vector<std::string> exported_names() {
  std::FILE* pipe = popen(TCA_NM " --dynamic --demangle --defined-only '" TCA_SHARED_LIBRARY "'", "r");
  if (pipe == nullptr) return {};
  std::vector<std::string> names;
  std::array<char, 4096> line;
  while (std::fgets(line.data(), line.size(), pipe) != nullptr) {
    const std::string text = line.data();  // "<address> <kind> <name>\n"
    const std::size_t kind = text.find(' ');
    names.push_back(text.substr(kind + 3, text.size() - kind - 4));
  }
  EXPECT_EQ(pclose(pipe), 0);
  return names;
}

// Templates of the standard library are exported wherever they are instantiated; that is the compiler's doing.
bool is_public(const std::string& name) {
  static const std::regex kPublic(
      "tca_[a-z_0-9]+"
      "|tca::(create_backend|available_backends|allocate)\\b.*"
      "|((vtable|typeinfo|typeinfo name) for )?"
      "tca::(Error|Backend|ThreadPool|KvPool|KvCache|KeptSet|Profile|ModelFingerprint|BlockShares)\\b.*");
  static const std::regex kStandard("(.* for |[^(]* )?(std|__gnu_cxx)::.*");
  return std::regex_match(name, kPublic) || std::regex_match(name, kStandard);
}

TEST(Exports, OnlyThePublicInterface) {
  const std::vector<std::string> names = exported_names();
  for (const std::string& name : names) EXPECT_TRUE(is_public(name)) << name;
  for (const char* name : {"tca_version", "tca_select", "tca_prefill_attention"}) {
    EXPECT_NE(std::find(names.begin(), names.end(), name), names.end()) << name;
  }
}

TEST(Exports, AnInternalNameIsSeenAsSuch) {
  EXPECT_FALSE(is_public("tca::parse_json(std::basic_string_view<char, std::char_traits<char> >)"));
  EXPECT_FALSE(is_public("nlohmann::json_abi::detail::parser"));
  EXPECT_FALSE(is_public("tca::ThreadPoolImpl::run()"));
  EXPECT_TRUE(is_public("tca::KvCache::fork() const"));
}

}  // namespace
