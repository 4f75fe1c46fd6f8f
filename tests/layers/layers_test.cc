// Dependencies point down: every #include under src/, include/ and examples/ is held against the list of layers.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <optional>
#include <regex>
#include <set>
#include <sstream>
#include <string>
#include <vector>

namespace {

namespace fs = std::filesystem;

// What each layer may include besides itself and the public headers. Layers above libtca see its public headers and
// core's helpers, never a kernel.
const std::map<std::string, std::set<std::string>> kLayers = {
    {"core", {}},
    {"reference", {"core"}},
    {"cpu", {"core"}},
    {"cuda", {"core"}},
    {"backend", {"core", "reference", "cpu", "cuda"}},
    {"capi", {"core", "backend"}},
    {"runtime/gguf", {"core"}},
    {"runtime/spec", {"core"}},
    {"runtime/io", {"core", "runtime/gguf", "runtime/spec"}},
    {"runtime/jinja", {"core"}},
    {"runtime/tokenizer", {"core", "runtime/gguf", "runtime/io", "runtime/jinja"}},
    {"runtime/chat", {"core", "runtime/gguf", "runtime/jinja", "runtime/tokenizer"}},
    {"runtime/model", {"core", "runtime/gguf", "runtime/spec", "runtime/io", "runtime/tokenizer"}},
    {"runtime/cuda", {"core", "cuda", "runtime/spec", "runtime/io", "runtime/tokenizer", "runtime/model"}},
    {"runtime/engine", {"core", "runtime/spec", "runtime/io", "runtime/tokenizer", "runtime/model", "runtime/cuda"}},
    {"evaluation",
     {"core", "runtime/spec", "runtime/io", "runtime/tokenizer", "runtime/chat", "runtime/model", "runtime/engine"}},
    {"calibration",
     {"core", "runtime/spec", "runtime/io", "runtime/tokenizer", "runtime/chat", "runtime/model", "runtime/engine",
      "evaluation"}},
    {"cli",
     {"core", "runtime/gguf", "runtime/spec", "runtime/io", "runtime/jinja", "runtime/tokenizer", "runtime/chat",
      "runtime/model", "runtime/cuda", "runtime/engine", "evaluation", "calibration"}},
};

// Libraries that only some layers may name.
const std::map<std::string, std::set<std::string>> kThirdParty = {
    {"cuda_", {"cuda", "runtime/cuda"}},
    {"cuda.h", {"cuda"}},
    {"cub/", {"cuda"}},
    {"cublas", {"runtime/cuda"}},
    {"hwy/", {"cpu", "runtime/model"}},
    {"nlohmann/",
     {"core", "runtime/gguf", "runtime/spec", "runtime/io", "runtime/jinja", "runtime/tokenizer", "runtime/chat",
      "runtime/model", "runtime/engine", "evaluation", "cli"}},
    {"oneapi/", {"runtime/model"}},
    {"dnnl", {"runtime/model"}},
    {"pcre2", {"runtime/tokenizer"}},
    {"utf8proc", {"runtime/jinja", "runtime/tokenizer", "cli"}},
    {"CLI/", {"cli"}},
    {"fmt/", {"cli"}},
};

bool starts_with(const std::string& text, const std::string& prefix) { return text.rfind(prefix, 0) == 0; }

// The layer a path relative to src/ lies in: "cpu/select.cc" -> "cpu", "runtime/io/x.h" -> "runtime/io".
std::optional<std::string> layer_of(const std::string& path) {
  for (const auto& [layer, below] : kLayers) {
    if (starts_with(path, layer + "/")) return layer;
  }
  return std::nullopt;
}

struct Include {
  int line;
  bool quoted;
  std::string path;
};

std::vector<Include> includes_of(const std::string& text) {
  static const std::regex kPattern(R"(^\s*#\s*include\s*([<"])([^>"]+)[>"])");
  std::vector<Include> found;
  std::istringstream lines(text);
  std::string line;
  for (int number = 1; std::getline(lines, line); ++number) {
    std::smatch match;
    if (std::regex_search(line, match, kPattern)) found.push_back({number, match[1] == "\"", match[2]});
  }
  return found;
}

std::string at(const std::string& file, const Include& include) {
  return file + ":" + std::to_string(include.line) + ": \"" + include.path + "\" ";
}

// One line for each include of a file under src/ that must not be there. `path` is relative to src/.
std::vector<std::string> violations_in_source(const std::string& path, const std::string& text) {
  const std::optional<std::string> layer = layer_of(path);
  if (!layer) return {path + ": lies in no layer"};
  std::vector<std::string> violations;
  for (const Include& include : includes_of(text)) {
    bool known = !include.quoted || starts_with(include.path, "tca/");
    for (const auto& [prefix, layers] : kThirdParty) {
      if (!starts_with(include.path, prefix)) continue;
      known = true;
      if (!layers.count(*layer)) violations.push_back(at(path, include) + "is not for " + *layer);
    }
    if (known) continue;
    const std::optional<std::string> target = layer_of(include.path);
    if (!target) {
      violations.push_back(at(path, include) + "is no path from src/");
    } else if (*target != *layer && !kLayers.at(*layer).count(*target)) {
      violations.push_back(at(path, include) + "is not below " + *layer);
    }
  }
  return violations;
}

// Public headers and examples see the public headers and the standard library, nothing else.
std::vector<std::string> violations_in_public(const std::string& path, const std::string& text) {
  static const std::regex kStandard("[a-z_]+|std[a-z]+\\.h|math\\.h|string\\.h");
  std::vector<std::string> violations;
  for (const Include& include : includes_of(text)) {
    const bool fine = include.quoted ? starts_with(include.path, "tca/") : std::regex_match(include.path, kStandard);
    if (!fine) violations.push_back(at(path, include) + "is neither public nor standard");
  }
  return violations;
}

struct SourceFile {
  std::string path;  // relative to the folder
  std::string text;
};

const std::set<std::string> kExtensions = {".h", ".cc", ".c", ".cu", ".cuh"};

std::vector<SourceFile> sources_under(const std::string& folder) {
  const fs::path root = fs::path(TCA_SOURCE_DIR) / folder;
  std::vector<SourceFile> files;
  for (const auto& entry : fs::recursive_directory_iterator(root)) {
    const std::string extension = entry.path().extension();
    if (!kExtensions.count(extension)) continue;
    std::ifstream stream(entry.path());
    std::ostringstream text;
    text << stream.rdbuf();
    files.push_back({fs::relative(entry.path(), root).string(), text.str()});
  }
  return files;
}

TEST(Layers, SourcesIncludeOnlyWhatIsBelow) {
  const std::vector<SourceFile> files = sources_under("src");
  EXPECT_GT(files.size(), 20u);
  for (const SourceFile& file : files) {
    for (const std::string& violation : violations_in_source(file.path, file.text)) ADD_FAILURE() << violation;
  }
}

TEST(Layers, PublicHeadersAndExamplesShowNoDependency) {
  for (const char* folder : {"include", "examples"}) {
    const std::vector<SourceFile> files = sources_under(folder);
    EXPECT_FALSE(files.empty()) << folder;
    for (const SourceFile& file : files) {
      for (const std::string& violation : violations_in_public(file.path, file.text)) ADD_FAILURE() << violation;
    }
  }
}

TEST(Layers, PublicHeadersStayFew) {
  int headers = 0;
  for (const SourceFile& file : sources_under("include/tca")) headers += file.path != "tca.h";
  EXPECT_LE(headers, 8);
}

TEST(Layers, EveryLayerIsAFolder) {
  for (const auto& [layer, below] : kLayers) {
    EXPECT_TRUE(fs::is_directory(fs::path(TCA_SOURCE_DIR) / "src" / layer)) << layer;
  }
}

// Newer standard libraries bring <cstdint> along in fewer of their headers; nvcc's do. Parts of Highway's kernels are
// included by files that have it.
bool lacks_cstdint(const SourceFile& file) {
  static const std::regex kHeader(R"(.*\.h)"), kPart(R"(.*-inl\.h)"), kInteger(R"(std::u?int\d+_t)");
  return std::regex_match(file.path, kHeader) && !std::regex_match(file.path, kPart) &&
         std::regex_search(file.text, kInteger) && file.text.find("#include <cstdint>") == std::string::npos;
}

TEST(Layers, HeadersWithFixedWidthIntegersIncludeThem) {
  for (const char* folder : {"src", "include", "tests", "bench"}) {
    for (const SourceFile& file : sources_under(folder)) {
      EXPECT_FALSE(lacks_cstdint(file)) << folder << '/' << file.path << ": #include <cstdint>";
    }
  }
  EXPECT_TRUE(lacks_cstdint({"a.h", "std::int32_t a;"}));
}

TEST(Layers, APlantedViolationIsFound) {
  EXPECT_EQ(violations_in_source("core/half.cc", "#include \"core/half.h\"\n#include \"tca/tensor.h\"\n").size(), 0u);
  EXPECT_EQ(violations_in_source("core/half.cc", "#include \"cpu/kernel.h\"\n").size(), 1u);
  EXPECT_EQ(violations_in_source("cpu/kernel.cc", "  # include \"reference/oracle.h\"\n").size(), 1u);
  EXPECT_EQ(violations_in_source("runtime/io/a.cc", "#include \"runtime/model/model.h\"\n").size(), 1u);
  EXPECT_EQ(violations_in_source("evaluation/a.cc", "#include \"calibration/calibrate.h\"\n").size(), 1u);
  EXPECT_EQ(violations_in_source("cli/main.cc", "#include \"cpu/kernel.h\"\n").size(), 1u);
  EXPECT_EQ(violations_in_source("backend/a.cc", "#include <hwy/highway.h>\n").size(), 1u);
  EXPECT_EQ(violations_in_source("cpu/a.cc", "#include \"a.h\"\n").size(), 1u);
  EXPECT_EQ(violations_in_source("server/a.cc", "").size(), 1u);
  EXPECT_EQ(violations_in_public("tca/a.h", "#include <nlohmann/json.hpp>\n").size(), 1u);
  EXPECT_EQ(violations_in_public("tca/a.h", "#include \"core/half.h\"\n#include <vector>\n").size(), 1u);
}

}  // namespace
