// What `tca eval --json` wrote, read back: untrusted files, every field checked.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace tca::cli::html {

/// Answers of a method, in all or of one kind of fact or task.
struct GroupScore {
  std::string name = {};  // empty: of all
  std::int64_t questions = 0;
  std::int64_t right = 0;            // found, or with a score of 0.5 or more
  std::optional<double> score = {};  // mean over questions, of tasks
};

struct GroupSurvival {
  std::string name = {};
  std::int64_t found = 0, survived = 0;
};

/// Of the answers that full attention found.
struct SurvivalFigures {
  std::int64_t found = 0, survived = 0;
  double share = 0, low = 0, high = 0;    // in [0, 1]; low and high: the 95 % interval
  std::optional<std::string> worst = {};  // kind or task
  std::vector<GroupSurvival> groups = {};
};

struct MethodFigures {
  std::string method = {};
  double kept_share = 0;    // of the document's tokens, in [0, 1]
  double density = 0;       // query-key pairs computed / causal pairs
  double kv_bytes = 0;      // mean over documents
  double read_seconds = 0;  // of a document, mean
  GroupScore total = {};
  std::vector<GroupScore> groups = {};
  std::optional<SurvivalFigures> survival = {};  // none where full is no method
  // Nats a token, of plain text: while it was read, and of what follows it once tokens were dropped.
  std::optional<double> reading_loss = {}, continued_loss = {};

  bool is_full() const { return method == "full"; }
};

struct ModelFacts {
  std::string name = {}, architecture = {}, compute = {}, kv = {}, weights = {};
  std::string weights_sha256 = {};  // as in profiles
  std::int64_t weight_bytes = 0;
};

/// Of a file with tasks.
struct TaskFileFacts {
  std::string path = {};
  std::int64_t documents = 0, left_out = 0;
};

/// One run of eval.
struct Result {
  std::string file = {};
  std::string version = {};
  ModelFacts model = {};
  std::int64_t shortest = 0, longest = 0;  // tokens of documents; the same where facts were planted
  std::int64_t documents = 0;
  std::uint64_t seed = 0;
  // Of facts, whose `facts` is not empty:
  std::string facts = {}, ask = {};
  std::optional<std::string> text = {};  // what they were planted in; none: the built-in text
  std::int64_t questions = 0;            // in each document
  // Of tasks:
  std::vector<TaskFileFacts> task_files = {};
  std::vector<MethodFigures> methods = {};

  bool of_tasks() const { return facts.empty(); }
  /// What answers are grouped by: "kind" or "task".
  const char* group() const { return of_tasks() ? "task" : "kind"; }
  /// Where the run stands on an axis of lengths, in tokens.
  double length() const { return (static_cast<double>(shortest) + static_cast<double>(longest)) / 2; }
};

/// Throws kBadFile with file, field, value and what was expected.
Result parse_result(std::string_view content, const std::string& file);

/// What each run is called: its length; where two have the same, its model and at last its file beside it.
std::vector<std::string> labels_of(std::span<const Result> results);

/// "tca" of "tca:0.2": methods of a family differ in what they keep.
std::string family_of(const std::string& method);

}  // namespace tca::cli::html
