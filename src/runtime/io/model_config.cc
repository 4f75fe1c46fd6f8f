#include "runtime/io/model_config.h"

#include <algorithm>
#include <utility>

#include "core/check.h"
#include "core/file.h"
#include "core/json.h"
#include "runtime/gguf/gguf_config.h"
#include "runtime/io/model_folder.h"
#include "runtime/io/parse_config.h"
#include "runtime/spec/architecture.h"

namespace tca::runtime {
namespace {

using nlohmann::json;

constexpr std::size_t kMaxFileBytes = std::size_t{16} << 20;

// Adds the stop tokens of a field that holds one id, several or none. Numbers that are no token's, such as -1 for
// "none", can never be produced.
void add_eos_tokens(const json& config, const std::string& where, ModelConfig& out) {
  const char* const field = "eos_token_id";
  const auto value = config.find(field);
  if (value == config.end() || value->is_null()) return;
  const bool several = value->is_array();
  for (std::size_t i = 0; i < (several ? value->size() : 1); ++i) {
    const json& id = several ? (*value)[i] : *value;
    if (!id.is_number_integer()) fail_field(where, field, id, "a token's id, or an array of such");
    if (id.is_number_unsigned() && id.get<std::uint64_t>() < static_cast<std::uint64_t>(out.vocab_size)) {
      const auto token = id.get<std::int32_t>();
      if (std::find(out.eos_tokens.begin(), out.eos_tokens.end(), token) == out.eos_tokens.end()) {
        out.eos_tokens.push_back(token);
      }
    } else if (id != -1) {
      out.warnings.push_back(
          text(where, ": ", field, " has ", id.dump(), ", but ids go up to ", out.vocab_size - 1, "; it is left out"));
    }
  }
}

JsonDocument read_object(const std::string& path) {
  JsonDocument config(parse_python_json(read_file(path, kMaxFileBytes), path));
  if (!config->is_object()) fail(ErrorCategory::kBadFile, path + ": expected a JSON object");
  return config;
}

// The model can be used without this file, whatever is wrong with it.
void read_generation_config(const std::string& path, ModelConfig& out) {
  if (!has_entry(path)) return;
  ModelConfig with = out;
  try {
    add_eos_tokens(*read_object(path), path, with);
    out = std::move(with);
  } catch (const Error& error) {
    out.warnings.push_back(text(error.what(), "; the file is left out, and its stop tokens with it"));
  }
}

}  // namespace

ModelConfig ModelConfig::load(const std::string& path) {
  if (const std::string gguf = find_gguf(path); !gguf.empty()) {
    return parse_config(*gguf_config(GgufFile::open(gguf)), gguf);
  }
  const std::string file = path + "/config.json";
  if (!has_entry(file)) fail_without(path, ModelPart::kConfig);
  ModelConfig result = parse_config(*read_object(file), file);
  read_generation_config(path + "/generation_config.json", result);
  return result;
}

ModelConfig parse_config(const json& config, const std::string& where) {
  ModelConfig result{describe_model(config, where)};
  add_eos_tokens(config, where, result);
  return result;
}

}  // namespace tca::runtime
