// The regular expressions of tokenizer.json are Oniguruma's (Ruby syntax); PCRE2 runs them.
#pragma once

#include <string>
#include <string_view>

namespace tca::runtime {

/// The same expression for PCRE2 (UTF, MULTILINE, newline LF). Unicode classes mean Unicode 16, as in the tokenizers
/// package, whatever tables PCRE2 has. What the two engines would read differently, and constructs that no tokenizer
/// needs, throw kUnsupported naming them. where: file and field for messages.
std::string to_pcre2_syntax(std::string_view pattern, const std::string& where);

/// The same for a literal string.
std::string quote_for_pcre2(std::string_view literal);

/// Characters of a class of \p{...} that were assigned after Unicode 14, PCRE2 10.42's tables, as ranges to put into a
/// bracketed class: "\x{1C89}-\x{1C8A}...". name: a general category of one or two letters, or a script.
std::string newer_members(std::string_view name);

}  // namespace tca::runtime
