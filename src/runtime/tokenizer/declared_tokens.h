// Added tokens that stand beside tokenizer.json: "added_tokens_decoder" of tokenizer_config.json, added_tokens.json.
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <unordered_map>
#include <vector>

#include "runtime/tokenizer/added_tokens.h"

namespace tca::runtime {

/// dir's tokens, by id; none where the files are missing. added_tokens.json counts where tokenizer_config.json has no
/// added_tokens_decoder. Throws tca::Error naming file, field and value.
std::vector<AddedToken> read_declared_tokens(const std::string& dir);
/// The same from tokenizer_config.json's content.
std::vector<AddedToken> parse_declared_tokens(const nlohmann::json& tokenizer_config, const std::string& file);

/// Joins them to the tokens of tokenizer.json as Transformers does: what that lacks is added under its id, what it has
/// keeps its id and takes the flags declared, but stays special. vocabulary: the model's, by text. Throws kBadFile when
/// an id has another token already.
void add_declared_tokens(const std::vector<AddedToken>& declared,
                         const std::unordered_map<std::string, std::int32_t>& vocabulary,
                         std::vector<AddedToken>& tokens);

}  // namespace tca::runtime
