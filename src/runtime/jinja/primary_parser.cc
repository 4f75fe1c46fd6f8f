// The parts of expressions that bind closest: literals, names, subscripts, calls, filters and tests.
#include "runtime/jinja/expression_parser.h"

namespace tca::runtime::jinja {
namespace {

using Kind = Expression::Kind;
using Type = Token::Type;

}  // namespace

ExpressionPtr ExpressionParser::named(const Token& token, bool with_namespace) {
  ExpressionPtr result = make(Kind::kConstant, token.line);
  if (token.text == "true" || token.text == "True") {
    result->constant = Value::boolean(true);
  } else if (token.text == "false" || token.text == "False") {
    result->constant = Value::boolean(false);
  } else if (token.text == "none" || token.text == "None") {
    result->constant = Value::none();
  } else {
    const bool has_attribute = with_namespace && tokens_.skip_symbol(".");
    result->kind = has_attribute ? Kind::kNamespace : Kind::kName;
    result->name = token.text;
    if (has_attribute) result->attribute = tokens_.expect_name();
  }
  return result;
}

ExpressionPtr ExpressionParser::primary(bool with_namespace) {
  if (tokens_.at_symbol("[")) return list();
  if (tokens_.at_symbol("{")) return dict();
  const Token token = tokens_.next();
  ExpressionPtr result = make(Kind::kConstant, token.line);
  if (token.type == Type::kName) return named(token, with_namespace);
  if (token.type == Type::kString) {
    std::string joined = token.text;  // strings one after the other are one
    while (tokens_.at(Type::kString)) joined += tokens_.next().text;
    result->constant = Value::string(joined, Origin::kTrusted);
  } else if (token.type == Type::kInteger) {
    result->constant = Value::integer(token.integer);
  } else if (token.type == Type::kFloat) {
    result->constant = Value::real(token.real);
  } else if (token.type == Type::kOperator && token.text == "(") {
    result = tuple_of({.in_parentheses = true});
    tokens_.expect_symbol(")");
  } else {
    fail_syntax(token.line, text("unexpected ", TokenStream::describe(token)));
  }
  return result;
}

ExpressionPtr ExpressionParser::list() {
  ExpressionPtr result = make(Kind::kList, tokens_.line());
  tokens_.expect_symbol("[");
  while (!tokens_.at_symbol("]")) {
    if (!result->operands.empty()) tokens_.expect_symbol(",");
    if (tokens_.at_symbol("]")) break;
    result->operands.push_back(expression());
  }
  tokens_.expect_symbol("]");
  return finish(std::move(result));
}

ExpressionPtr ExpressionParser::dict() {
  ExpressionPtr result = make(Kind::kDict, tokens_.line());
  tokens_.expect_symbol("{");
  while (!tokens_.at_symbol("}")) {
    if (!result->operands.empty()) tokens_.expect_symbol(",");
    if (tokens_.at_symbol("}")) break;
    result->operands.push_back(expression());
    tokens_.expect_symbol(":");
    result->operands.push_back(expression());
  }
  tokens_.expect_symbol("}");
  return finish(std::move(result));
}

ExpressionPtr ExpressionParser::postfix(ExpressionPtr expression) {
  while (true) {
    if (tokens_.at_symbol(".") || tokens_.at_symbol("[")) {
      expression = subscript(std::move(expression));
    } else if (tokens_.at_symbol("(")) {
      expression = call(std::move(expression));
    } else {
      return expression;
    }
  }
}

ExpressionPtr ExpressionParser::filters_and_tests(ExpressionPtr expression) {
  while (true) {
    if (tokens_.at_symbol("|")) {
      expression = filters(std::move(expression), false);
    } else if (tokens_.at_name("is")) {
      expression = test(std::move(expression));
    } else if (tokens_.at_symbol("(")) {
      expression = call(std::move(expression));
    } else {
      return expression;
    }
  }
}

ExpressionPtr ExpressionParser::subscript(ExpressionPtr expression) {
  const int line = tokens_.line();
  if (tokens_.next().text == "[") return bracketed(std::move(expression), line);
  const Token token = tokens_.next();
  if (token.type == Type::kName) {
    ExpressionPtr result = pair(Kind::kAttribute, line, std::move(expression), nullptr);
    result->attribute = token.text;
    return result;
  }
  if (token.type != Type::kInteger) fail_syntax(token.line, "expected a name or a number behind '.'");
  ExpressionPtr index = make(Kind::kConstant, token.line);
  index->constant = Value::integer(token.integer);
  return pair(Kind::kItem, line, std::move(expression), std::move(index));
}

ExpressionPtr ExpressionParser::bracketed(ExpressionPtr of, int line) {
  std::vector<ExpressionPtr> parts;
  while (!tokens_.at_symbol("]")) {
    if (!parts.empty()) tokens_.expect_symbol(",");
    ExpressionPtr part = tokens_.at_symbol(":") ? nullptr : expression();
    if (tokens_.at_symbol(":")) {
      ExpressionPtr result = slice(std::move(of), std::move(part), line);
      if (!parts.empty() || !tokens_.at_symbol("]")) fail_lacking(line, "several slices in one pair of brackets");
      tokens_.next();
      return result;
    }
    parts.push_back(std::move(part));
  }
  tokens_.next();
  if (parts.size() == 1) return pair(Kind::kItem, line, std::move(of), std::move(parts.front()));
  ExpressionPtr key = make(Kind::kTuple, line);
  key->operands = std::move(parts);
  return pair(Kind::kItem, line, std::move(of), finish(std::move(key)));
}

ExpressionPtr ExpressionParser::slice(ExpressionPtr of, ExpressionPtr start, int line) {
  const auto is_absent = [&] { return tokens_.at_symbol(":") || tokens_.at_symbol("]") || tokens_.at_symbol(","); };
  tokens_.expect_symbol(":");
  ExpressionPtr stop = is_absent() ? nullptr : expression();
  ExpressionPtr step = tokens_.skip_symbol(":") && !is_absent() ? expression() : nullptr;
  ExpressionPtr result = make(Kind::kSlice, line);
  for (ExpressionPtr* part : {&of, &start, &stop, &step}) result->operands.push_back(std::move(*part));
  return finish(std::move(result));
}

ExpressionPtr ExpressionParser::filters(ExpressionPtr input, bool begins_with_name) {
  while (begins_with_name || tokens_.skip_symbol("|")) {
    begins_with_name = false;
    ExpressionPtr result = make(Kind::kFilter, tokens_.line());
    result->name = tokens_.expect_name();
    while (tokens_.skip_symbol(".")) result->name.append(1, '.').append(tokens_.expect_name());
    result->operands.push_back(std::move(input));
    if (tokens_.at_symbol("(")) arguments(*result);
    input = finish(std::move(result));
  }
  return input;
}

ExpressionPtr ExpressionParser::test(ExpressionPtr input) {
  const int line = tokens_.line();
  tokens_.expect_word("is");
  const bool is_negated = tokens_.skip_name("not");
  ExpressionPtr result = make(Kind::kTest, line);
  result->name = tokens_.expect_name();
  while (tokens_.skip_symbol(".")) result->name.append(1, '.').append(tokens_.expect_name());
  result->operands.push_back(std::move(input));
  const bool has_argument = tokens_.at(Type::kString) || tokens_.at(Type::kInteger) || tokens_.at(Type::kFloat) ||
                            tokens_.at_symbol("[") || tokens_.at_symbol("{") ||
                            (tokens_.at(Type::kName) && !tokens_.at_any_name({"else", "or", "and"}));
  if (tokens_.at_symbol("(")) {
    arguments(*result);
  } else if (has_argument) {
    if (tokens_.at_name("is")) tokens_.fail_here("tests cannot be chained with 'is'");
    result->operands.push_back(postfix(primary()));
  }
  result = finish(std::move(result));
  return is_negated ? pair(Kind::kNot, line, std::move(result), nullptr) : std::move(result);
}

ExpressionPtr ExpressionParser::call(ExpressionPtr callee) {
  ExpressionPtr result = make(Kind::kCall, tokens_.line());
  result->operands.push_back(std::move(callee));
  arguments(*result);
  return finish(std::move(result));
}

void ExpressionParser::arguments(Expression& call) {
  tokens_.expect_symbol("(");
  bool is_first = true;
  while (!tokens_.at_symbol(")")) {
    if (!is_first) {
      tokens_.expect_symbol(",");
      if (tokens_.at_symbol(")")) break;
    }
    is_first = false;
    argument(call);
  }
  tokens_.expect_symbol(")");
}

void ExpressionParser::argument(Expression& call) {
  const auto ensure = [&](bool fine) {
    if (!fine) tokens_.fail_here("arguments in an order that a call cannot have");
  };
  if (tokens_.skip_symbol("*")) {
    ensure(call.spread == nullptr && call.keyword_spread == nullptr);
    call.spread = expression();
  } else if (tokens_.skip_symbol("**")) {
    ensure(call.keyword_spread == nullptr);
    call.keyword_spread = expression();
  } else if (tokens_.at(Type::kName) && tokens_.look().type == Type::kOperator && tokens_.look().text == "=") {
    ensure(call.keyword_spread == nullptr);
    const std::string name = tokens_.next().text;
    tokens_.next();
    for (const Keyword& keyword : call.keywords) {
      if (keyword.name == name) tokens_.fail_here(text("the argument '", name, "' is given twice"));
    }
    call.keywords.push_back({name, expression()});
  } else {
    ensure(call.spread == nullptr && call.keyword_spread == nullptr && call.keywords.empty());
    call.operands.push_back(expression());
  }
}

}  // namespace tca::runtime::jinja
