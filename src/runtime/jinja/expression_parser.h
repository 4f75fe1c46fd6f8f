// Expressions by precedence, lowest first: conditional, or, and, not, comparisons, + -, ~, * / // %, **, unary, postfix
// and filters.
#pragma once

#include "runtime/jinja/ast.h"
#include "runtime/jinja/token_stream.h"

namespace tca::runtime::jinja {

class ExpressionParser {
 public:
  explicit ExpressionParser(TokenStream& tokens) : tokens_(tokens) {}

  ExpressionPtr expression(bool with_conditional = true);
  /// One expression, or several with commas between: a tuple. end_name ends it too, where it is not empty.
  ExpressionPtr tuple(bool with_conditional = true, std::string_view end_name = {}) {
    return tuple_of({.with_conditional = with_conditional, .end_name = end_name});
  }
  /// What can be assigned to.
  ExpressionPtr target(bool with_namespace, std::string_view end_name = {});
  /// A name to assign to.
  std::string name_target();
  /// "name(arguments) | name ..." on the given input, which is null in a block.
  ExpressionPtr filters(ExpressionPtr input, bool begins_with_name);

 private:
  struct TupleForm {
    bool with_conditional = true;
    std::string_view end_name = {};
    bool is_target = false;
    bool with_namespace = false;
    bool in_parentheses = false;
  };
  ExpressionPtr make(Expression::Kind kind, int line) const;
  /// Its depth comes from its parts, which are all there.
  ExpressionPtr finish(ExpressionPtr expression) const;
  ExpressionPtr pair(Expression::Kind kind, int line, ExpressionPtr left, ExpressionPtr right) const;
  ExpressionPtr operation(Operator op, int line, ExpressionPtr left, ExpressionPtr right) const;

  ExpressionPtr tuple_of(const TupleForm& form);
  bool at_tuple_end(std::string_view end_name) const;
  ExpressionPtr conditional();
  ExpressionPtr disjunction();
  ExpressionPtr conjunction();
  ExpressionPtr negation();
  ExpressionPtr comparison();
  ExpressionPtr sum();
  ExpressionPtr concatenation();
  ExpressionPtr product();
  ExpressionPtr power();
  ExpressionPtr unary(bool with_filters = true);
  ExpressionPtr primary(bool with_namespace = false);
  ExpressionPtr named(const Token& token, bool with_namespace);
  ExpressionPtr list();
  ExpressionPtr dict();
  ExpressionPtr postfix(ExpressionPtr expression);
  ExpressionPtr filters_and_tests(ExpressionPtr expression);
  ExpressionPtr subscript(ExpressionPtr expression);
  ExpressionPtr bracketed(ExpressionPtr expression, int line);
  ExpressionPtr slice(ExpressionPtr of, ExpressionPtr start, int line);
  ExpressionPtr test(ExpressionPtr expression);
  ExpressionPtr call(ExpressionPtr callee);
  void arguments(Expression& call);
  void argument(Expression& call);

  TokenStream& tokens_;
  int depth_ = 0;
};

}  // namespace tca::runtime::jinja
