// How byte-level tokenizers cut text into words before merging: the names that GGUF files have for it.
#pragma once

#include <string>

#include "core/json.h"

namespace tca::runtime {

struct PreTokenizerKind {
  bool ignore_merges = false;  // a word that is a token is taken as it is
  bool adds_bos = false;       // unless the file says otherwise
  bool composes = false;       // text is brought to NFC before
};

/// Writes the pre_tokenizer of tokenizer.json. where: the file. Throws kUnsupported for a name that is not known.
PreTokenizerKind write_pre_tokenizer(const std::string& name, const std::string& where, nlohmann::json& out);

}  // namespace tca::runtime
