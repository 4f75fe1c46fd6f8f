#include "runtime/jinja/expression_parser.h"

#include <algorithm>
#include <optional>

namespace tca::runtime::jinja {
namespace {

using Kind = Expression::Kind;
using Type = Token::Type;

constexpr int kMaxParserDepth = 100;
// Chains of operators and filters nest in the tree, not in the parser.
constexpr int kMaxTreeDepth = 400;

// Counts the recursion of a parser's function.
class Deeper {
 public:
  Deeper(int& depth, int line) : depth_(depth) {
    if (++depth_ > kMaxParserDepth) {
      --depth_;
      fail_lacking(line, text("expressions nested deeper than ", kMaxParserDepth, " levels"));
    }
  }
  ~Deeper() { --depth_; }
  Deeper(const Deeper&) = delete;
  Deeper& operator=(const Deeper&) = delete;

 private:
  int& depth_;
};

struct Symbol {
  std::string_view text;
  Operator op;
};

template <std::size_t n>
std::optional<Operator> operator_at(const TokenStream& tokens, const Symbol (&symbols)[n]) {
  if (!tokens.at(Type::kOperator)) return std::nullopt;
  for (const Symbol& symbol : symbols) {
    if (tokens.current().text == symbol.text) return symbol.op;
  }
  return std::nullopt;
}

bool can_assign(const Expression& target) {
  if (target.kind == Kind::kName || target.kind == Kind::kNamespace) return true;
  return target.kind == Kind::kTuple && std::all_of(target.operands.begin(), target.operands.end(),
                                                    [](const ExpressionPtr& part) { return can_assign(*part); });
}

}  // namespace

ExpressionPtr ExpressionParser::make(Kind kind, int line) const {
  auto expression = std::make_unique<Expression>();
  expression->kind = kind;
  expression->line = line;
  return expression;
}

ExpressionPtr ExpressionParser::finish(ExpressionPtr expression) const {
  int depth = 0;
  const auto count = [&](const ExpressionPtr& part) { depth = std::max(depth, part == nullptr ? 0 : part->depth); };
  for (const ExpressionPtr& part : expression->operands) count(part);
  for (const Keyword& keyword : expression->keywords) count(keyword.value);
  count(expression->spread);
  count(expression->keyword_spread);
  expression->depth = depth + 1;
  if (expression->depth > kMaxTreeDepth) {
    fail_lacking(expression->line, text("an expression of more than ", kMaxTreeDepth, " operations one in another"));
  }
  return expression;
}

ExpressionPtr ExpressionParser::pair(Kind kind, int line, ExpressionPtr left, ExpressionPtr right) const {
  ExpressionPtr expression = make(kind, line);
  expression->operands.push_back(std::move(left));
  if (right != nullptr) expression->operands.push_back(std::move(right));
  return finish(std::move(expression));
}

ExpressionPtr ExpressionParser::operation(Operator op, int line, ExpressionPtr left, ExpressionPtr right) const {
  const Kind kind = right == nullptr ? Kind::kUnary : Kind::kBinary;
  ExpressionPtr expression = pair(kind, line, std::move(left), std::move(right));
  expression->operators.push_back(op);
  return expression;
}

bool ExpressionParser::at_tuple_end(std::string_view end_name) const {
  return tokens_.at(Type::kVariableEnd) || tokens_.at(Type::kBlockEnd) || tokens_.at_symbol(")") ||
         (!end_name.empty() && tokens_.at_name(end_name));
}

ExpressionPtr ExpressionParser::tuple_of(const TupleForm& form) {
  const int line = tokens_.line();
  std::vector<ExpressionPtr> parts;
  bool is_tuple = false;
  while (true) {
    if (!parts.empty()) tokens_.expect_symbol(",");
    if (at_tuple_end(form.end_name)) break;
    parts.push_back(form.is_target ? primary(form.with_namespace) : expression(form.with_conditional));
    if (!tokens_.at_symbol(",")) break;
    is_tuple = true;
  }
  if (!is_tuple && !parts.empty()) return std::move(parts.front());
  if (!is_tuple && !form.in_parentheses) {
    tokens_.fail_here(text("expected an expression, found ", TokenStream::describe(tokens_.current())));
  }
  ExpressionPtr result = make(Kind::kTuple, line);
  result->operands = std::move(parts);
  return finish(std::move(result));
}

ExpressionPtr ExpressionParser::target(bool with_namespace, std::string_view end_name) {
  const int line = tokens_.line();
  ExpressionPtr result = tuple_of({.end_name = end_name, .is_target = true, .with_namespace = with_namespace});
  if (!can_assign(*result)) fail_syntax(line, "this cannot be assigned to");
  return result;
}

std::string ExpressionParser::name_target() {
  const int line = tokens_.line();
  std::string name = tokens_.expect_name();
  constexpr std::string_view kConstants[] = {"true", "false", "none", "True", "False", "None"};
  if (std::find(std::begin(kConstants), std::end(kConstants), name) != std::end(kConstants)) {
    fail_syntax(line, text("'", name, "' cannot be assigned to"));
  }
  return name;
}

ExpressionPtr ExpressionParser::expression(bool with_conditional) {
  const Deeper deeper(depth_, tokens_.line());
  return with_conditional ? conditional() : disjunction();
}

ExpressionPtr ExpressionParser::conditional() {
  const Deeper deeper(depth_, tokens_.line());
  int line = tokens_.line();
  ExpressionPtr result = disjunction();
  while (tokens_.skip_name("if")) {
    ExpressionPtr test = disjunction();
    ExpressionPtr otherwise = tokens_.skip_name("else") ? conditional() : nullptr;
    ExpressionPtr whole = make(Kind::kConditional, line);
    whole->operands.push_back(std::move(test));
    whole->operands.push_back(std::move(result));
    whole->operands.push_back(std::move(otherwise));
    result = finish(std::move(whole));
    line = tokens_.line();
  }
  return result;
}

ExpressionPtr ExpressionParser::disjunction() {
  int line = tokens_.line();
  ExpressionPtr left = conjunction();
  while (tokens_.skip_name("or")) {
    left = pair(Kind::kOr, line, std::move(left), conjunction());
    line = tokens_.line();
  }
  return left;
}

ExpressionPtr ExpressionParser::conjunction() {
  int line = tokens_.line();
  ExpressionPtr left = negation();
  while (tokens_.skip_name("and")) {
    left = pair(Kind::kAnd, line, std::move(left), negation());
    line = tokens_.line();
  }
  return left;
}

ExpressionPtr ExpressionParser::negation() {
  const int line = tokens_.line();
  if (!tokens_.skip_name("not")) return comparison();
  const Deeper deeper(depth_, line);
  return pair(Kind::kNot, line, negation(), nullptr);
}

ExpressionPtr ExpressionParser::comparison() {
  static constexpr Symbol kSymbols[] = {{"==", Operator::kEqual},  {"!=", Operator::kNotEqual},
                                        {"<", Operator::kLess},    {"<=", Operator::kLessEqual},
                                        {">", Operator::kGreater}, {">=", Operator::kGreaterEqual}};
  const int line = tokens_.line();
  ExpressionPtr first = sum();
  std::vector<Operator> operators;
  std::vector<ExpressionPtr> rest;
  while (true) {
    if (const auto op = operator_at(tokens_, kSymbols)) {
      tokens_.next();
      operators.push_back(*op);
    } else if (tokens_.skip_name("in")) {
      operators.push_back(Operator::kIn);
    } else if (tokens_.at_name("not") && tokens_.look().type == Type::kName && tokens_.look().text == "in") {
      tokens_.next();
      tokens_.next();
      operators.push_back(Operator::kNotIn);
    } else {
      break;
    }
    rest.push_back(sum());
  }
  if (operators.empty()) return first;
  ExpressionPtr result = make(Kind::kCompare, line);
  result->operands.push_back(std::move(first));
  for (ExpressionPtr& operand : rest) result->operands.push_back(std::move(operand));
  result->operators = std::move(operators);
  return finish(std::move(result));
}

ExpressionPtr ExpressionParser::sum() {
  static constexpr Symbol kSymbols[] = {{"+", Operator::kAdd}, {"-", Operator::kSubtract}};
  int line = tokens_.line();
  ExpressionPtr left = concatenation();
  while (const auto op = operator_at(tokens_, kSymbols)) {
    tokens_.next();
    left = operation(*op, line, std::move(left), concatenation());
    line = tokens_.line();
  }
  return left;
}

ExpressionPtr ExpressionParser::concatenation() {
  const int line = tokens_.line();
  ExpressionPtr first = product();
  if (!tokens_.at_symbol("~")) return first;
  ExpressionPtr result = make(Kind::kConcat, line);
  result->operands.push_back(std::move(first));
  while (tokens_.skip_symbol("~")) result->operands.push_back(product());
  return finish(std::move(result));
}

ExpressionPtr ExpressionParser::product() {
  static constexpr Symbol kSymbols[] = {
      {"*", Operator::kMultiply}, {"/", Operator::kDivide}, {"//", Operator::kFloorDivide}, {"%", Operator::kModulo}};
  int line = tokens_.line();
  ExpressionPtr left = power();
  while (const auto op = operator_at(tokens_, kSymbols)) {
    tokens_.next();
    left = operation(*op, line, std::move(left), power());
    line = tokens_.line();
  }
  return left;
}

ExpressionPtr ExpressionParser::power() {
  int line = tokens_.line();
  ExpressionPtr left = unary();
  while (tokens_.skip_symbol("**")) {
    left = operation(Operator::kPower, line, std::move(left), unary());
    line = tokens_.line();
  }
  return left;
}

// A sign binds closer than filters: -1|abs is (-1)|abs.
ExpressionPtr ExpressionParser::unary(bool with_filters) {
  const int line = tokens_.line();
  ExpressionPtr result;
  if (tokens_.at_symbol("-") || tokens_.at_symbol("+")) {
    const Deeper deeper(depth_, line);
    const Operator op = tokens_.next().text == "-" ? Operator::kNegative : Operator::kPositive;
    result = operation(op, line, unary(false), nullptr);
  } else {
    result = primary();
  }
  result = postfix(std::move(result));
  return with_filters ? filters_and_tests(std::move(result)) : std::move(result);
}

}  // namespace tca::runtime::jinja
