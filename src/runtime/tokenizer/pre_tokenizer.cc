#include "runtime/tokenizer/pre_tokenizer.h"

#include <algorithm>

#include "core/check.h"
#include "core/json.h"
#include "runtime/tokenizer/unicode.h"

namespace tca::runtime {
namespace {

using nlohmann::json;

// What GPT-2's tokenizer splits by; ByteLevel's own expression.
constexpr std::string_view kGpt2Split = R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";

// Enough for any tokenizer; bounds what a file can make every text cost.
constexpr std::size_t kMaxSteps = 32;

struct Part {
  Range range;
  bool is_match;
};

// Matches and what lies between them, in order.
std::vector<Part> parts_of(const std::vector<Range>& matches, std::size_t size, bool invert) {
  std::vector<Part> parts;
  parts.reserve(2 * matches.size() + 1);
  std::size_t end = 0;
  for (const Range& match : matches) {
    if (match.begin > end) parts.push_back({{end, match.begin}, invert});
    parts.push_back({match, !invert});
    end = match.end;
  }
  if (end < size) parts.push_back({{end, size}, invert});
  return parts;
}

void append_shifted(std::vector<Range>& out, const Range& range, std::size_t offset) {
  if (range.size() > 0) out.push_back({range.begin + offset, range.end + offset});
}

}  // namespace

PreTokenizer PreTokenizer::parse(const json& config, const std::string& where) {
  PreTokenizer result;
  if (!config.is_null()) result.add(config, where);
  return result;
}

void PreTokenizer::add(const json& config, const std::string& where) {
  const std::string type = get_string(config, "type", where);
  check_supported(!byte_level_, where, "ByteLevel is followed by \"", type.substr(0, 40),
                  "\"; supported is ByteLevel as the last pre-tokenizer only");
  check_supported(steps_.size() < kMaxSteps, where, "more than ", kMaxSteps, " pre-tokenizers in a sequence");
  if (type == "Sequence") {
    for (const json& step : get_array(config, "pretokenizers", where)) add(step, where);
  } else if (type == "Split") {
    add_split(config, where);
  } else if (type == "Digits") {
    const bool individual = get_optional_bool(config, "individual_digits", where).value_or(false);
    steps_.emplace_back(
        Split{Regex::parse("\\p{N}", where), individual ? Behavior::kIsolated : Behavior::kContiguous, false});
  } else if (type == "Metaspace") {
    add_metaspace(config, where);
  } else if (type == "ByteLevel") {
    if (get_optional_bool(config, "add_prefix_space", where).value_or(true)) steps_.emplace_back(PrefixSpace{});
    if (get_optional_bool(config, "use_regex", where).value_or(true)) {
      steps_.emplace_back(Split{Regex::parse(kGpt2Split, where), Behavior::kIsolated, false});
    }
    byte_level_ = true;
  } else {
    fail(ErrorCategory::kUnsupported,
         text(where, "type is \"", type.substr(0, 40), "\"; supported: ByteLevel, Digits, Metaspace, Sequence, Split"));
  }
}

void PreTokenizer::add_split(const json& config, const std::string& where) {
  const json& pattern = get_object(config, "pattern", where);
  const std::string field = where + "pattern.";
  Regex regex = pattern.contains("String") ? Regex::literal(get_string(pattern, "String", field))
                                           : Regex::parse(get_string(pattern, "Regex", field), field + "Regex");
  const std::string name = get_string(config, "behavior", where);
  Behavior behavior = Behavior::kIsolated;
  if (name == "Removed") {
    behavior = Behavior::kRemoved;
  } else if (name == "Contiguous") {
    behavior = Behavior::kContiguous;
  } else if (name == "MergedWithPrevious") {
    behavior = Behavior::kMergedWithPrevious;
  } else if (name == "MergedWithNext") {
    behavior = Behavior::kMergedWithNext;
  } else if (name != "Isolated") {
    fail_field(where, "behavior", name, "Isolated, Removed, Contiguous, MergedWithPrevious or MergedWithNext");
  }
  steps_.emplace_back(Split{std::move(regex), behavior, get_optional_bool(config, "invert", where).value_or(false)});
}

void PreTokenizer::add_metaspace(const json& config, const std::string& where) {
  Metaspace step{get_string(config, "replacement", where), Prepend::kAlways,
                 get_optional_bool(config, "split", where).value_or(true)};
  std::size_t position = 0;
  if (!step.replacement.empty()) next_code_point(step.replacement, position);
  if (position == 0 || position != step.replacement.size()) {
    fail_field(where, "replacement", step.replacement, "one character");
  }
  const std::string scheme = get_optional_string(config, "prepend_scheme", where).value_or("always");
  if (scheme == "first") {
    step.prepend = Prepend::kFirst;
  } else if (scheme == "never") {
    step.prepend = Prepend::kNever;
  } else if (scheme != "always") {
    fail_field(where, "prepend_scheme", scheme, "always, first or never");
  }
  // The older field; where both are written they agree.
  if (!get_optional_bool(config, "add_prefix_space", where).value_or(true)) step.prepend = Prepend::kNever;
  steps_.emplace_back(std::move(step));
}

Pieces PreTokenizer::split(std::string text, TextStart start) const {
  Pieces pieces{std::move(text), {}};
  if (!pieces.text.empty()) pieces.ranges.push_back({0, pieces.text.size()});
  for (const auto& step : steps_) {
    std::visit([&](const auto& s) { apply(s, pieces, start); }, step);
  }
  return pieces;
}

void PreTokenizer::apply(const Split& step, Pieces& pieces, TextStart) {
  std::vector<Range> out;
  Regex::Searcher searcher(step.regex, pieces.text.size());
  for (const Range& piece : pieces.ranges) {
    const std::vector<Range>& matches = searcher.find_all(pieces.view(piece));
    if (step.behavior == Behavior::kIsolated) {
      for (const Part& part : parts_of(matches, piece.size(), false)) append_shifted(out, part.range, piece.begin);
      continue;
    }
    std::vector<Part> parts = parts_of(matches, piece.size(), step.invert);
    const bool from_right = step.behavior == Behavior::kMergedWithNext;
    if (from_right) std::reverse(parts.begin(), parts.end());
    std::vector<Range> merged;
    bool previous_is_match = false;
    for (const auto& [range, is_match] : parts) {
      const bool joins =
          step.behavior == Behavior::kContiguous ? is_match == previous_is_match : is_match && !previous_is_match;
      if (step.behavior == Behavior::kRemoved) {
        if (!is_match) merged.push_back(range);
      } else if (joins && !merged.empty()) {
        merged.back() = {std::min(merged.back().begin, range.begin), std::max(merged.back().end, range.end)};
      } else {
        merged.push_back(range);
      }
      previous_is_match = is_match;
    }
    if (from_right) std::reverse(merged.begin(), merged.end());
    for (const Range& range : merged) append_shifted(out, range, piece.begin);
  }
  pieces.ranges = std::move(out);
}

void PreTokenizer::apply(const Metaspace& step, Pieces& pieces, TextStart start) {
  Pieces out;
  out.text.reserve(pieces.text.size() + pieces.text.size() / 4);
  for (const Range& piece : pieces.ranges) {
    const std::string_view view = pieces.view(piece);
    const std::size_t begin = out.text.size();
    const bool is_first = piece.begin == 0;
    const bool wanted = step.prepend == Prepend::kAlways  ? !(is_first && start == TextStart::kContinues)
                        : step.prepend == Prepend::kFirst ? is_first && start == TextStart::kText
                                                          : false;
    if (wanted && !view.starts_with(' ') && !view.starts_with(step.replacement)) out.text += step.replacement;
    for (const char c : view) {
      if (c == ' ') {
        out.text += step.replacement;
      } else {
        out.text += c;
      }
    }
    if (!step.split) {
      out.ranges.push_back({begin, out.text.size()});
      continue;
    }
    // A piece starts at every replacement character.
    std::size_t at = begin;
    while (at < out.text.size()) {
      const std::size_t next = std::min(out.text.find(step.replacement, at + 1), out.text.size());
      out.ranges.push_back({at, next});
      at = next;
    }
  }
  pieces = std::move(out);
}

void PreTokenizer::apply(const PrefixSpace&, Pieces& pieces, TextStart start) {
  Pieces out;
  out.text.reserve(pieces.text.size() + pieces.ranges.size());
  for (const Range& piece : pieces.ranges) {
    const std::string_view view = pieces.view(piece);
    const std::size_t begin = out.text.size();
    const bool continues = piece.begin == 0 && start == TextStart::kContinues;
    if (!continues && !view.starts_with(' ')) out.text += ' ';
    out.text += view;
    out.ranges.push_back({begin, out.text.size()});
  }
  pieces = std::move(out);
}

}  // namespace tca::runtime
