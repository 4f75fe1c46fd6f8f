// tokenizer.json files small enough to work out by hand.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "runtime/tokenizer/tokenizer.h"

namespace tca::testing {

using Ids = std::vector<std::int32_t>;

/// Byte-level: ids 0..255 are the bytes; 256 "th", 257 "the", 258 "Ġthe" (a space and "the"), 259 "aa", 260 "aaaa".
/// Added: 261 <|begin|>, 262 <|end|> (both special), 263 two spaces. Begins with <|begin|>.
nlohmann::json byte_level_config();

/// Metaspace with byte fallback: 0 <unk>, 1 <s>, 2 </s>, 3..258 the bytes, 259 ▁, 260.. a b c d, 264 "▁a", 265 "ab",
/// 266 "▁ab", 267 "▁▁". Begins with <s>.
nlohmann::json byte_fallback_config();

/// An added token; flags: a subset of "single_word lstrip rstrip normalized special".
nlohmann::json added_token(std::int32_t id, const std::string& content, const std::string& flags);

runtime::Tokenizer tokenizer_of(const nlohmann::json& config);

}  // namespace tca::testing
