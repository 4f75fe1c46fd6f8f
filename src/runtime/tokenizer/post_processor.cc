#include "runtime/tokenizer/post_processor.h"

#include "core/check.h"
#include "core/json.h"

namespace tca::runtime {
namespace {

using nlohmann::json;

constexpr std::size_t kMaxIds = 1024;

std::vector<std::int32_t> special_ids(const json& config, const std::string& name, std::int32_t num_ids,
                                      const std::string& where) {
  const json& specials = get_object(config, "special_tokens", where);
  const std::string field = text(where, "special_tokens.", name.substr(0, 40), ".");
  const json& ids = get_array(get_object(specials, name.c_str(), where + "special_tokens."), "ids", field);
  std::vector<std::int32_t> result;
  for (const json& id : ids) {
    if (!id.is_number_unsigned() || id.get<std::uint64_t>() >= static_cast<std::uint64_t>(num_ids)) {
      fail_field(field, "ids[...]", id, text("an id in [0, ", num_ids, ")"));
    }
    result.push_back(id.get<std::int32_t>());
  }
  return result;
}

}  // namespace

PostProcessor PostProcessor::parse(const json& config, std::int32_t num_ids, const std::string& where) {
  PostProcessor result;
  if (!config.is_null()) result.add(config, num_ids, where);
  return result;
}

void PostProcessor::add(const json& config, std::int32_t num_ids, const std::string& where) {
  const std::string type = get_string(config, "type", where);
  if (type == "Sequence") {
    for (const json& step : get_array(config, "processors", where)) add(step, num_ids, where);
  } else if (type == "TemplateProcessing") {
    add_template(config, num_ids, where);
  } else if (type != "ByteLevel") {  // that one only moves offsets, which nobody asks for here
    fail(ErrorCategory::kUnsupported,
         text(where, "type is \"", type.substr(0, 40), "\"; supported: ByteLevel, Sequence, TemplateProcessing"));
  }
}

void PostProcessor::add_template(const json& config, std::int32_t num_ids, const std::string& where) {
  std::vector<std::int32_t> front;
  std::vector<std::int32_t> back;
  bool text_seen = false;
  for (const json& item : get_array(config, "single", where)) {
    const std::string field = where + "single.";
    if (!item.is_object()) fail_field(where, "single[...]", item, "an object");
    if (item.contains("SpecialToken")) {
      const std::string name = get_string(get_object(item, "SpecialToken", field), "id", field + "SpecialToken.");
      std::vector<std::int32_t>& side = text_seen ? back : front;
      for (const std::int32_t id : special_ids(config, name, num_ids, where)) side.push_back(id);
    } else {
      const std::string id = get_string(get_object(item, "Sequence", field), "id", field + "Sequence.");
      if (id != "A" || text_seen) fail_field(field, "Sequence.id", id, "A, once");
      text_seen = true;
    }
  }
  if (!text_seen) fail_field(where, "single", config["single"], "an array with the sequence A");
  if (before.size() + after.size() + front.size() + back.size() > kMaxIds) {
    fail(ErrorCategory::kUnsupported, text(where, "single adds more than ", kMaxIds, " ids to every text"));
  }
  before.insert(before.begin(), front.begin(), front.end());
  after.insert(after.end(), back.begin(), back.end());
}

}  // namespace tca::runtime
