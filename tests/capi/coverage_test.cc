// The C interface can do all that the C++ interface can: every public function of the headers has a counterpart here,
// or a reason why it needs none, and every function of tca.h is somebody's counterpart.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <regex>
#include <set>
#include <sstream>
#include <string>
#include <vector>

namespace {

const std::filesystem::path kHeaders = std::filesystem::path(TCA_SOURCE_DIR) / "include/tca";

/// Of C++ functions, by header and name; "-" and a reason where C needs none.
const std::map<std::string, std::string> kCounterparts = {
    {"backend.h available_backends", "tca_available_backend"},
    {"backend.h break_even_tokens", "tca_backend_break_even_tokens"},
    {"backend.h capabilities", "tca_backend_supports tca_backend_isa"},
    {"backend.h certify", "tca_certify"},
    {"backend.h create_backend", "tca_backend_create tca_backend_create_on_stream"},
    {"backend.h create_kv_pool", "tca_kv_pool_create"},
    {"backend.h decode_attention", "tca_decode_attention"},
    {"backend.h name", "tca_backend_name"},
    {"backend.h prefill_attention", "tca_prefill_attention"},
    {"backend.h probe_scores", "tca_probe_scores"},
    {"backend.h select", "tca_select"},
    {"backend.h stream", "tca_backend_stream"},
    {"backend.h synchronize", "tca_backend_synchronize"},
    {"backend.h tail_scores", "tca_tail_scores"},
    {"backend.h ~Backend", "tca_backend_destroy"},
    {"error.h Error", "tca_last_error"},
    {"error.h category", "tca_status_name"},
    {"attention.h KeptSet", "tca_kept_set_create"},
    {"attention.h head", "tca_kept_set_head"},
    {"attention.h num_kv_heads", "tca_kept_set_num_kv_heads"},
    {"attention.h num_tokens", "tca_kept_set_num_tokens"},
    {"attention.h offsets", "- tca_kept_set_head gives counts"},
    {"attention.h operator==", "- compare heads"},
    {"attention.h positions", "- of all heads: tca_kept_set_head"},
    {"kv_cache.h KvCache", "tca_kv_cache_create"},
    {"kv_cache.h bytes_used", "tca_kv_cache_bytes_used"},
    {"kv_cache.h clear", "tca_kv_cache_clear"},
    {"kv_cache.h fork", "tca_kv_cache_fork"},
    {"kv_cache.h length", "tca_kv_cache_length"},
    {"kv_cache.h load", "tca_kv_cache_load"},
    {"kv_cache.h num_pages", "tca_kv_cache_num_pages"},
    {"kv_cache.h num_tokens", "tca_kv_cache_num_tokens"},
    {"kv_cache.h page", "tca_kv_cache_page"},
    {"kv_cache.h pages_needed", "tca_kv_cache_pages_needed"},
    {"kv_cache.h pool", "tca_kv_cache_pool"},
    {"kv_cache.h position", "tca_kv_cache_position"},
    {"kv_cache.h reserve", "tca_kv_cache_reserve"},
    {"kv_cache.h save", "tca_kv_cache_save"},
    {"kv_cache.h shape", "tca_kv_cache_shape"},
    {"kv_cache.h store", "tca_kv_cache_store"},
    {"kv_cache.h tail_begin", "tca_kv_cache_tail_begin"},
    {"kv_cache.h thin", "tca_kv_cache_thin"},
    {"kv_cache.h truncate", "tca_kv_cache_truncate"},
    {"kv_cache.h truncation_limit", "tca_kv_cache_truncation_limit"},
    {"kv_cache.h ~KvCache", "tca_kv_cache_destroy"},
    {"kv_cache.h KvPool", "- copies are deleted"},
    {"kv_cache.h budget_bytes", "tca_kv_pool_get_info"},
    {"kv_cache.h create", "tca_kv_pool_create"},
    {"kv_cache.h dtype", "tca_kv_pool_get_info"},
    {"kv_cache.h free_pages", "tca_kv_pool_get_info"},
    {"kv_cache.h head_dim", "tca_kv_pool_get_info"},
    {"kv_cache.h layout", "tca_kv_pool_get_info"},
    {"kv_cache.h page_bytes", "tca_kv_pool_get_info"},
    {"kv_cache.h stream", "tca_kv_pool_get_info"},
    {"kv_cache.h used_bytes", "tca_kv_pool_get_info"},
    {"kv_cache.h ~KvPool", "tca_kv_pool_destroy"},
    {"profile.h allocate", "tca_profile_allocate"},
    {"profile.h attended", "tca_profile_shares"},
    {"profile.h describe", "tca_model_fingerprint_describe"},
    {"profile.h full", "tca_block_shares_full"},
    {"profile.h is_full", "- the last share is 1"},
    {"profile.h is_window", "- the first share is 1"},
    {"profile.h kept_share", "tca_block_shares_kept_share"},
    {"profile.h load", "tca_profile_load"},
    {"profile.h parse", "tca_profile_parse"},
    {"profile.h pick", "tca_profile_pick"},
    {"profile.h richer", "tca_profile_richer"},
    {"profile.h rule_of", "tca_profile_budget"},
    {"profile.h save", "tca_profile_save"},
    {"profile.h to_json", "tca_profile_to_json"},
    {"profile.h usual_keep", "tca_profile_usual_keep"},
    {"profile.h usual_objective", "tca_profile_usual_objective"},
    {"profile.h validate", "tca_profile_validate"},
    {"profile.h window", "tca_block_shares_window"},
    {"tensor.h TensorView", "- C has both kinds of views"},
    {"tensor.h contiguous", "tca_contiguous tca_mutable_contiguous"},
    {"tensor.h dtype_name", "tca_dtype_name"},
    {"tensor.h dtype_size", "tca_dtype_size"},
    {"tensor.h row", "tca_tensor_row tca_mutable_tensor_row"},
    {"tensor.h tokens", "tca_tensor_tokens tca_mutable_tensor_tokens"},
    {"thread_pool.h ThreadPool", "tca_thread_pool_create"},
    {"thread_pool.h num_threads", "tca_thread_pool_num_threads"},
    {"thread_pool.h parallel_for", "tca_thread_pool_parallel_for"},
    {"thread_pool.h ~ThreadPool", "tca_thread_pool_destroy"},
};

/// Of tca.h, what stands for data members of C++ structs, or for what C++ has by itself.
const std::set<std::string> kOfC = {
    "tca_version",          "tca_cancel_create",          "tca_cancel_request",     "tca_cancel_reset",
    "tca_cancel_destroy",   "tca_selection_rule_default", "tca_profile_model",      "tca_profile_num_budgets",
    "tca_profile_bank",     "tca_profile_head",           "tca_profile_provenance", "tca_profile_destroy",
    "tca_kept_set_destroy",
};

std::string read(const std::filesystem::path& path) {
  std::ifstream file(path);
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

/// Without comments, and without what lies in the braces of functions and of initialisers.
std::string declarations(const std::string& source) {
  const std::string bare = std::regex_replace(std::regex_replace(source, std::regex("//[^\n]*"), ""),
                                              std::regex("/\\*[^*]*\\*+([^/*][^*]*\\*+)*/"), "");
  static const std::regex kScope("(namespace [a-z_:]+|(class|struct)[^;{}()=]*|extern \"C\") *$");
  std::string kept;
  for (std::size_t i = 0; i < bare.size(); ++i) {
    if (bare[i] != '{') {
      kept += bare[i];
      continue;
    }
    const std::string before =
        kept.substr(kept.find_last_of(";{}") == std::string::npos ? 0 : kept.find_last_of(";{}") + 1);
    if (std::regex_search(std::regex_replace(before, std::regex("\\s+"), " "), kScope)) {
      kept += '{';
      continue;
    }
    int depth = 0;
    do depth += bare[i] == '{' ? 1 : bare[i] == '}' ? -1 : 0;
    while (depth > 0 && ++i < bare.size());
    kept += ';';
  }
  return kept;
}

/// Names that are declared with parameters, private members left out.
std::set<std::string> functions_of(const std::string& header) {
  std::set<std::string> names;
  std::string text = declarations(read(kHeaders / header));
  text = std::regex_replace(text, std::regex("private:[^}]*\\}"), "}");
  text = std::regex_replace(text, std::regex("\\) *: [^;]*;"), ");");                 // initialisers of a constructor
  text = std::regex_replace(text, std::regex("bool operator==[^;]*= default;"), "");  // structs, compared by fields
  text = std::regex_replace(text, std::regex("__attribute__\\(\\([^)]*\\)*|std::function<[^;]*>&"), "");
  static const std::regex kFunction("(operator *[=!<>]+|operator [A-Za-z]+|~?[A-Za-z_]+) *\\(");
  for (std::sregex_iterator it(text.begin(), text.end(), kFunction), end; it != end; ++it) {
    std::string name = (*it)[1];
    if (name == "operator=" || name == "operator TensorView") name = name == "operator=" ? "" : "TensorView";
    if (!name.empty() && name != "defined") names.insert(name);
  }
  return names;
}

TEST(Coverage, EveryFunctionOfCppHasOneOfC) {
  std::set<std::string> of_c, used;
  const std::string c_header = read(kHeaders / "tca.h");
  static const std::regex kDeclared("TCA_API [^;(]*\\b(tca_[a-z_0-9]+)\\(");
  for (std::sregex_iterator it(c_header.begin(), c_header.end(), kDeclared), end; it != end; ++it)
    of_c.insert((*it)[1]);
  ASSERT_GT(of_c.size(), 60u);

  std::size_t found = 0;
  for (const auto& entry : std::filesystem::directory_iterator(kHeaders)) {
    const std::string header = entry.path().filename();
    if (header == "tca.h" || header == "version.h") continue;
    for (const std::string& name : functions_of(header)) {
      const auto counterpart = kCounterparts.find(header + " " + name);
      if (counterpart == kCounterparts.end()) {
        ADD_FAILURE() << header << " has " << name << ", and nothing is said of it in C";
        continue;
      }
      ++found;
      if (counterpart->second.starts_with("- ")) continue;
      std::istringstream names(counterpart->second);
      for (std::string c_name; names >> c_name; used.insert(c_name)) {
        EXPECT_TRUE(of_c.count(c_name)) << "tca.h has no " << c_name << " for " << counterpart->first;
      }
    }
  }
  EXPECT_GT(found, 70u) << "the headers are not understood any more";
  for (const std::string& name : of_c) {
    EXPECT_TRUE(used.count(name) || kOfC.count(name)) << name << " stands for nothing of C++";
  }
}

TEST(Coverage, AMissingFunctionWouldBeSeen) {
  EXPECT_TRUE(functions_of("kv_cache.h").count("reserve"));
  EXPECT_TRUE(functions_of("backend.h").count("prefill_attention"));
  EXPECT_TRUE(functions_of("tensor.h").count("contiguous"));
  EXPECT_FALSE(functions_of("kv_cache.h").count("make_unique"));
}

}  // namespace
