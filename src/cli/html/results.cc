#include "cli/html/results.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <set>

#include "cli/format.h"
#include "core/json.h"
#include "tca/error.h"

namespace tca::cli::html {
namespace {

using nlohmann::json;

constexpr std::int64_t kMostCount = std::int64_t{1} << 53;  // what a number of JSON holds exactly everywhere
constexpr double kMostBytes = 0x1p62, kMostSeconds = 1e9, kMostLoss = 1e6;

// A list's element, or an object's: what its fields are called by in errors.
std::string inside(const std::string& where, const std::string& field) {
  return fmt::format("{}{}{}.", where, where.ends_with('.') ? "" : ": ", field);
}

const json& element_object(const json& list, std::size_t i, const std::string& where, const std::string& field) {
  if (!list[i].is_object()) fail_field(where, fmt::format("{}[{}]", field, i), list[i], "an object");
  return list[i];
}

std::uint64_t get_seed(const json& object, const std::string& where) {
  const json& value = get_field(object, "seed", where);
  if (!value.is_number_integer() || (!value.is_number_unsigned() && value.get<std::int64_t>() < 0)) {
    fail_field(where, "seed", value, "an integer that is not negative");
  }
  return value.get<std::uint64_t>();
}

ModelFacts parse_model(const json& root, const std::string& file) {
  const json& object = get_object(root, "model", file);
  const std::string where = inside(file, "model");
  return {.name = get_string(object, "name", where),
          .architecture = get_string(object, "architecture", where),
          .compute = get_string(object, "compute", where),
          .kv = get_string(object, "kv", where),
          .weights = get_string(object, "weights", where),
          .weights_sha256 = get_string(object, "weights_sha256", where),
          .weight_bytes = get_int(object, "weight_bytes", where, 0, std::numeric_limits<std::int64_t>::max())};
}

GroupScore parse_score(const json& object, bool of_tasks, const std::string& where) {
  GroupScore score;
  score.questions = get_int(object, "questions", where, 0, kMostCount);
  score.right = get_int(object, of_tasks ? "right" : "found", where, 0, score.questions);
  if (of_tasks) score.score = get_number(object, "score", where, 0, 1);
  return score;
}

std::vector<GroupScore> parse_groups(const json& object, bool of_tasks, const std::string& where) {
  const char* const field = of_tasks ? "tasks" : "kinds";
  std::vector<GroupScore> groups;
  const json& list = get_object(object, field, where);
  for (const auto& [name, unused] : list.items()) {
    const json& group = get_object(list, name.c_str(), inside(where, field));
    groups.push_back(parse_score(group, of_tasks, inside(where, fmt::format("{}.{}", field, name))));
    groups.back().name = name;
  }
  return groups;
}

SurvivalFigures parse_survival(const json& object, bool of_tasks, const std::string& where) {
  SurvivalFigures survival;
  survival.found = get_int(object, "found", where, 0, kMostCount);
  survival.survived = get_int(object, "survived", where, 0, survival.found);
  survival.share = get_number(object, "share", where, 0, 1);
  survival.low = get_number(object, "low", where, 0, 1);
  survival.high = get_number(object, "high", where, survival.low, 1);
  survival.worst = get_optional_string(object, of_tasks ? "worst_task" : "worst_kind", where);
  const char* const field = of_tasks ? "tasks" : "kinds";
  const json& groups = get_object(object, field, where);
  for (const auto& [name, unused] : groups.items()) {
    const json& group = get_object(groups, name.c_str(), inside(where, field));
    const std::string in_group = inside(where, fmt::format("{}.{}", field, name));
    const std::int64_t found = get_int(group, "found", in_group, 0, survival.found);
    survival.groups.push_back({name, found, get_int(group, "survived", in_group, 0, found)});
  }
  return survival;
}

MethodFigures parse_method(const json& object, bool of_tasks, const std::string& where) {
  MethodFigures method;
  method.method = get_string(object, "method", where);
  if (method.method.empty()) fail_field(where, "method", json(""), "the name of a method");
  method.kept_share = get_number(object, "kept_share", where, 0, 1);
  method.density = get_number(object, "density", where, 0, 1);
  method.kv_bytes = get_number(object, "kv_bytes", where, 0, kMostBytes);
  method.read_seconds = get_number(object, "read_seconds", where, 0, kMostSeconds);
  method.total = parse_score(get_object(object, "total", where), of_tasks, inside(where, "total"));
  method.groups = parse_groups(object, of_tasks, where);
  if (const json* const survival = get_optional_object(object, "survival", where)) {
    method.survival = parse_survival(*survival, of_tasks, inside(where, "survival"));
  }
  const json* const plain_text = of_tasks ? nullptr : get_optional_object(object, "plain_text", where);
  if (plain_text != nullptr) {
    const std::string at = inside(where, "plain_text");
    method.reading_loss = get_optional_number(*plain_text, "nll", at, 0, kMostLoss);
    method.continued_loss = get_optional_number(*plain_text, "continued_nll", at, 0, kMostLoss);
  }
  return method;
}

std::vector<MethodFigures> parse_methods(const json& root, bool of_tasks, const std::string& file) {
  const json& list = get_array(root, "methods", file);
  if (list.empty()) fail_field(file, "methods", list, "one method or more");
  std::vector<MethodFigures> methods;
  std::set<std::string> names;
  for (std::size_t i = 0; i < list.size(); ++i) {
    const std::string where = inside(file, fmt::format("methods[{}]", i));
    methods.push_back(parse_method(element_object(list, i, file, "methods"), of_tasks, where));
    const std::string& name = methods.back().method;
    if (!names.insert(name).second) fail_field(where, "method", json(name), "a method that is not there before");
  }
  return methods;
}

void parse_facts(const json& root, Result& result) {
  const std::string& file = result.file;
  result.shortest = result.longest = get_int(root, "ctx", file, 1, kMostCount);
  result.facts = get_string(root, "facts", file);
  if (result.facts.empty()) fail_field(file, "facts", json(""), "\"codes\" or \"natural\"");
  result.ask = get_string(root, "ask", file);
  result.text = get_optional_string(root, "text", file);
  result.questions = get_int(root, "questions", file, 1, kMostCount);
}

void parse_task_files(const json& root, Result& result) {
  const std::string& file = result.file;
  const json& list = get_array(root, "files", file);
  for (std::size_t i = 0; i < list.size(); ++i) {
    const json& object = element_object(list, i, file, "files");
    const std::string where = inside(file, fmt::format("files[{}]", i));
    result.task_files.push_back({get_string(object, "path", where), get_int(object, "documents", where, 0, kMostCount),
                                 get_int(object, "left_out", where, 0, kMostCount)});
  }
  result.shortest = get_int(root, "shortest_document", file, 1, kMostCount);
  result.longest = get_int(root, "longest_document", file, result.shortest, kMostCount);
}

}  // namespace

Result parse_result(std::string_view content, const std::string& file) {
  const JsonDocument document(parse_json(content, file));
  const json& root = *document;
  constexpr char kExpected[] = "\"eval\": what `tca eval --json` writes";
  if (!root.is_object()) fail_field(file, "the file", root, "an object, as `tca eval --json` writes it");
  if (const json* const error = get_optional_object(root, "error", file)) {
    fail_field(inside(file, "error"), "message", get_field(*error, "message", inside(file, "error")),
               "a result: that run of tca failed");
  }
  const std::string command = get_string(root, "command", file);
  if (command != "eval") fail_field(file, "command", json(command), kExpected);
  Result result;
  result.file = file;
  result.version = get_string(root, "version", file);
  result.model = parse_model(root, file);
  result.documents = get_int(root, "documents", file, 1, kMostCount);
  result.seed = get_seed(root, file);
  const bool of_tasks = root.contains("files");
  of_tasks ? parse_task_files(root, result) : parse_facts(root, result);
  result.methods = parse_methods(root, of_tasks, file);
  return result;
}

std::vector<std::string> labels_of(std::span<const Result> results) {
  std::vector<std::string> labels;
  const auto lengths = [](const Result& result) {
    return result.shortest == result.longest
               ? counted(result.longest, "token")
               : fmt::format("{} to {}", format_count(result.shortest), counted(result.longest, "token"));
  };
  const auto with_model = [&](const Result& result) {
    return fmt::format("{}, {}", lengths(result), result.model.name);
  };
  const auto shared = [&](const Result& result, const auto& name) {
    return std::count_if(results.begin(), results.end(), [&](const Result& r) { return name(r) == name(result); }) > 1;
  };
  for (const Result& result : results) {
    labels.push_back(!shared(result, lengths)      ? lengths(result)
                     : !shared(result, with_model) ? with_model(result)
                                                   : fmt::format("{}, {}", lengths(result), result.file));
  }
  return labels;
}

std::string family_of(const std::string& method) { return method.substr(0, method.find(':')); }

}  // namespace tca::cli::html
