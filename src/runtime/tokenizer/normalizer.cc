#include "runtime/tokenizer/normalizer.h"

#include "core/check.h"
#include "core/json.h"

namespace tca::runtime {
namespace {

using nlohmann::json;

// Enough for any tokenizer; these bound what a file can make of every text.
constexpr std::size_t kMaxSteps = 32;
constexpr std::size_t kMaxInsertedBytes = 64;
constexpr std::size_t kMaxGrowth = 64;  // NFKD makes 18 characters of one

std::string get_inserted(const json& step, const char* field, const std::string& where) {
  std::string value = get_string(step, field, where);
  if (value.size() > kMaxInsertedBytes) fail_field(where, field, value, text("at most ", kMaxInsertedBytes, " bytes"));
  return value;
}

}  // namespace

Replacement Replacement::parse(const json& step, const std::string& where) {
  Replacement result;
  const json& pattern = get_object(step, "pattern", where);
  result.content_ = get_inserted(step, "content", where);
  if (pattern.contains("String")) {
    result.literal_ = get_string(pattern, "String", where + "pattern.");
    if (result.literal_.empty()) fail_field(where, "pattern.String", "", "a string that is not empty");
    std::size_t position = 0;
    next_code_point(result.literal_, position);
    result.is_single_character_ = position == result.literal_.size();
  } else {
    const std::string field = where + "pattern.";
    result.regex_ = Regex::parse(get_string(pattern, "Regex", field), field + "Regex");
  }
  return result;
}

std::string Replacement::apply(std::string_view text) const {
  std::string out;
  out.reserve(text.size());
  std::size_t copied = 0;
  const auto replace = [&](std::size_t begin, std::size_t end) {
    out.append(text, copied, begin - copied);
    out += content_;
    copied = end;
  };
  if (regex_) {
    for (const Range& match : regex_->find_all(text)) replace(match.begin, match.end);
  } else {
    for (std::size_t at = text.find(literal_); at != std::string_view::npos; at = text.find(literal_, copied)) {
      replace(at, at + literal_.size());
    }
  }
  out.append(text, copied, text.size() - copied);
  return out;
}

Normalizer Normalizer::parse(const json& config, const std::string& where) {
  Normalizer normalizer;
  if (!config.is_null()) normalizer.add(config, where);
  return normalizer;
}

void Normalizer::add(const json& config, const std::string& where) {
  const std::string type = get_string(config, "type", where);
  check_supported(steps_.size() < kMaxSteps, where, "more than ", kMaxSteps, " normalizers in a sequence");
  if (type == "Sequence") {
    for (const json& step : get_array(config, "normalizers", where)) add(step, where);
  } else if (type == "NFC") {
    steps_.emplace_back(UnicodeForm::kNfc);
  } else if (type == "NFD") {
    steps_.emplace_back(UnicodeForm::kNfd);
  } else if (type == "NFKC") {
    steps_.emplace_back(UnicodeForm::kNfkc);
  } else if (type == "NFKD") {
    steps_.emplace_back(UnicodeForm::kNfkd);
  } else if (type == "Prepend") {
    steps_.emplace_back(Prepend{get_inserted(config, "prepend", where)});
  } else if (type == "Replace") {
    steps_.emplace_back(Replacement::parse(config, where));
  } else {
    fail(ErrorCategory::kUnsupported, text(where, "type is \"", type.substr(0, 40),
                                           "\"; supported: NFC, NFD, NFKC, NFKD, Prepend, Replace, Sequence"));
  }
}

std::string Normalizer::apply(std::string_view original, bool prepends) const {
  std::string result(original);
  for (const auto& step : steps_) {
    if (const auto* form = std::get_if<UnicodeForm>(&step)) {
      result = normalize_unicode(result, *form);
    } else if (const auto* prepend = std::get_if<Prepend>(&step)) {
      if (prepends && !result.empty()) result.insert(0, prepend->prefix);
    } else {
      result = std::get<Replacement>(step).apply(result);
    }
    check_supported(result.size() <= kMaxGrowth * (original.size() + 64), "the tokenizer's normalizer makes ",
                    result.size(), " bytes of ", original.size(), "; at most ", kMaxGrowth,
                    " times as many are supported");
  }
  return result;
}

}  // namespace tca::runtime
