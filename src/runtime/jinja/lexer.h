// Template source to tokens, with trim_blocks and lstrip_blocks.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace tca::runtime::jinja {

struct Token {
  enum class Type : std::uint8_t {
    kData,
    kVariableBegin,
    kVariableEnd,
    kBlockBegin,
    kBlockEnd,
    kName,
    kString,
    kInteger,
    kFloat,
    kOperator,
    kEnd,
  };
  Type type = Type::kEnd;
  int line = 1;
  std::string text;  // of data, name, string (unescaped) and operator
  std::int64_t integer = 0;
  double real = 0;
};

/// Throws tca::Error with "<line>: ..." for what is no Jinja. source is valid UTF-8. The last token is kEnd.
std::vector<Token> tokenize(std::string_view source);

/// An error at a line of the template; the name of the template goes before it.
[[noreturn]] void fail_syntax(int line, const std::string& message);
[[noreturn]] void fail_lacking(int line, const std::string& message);

}  // namespace tca::runtime::jinja
