// The parser's view of the tokens.
#pragma once

#include <initializer_list>
#include <string>
#include <string_view>
#include <vector>

#include "core/check.h"
#include "runtime/jinja/lexer.h"

namespace tca::runtime::jinja {

class TokenStream {
 public:
  explicit TokenStream(std::vector<Token> tokens) : tokens_(std::move(tokens)) {}

  const Token& current() const { return tokens_[position_]; }
  const Token& look() const { return tokens_[position_ + (position_ + 1 < tokens_.size())]; }
  std::size_t position() const { return position_; }
  void go_to(std::size_t position) { position_ = position; }
  int line() const { return current().line; }
  /// The current token; the stream goes on, but never behind the end.
  Token next() {
    Token token = current();
    position_ += position_ + 1 < tokens_.size();
    return token;
  }
  bool at(Token::Type type) const { return current().type == type; }
  bool at_name(std::string_view name) const { return at(Token::Type::kName) && current().text == name; }
  bool at_symbol(std::string_view symbol) const { return at(Token::Type::kOperator) && current().text == symbol; }
  bool at_any_name(std::initializer_list<std::string_view> names) const {
    for (const std::string_view name : names) {
      if (at_name(name)) return true;
    }
    return false;
  }
  bool skip_name(std::string_view name) { return at_name(name) && (next(), true); }
  bool skip_symbol(std::string_view symbol) { return at_symbol(symbol) && (next(), true); }

  Token expect(Token::Type type, std::string_view what) {
    if (!at(type)) fail_here(text("expected ", what, ", found ", describe(current())));
    return next();
  }
  std::string expect_name() { return expect(Token::Type::kName, "a name").text; }
  void expect_symbol(std::string_view symbol) {
    if (!skip_symbol(symbol)) fail_here(text("expected '", symbol, "', found ", describe(current())));
  }
  void expect_word(std::string_view name) {
    if (!skip_name(name)) fail_here(text("expected '", name, "', found ", describe(current())));
  }

  [[noreturn]] void fail_here(const std::string& message) const { fail_syntax(line(), message); }

  static std::string describe(const Token& token) {
    switch (token.type) {
      case Token::Type::kName:
      case Token::Type::kOperator:
        return text("'", token.text, "'");
      case Token::Type::kString:
        return "a string";
      case Token::Type::kInteger:
      case Token::Type::kFloat:
        return "a number";
      case Token::Type::kVariableEnd:
        return "'}}'";
      case Token::Type::kBlockEnd:
        return "'%}'";
      case Token::Type::kEnd:
        return "the end of the template";
      default:
        return "text";
    }
  }

 private:
  std::vector<Token> tokens_;
  std::size_t position_ = 0;
};

}  // namespace tca::runtime::jinja
