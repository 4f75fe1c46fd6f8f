// The "post_processor" of tokenizer.json: ids that go before and after a text.
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

namespace tca::runtime {

struct PostProcessor {
  std::vector<std::int32_t> before, after;

  /// null adds nothing. Throws kUnsupported naming a type that is not supported, kBadFile for ids not below num_ids.
  static PostProcessor parse(const nlohmann::json& config, std::int32_t num_ids, const std::string& where);

 private:
  void add(const nlohmann::json& config, std::int32_t num_ids, const std::string& where);
  void add_template(const nlohmann::json& config, std::int32_t num_ids, const std::string& where);
};

}  // namespace tca::runtime
