// What kind each token of a GGUF file's vocabulary is of.
#pragma once

#include <cstdint>
#include <vector>

#include "runtime/gguf/metadata.h"

namespace tca::runtime {

enum class TokenType : std::uint8_t {
  kNormal = 1,
  kUnknown = 2,
  kControl = 3,
  kUserDefined = 4,
  kUnused = 5,
  kByte = 6,
};

/// Of `count` tokens, normal where the file does not say. Throws kBadFile when it says it of another number of tokens,
/// or a type that there is none of.
std::vector<TokenType> token_types(const Metadata& metadata, std::size_t count);

}  // namespace tca::runtime
