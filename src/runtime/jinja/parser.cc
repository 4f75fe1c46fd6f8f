#include "runtime/jinja/parser.h"

#include <algorithm>
#include <initializer_list>

#include "runtime/jinja/expression_parser.h"
#include "runtime/jinja/token_stream.h"

namespace tca::runtime::jinja {
namespace {

using Kind = Statement::Kind;
using Type = Token::Type;
using Names = std::initializer_list<std::string_view>;

constexpr int kMaxBlockDepth = 100;

class StatementParser {
 public:
  explicit StatementParser(std::string_view source) : tokens_(tokenize(source)), expressions_(tokens_) {}

  Statements run() { return statements({}); }

 private:
  // Statements up to the block that begins with one of the names, whose name is then the current token; with no names,
  // up to the end.
  Statements statements(Names ends) {
    if (++depth_ > kMaxBlockDepth) fail_lacking(tokens_.line(), text("blocks nested deeper than ", kMaxBlockDepth));
    Statements result;
    bool is_open = true;
    while (is_open && !tokens_.at(Type::kEnd)) is_open = one_statement(result, ends);
    if (is_open && ends.size() > 0)
      tokens_.fail_here(text("the template ends inside of a block; expected ", list(ends)));
    --depth_;
    return result;
  }

  // false when a block begins with one of `ends`.
  bool one_statement(Statements& result, Names ends) {
    const Token token = tokens_.next();
    if (token.type == Type::kData) {
      result.push_back(make(Kind::kText, token.line));
      result.back().text = token.text;
    } else if (token.type == Type::kVariableBegin) {
      result.push_back(make(Kind::kOutput, token.line));
      result.back().expressions.push_back(expressions_.tuple());
      tokens_.expect(Type::kVariableEnd, "'}}'");
    } else {
      if (tokens_.at_any_name(ends)) return false;
      result.push_back(block());
      tokens_.expect(Type::kBlockEnd, "'%}'");
    }
    return true;
  }

  static std::string list(Names names) {
    std::string result;
    for (const std::string_view name : names) result += text(result.empty() ? "'" : " or '", name, "'");
    return result;
  }

  static Statement make(Kind kind, int line) {
    Statement statement;
    statement.kind = kind;
    statement.line = line;
    return statement;
  }

  // The body of a block: what follows its "%}". ":" before that is allowed.
  Statements body(Names ends) {
    tokens_.skip_symbol(":");
    tokens_.expect(Type::kBlockEnd, "'%}'");
    return statements(ends);
  }
  Statements body_to(std::string_view end) {
    Statements result = body({end});
    tokens_.expect_word(end);
    return result;
  }

  Statement block() {
    const int line = tokens_.line();
    const std::string name = tokens_.expect(Type::kName, "the name of a block").text;
    if (name == "if") return if_block(line);
    if (name == "for") return for_block(line);
    if (name == "set") return set_block(line);
    if (name == "macro") return macro(line);
    if (name == "call") return call_block(line);
    if (name == "filter") return filter_block(line);
    if (name == "with") return with_block(line);
    if (name == "print") return print(line);
    if (name == "generation") return generation(line);
    if (name == "break" || name == "continue") return loop_control(line, name);
    constexpr std::string_view kLacking[] = {"autoescape", "block", "extends", "include", "import", "from"};
    if (std::find(std::begin(kLacking), std::end(kLacking), name) != std::end(kLacking)) {
      fail_lacking(line, text("'{% ", name, " %}'"));
    }
    if (name.substr(0, 3) == "end" || name == "else" || name == "elif") {
      fail_syntax(line, text("'{% ", name, " %}' without its beginning"));
    }
    // The tags of extensions that Transformers does not switch on are unknown to it too.
    fail_lacking(line, text("unknown tag '", name, "'"));
  }

  Statement if_block(int line) {
    Statement result = make(Kind::kIf, line);
    while (true) {
      result.expressions.push_back(expressions_.tuple(false));
      result.bodies.push_back(body({"elif", "else", "endif"}));
      if (tokens_.skip_name("elif")) continue;
      if (tokens_.skip_name("else")) {
        result.bodies.push_back(body_to("endif"));
      } else {
        tokens_.expect_word("endif");
      }
      return result;
    }
  }

  Statement for_block(int line) {
    Statement result = make(Kind::kFor, line);
    result.loop = std::make_unique<Statement::Loop>();
    Statement::Loop& loop = *result.loop;
    const std::size_t target = tokens_.position();
    loop.target = expressions_.target(false, "in");
    tokens_.expect_word("in");
    loop.iterable = expressions_.tuple(false, "recursive");
    if (tokens_.skip_name("if")) {
      loop.test = expressions_.expression();
      const std::size_t rest = tokens_.position();
      tokens_.go_to(target);  // which is assigned to in the test's function as well
      loop.test_target = expressions_.target(false, "in");
      tokens_.go_to(rest);
    }
    loop.is_recursive = tokens_.skip_name("recursive");
    const int outer_loops = std::exchange(loops_, loop.is_recursive ? 1 : loops_ + 1);
    result.bodies.push_back(body({"endfor", "else"}));
    loops_ = loop.is_recursive ? 0 : outer_loops;
    loop.has_else = tokens_.skip_name("else");
    if (loop.has_else) {
      result.bodies.push_back(body_to("endfor"));
    } else {
      tokens_.expect_word("endfor");
    }
    loops_ = outer_loops;
    return result;
  }

  Statement set_block(int line) {
    ExpressionPtr target = expressions_.target(true);
    const bool is_block = !tokens_.skip_symbol("=");
    Statement result = make(is_block ? Kind::kSetBlock : Kind::kSet, line);
    result.target = std::move(target);
    if (is_block) {
      result.value = expressions_.filters(nullptr, false);
      result.bodies.push_back(body_to("endset"));
    } else {
      result.value = expressions_.tuple();
    }
    return result;
  }

  void signature(Function& function) {
    tokens_.expect_symbol("(");
    while (!tokens_.at_symbol(")")) {
      if (!function.parameters.empty()) tokens_.expect_symbol(",");
      const std::string name = expressions_.name_target();
      const auto& names = function.parameters;
      if (std::find(names.begin(), names.end(), name) != names.end()) {
        tokens_.fail_here(text("the parameter '", name, "' occurs twice"));
      }
      function.parameters.push_back(name);
      if (tokens_.skip_symbol("=")) {
        function.defaults.push_back(expressions_.expression());
      } else if (!function.defaults.empty()) {
        tokens_.fail_here(text("the parameter '", name, "' needs a default, as one before it has one"));
      }
    }
    tokens_.expect_symbol(")");
  }

  Statements function_body(std::string_view end) {
    const int outer_loops = std::exchange(loops_, 0);
    Statements result = body_to(end);
    loops_ = outer_loops;
    return result;
  }

  Statement macro(int line) {
    Statement result = make(Kind::kMacro, line);
    result.target = std::make_unique<Expression>();
    result.target->kind = Expression::Kind::kName;
    result.target->line = line;
    result.target->name = expressions_.name_target();
    result.function = std::make_unique<Function>();
    result.function->name = result.target->name;
    signature(*result.function);
    result.bodies.push_back(function_body("endmacro"));
    return result;
  }

  Statement call_block(int line) {
    Statement result = make(Kind::kCallBlock, line);
    result.function = std::make_unique<Function>();
    if (tokens_.at_symbol("(")) signature(*result.function);
    result.value = expressions_.expression();
    if (result.value->kind != Expression::Kind::kCall) fail_syntax(line, "expected a call behind 'call'");
    result.bodies.push_back(function_body("endcall"));
    return result;
  }

  Statement generation(int line) {
    Statement result = make(Kind::kGeneration, line);
    result.function = std::make_unique<Function>();
    result.bodies.push_back(function_body("endgeneration"));
    return result;
  }

  Statement filter_block(int line) {
    Statement result = make(Kind::kFilterBlock, line);
    result.value = expressions_.filters(nullptr, true);
    result.bodies.push_back(body_to("endfilter"));
    return result;
  }

  Statement with_block(int line) {
    Statement result = make(Kind::kWith, line);
    while (!tokens_.at(Type::kBlockEnd)) {
      if (!result.expressions.empty()) tokens_.expect_symbol(",");
      result.expressions.push_back(expressions_.target(false));
      tokens_.expect_symbol("=");
      result.values.push_back(expressions_.expression());
    }
    result.bodies.push_back(body_to("endwith"));
    return result;
  }

  Statement print(int line) {
    Statement result = make(Kind::kOutput, line);
    while (!tokens_.at(Type::kBlockEnd)) {
      if (!result.expressions.empty()) tokens_.expect_symbol(",");
      result.expressions.push_back(expressions_.expression());
    }
    return result;
  }

  Statement loop_control(int line, const std::string& name) {
    if (loops_ == 0) fail_syntax(line, text("'", name, "' outside of a loop"));
    return make(name == "break" ? Kind::kBreak : Kind::kContinue, line);
  }

  TokenStream tokens_;
  ExpressionParser expressions_;
  int depth_ = 0;
  int loops_ = 0;  // around what is parsed, in the same function
};

}  // namespace

Statements parse_statements(std::string_view source) { return StatementParser(source).run(); }

}  // namespace tca::runtime::jinja
