// A parsed template.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "runtime/jinja/value.h"

namespace tca::runtime::jinja {

/// A variable: slot `slot` of the function that is `hops` functions further out.
struct VariableRef {
  int hops = 0;
  int slot = -1;
};

enum class Operator : std::uint8_t {
  kAdd,
  kSubtract,
  kMultiply,
  kDivide,
  kFloorDivide,
  kModulo,
  kPower,
  kPositive,
  kNegative,
  kEqual,
  kNotEqual,
  kLess,
  kLessEqual,
  kGreater,
  kGreaterEqual,
  kIn,
  kNotIn,
};

struct Expression;
using ExpressionPtr = std::unique_ptr<Expression>;

struct Keyword {
  std::string name;
  ExpressionPtr value;
};

struct Expression {
  enum class Kind : std::uint8_t {
    kConstant,     // constant
    kName,         // name, variable
    kNamespace,    // name.attribute as a target: name, attribute, variable
    kTuple,        // operands
    kList,         // operands
    kDict,         // operands: key, value, key, ...
    kUnary,        // operators[0], operands[0]
    kBinary,       // operators[0], operands[0..1]
    kAnd,          // operands[0..1]
    kOr,           // operands[0..1]
    kNot,          // operands[0]
    kConcat,       // operands
    kCompare,      // operands; operators[i] stands between i and i + 1
    kConditional,  // operands: test, then, else or null
    kAttribute,    // operands[0], attribute
    kItem,         // operands[0], operands[1]
    kSlice,        // operands: of what, start, stop, step; the last three may be null
    kCall,         // operands: callee, arguments...; keywords, spread, keyword_spread
    kFilter,       // name; operands: input (null in a block), arguments...; the same
    kTest,         // name; the same
  };
  Kind kind = Kind::kConstant;
  int line = 0;
  int depth = 1;  // of the tree
  std::string name;
  std::string attribute;
  Value constant;
  VariableRef variable;
  std::vector<Operator> operators;
  std::vector<ExpressionPtr> operands;
  std::vector<Keyword> keywords;
  ExpressionPtr spread;          // *arguments
  ExpressionPtr keyword_spread;  // **arguments
};

/// How a variable begins when its scope is entered.
struct Load {
  enum class Kind : std::uint8_t { kMissing, kContext, kAlias };
  Kind kind = Kind::kMissing;
  int slot = 0;
  VariableRef alias;  // of an outer scope
  std::string name;   // in the context
};

/// What begins a stretch of statements with variables of its own.
struct Scope {
  std::vector<Load> loads;
  std::vector<int> slots;  // all of the scope's, which are missing again when it is left
};

struct Statement;
using Statements = std::vector<Statement>;

/// The template itself, a macro, what a call or generation block passes, the body or the filter of some loops: what
/// runs with variables of its own.
struct Function {
  std::string name;
  std::vector<std::string> parameters;
  std::vector<int> parameter_slots;
  std::vector<ExpressionPtr> defaults;  // of the last parameters
  int caller_slot = -1;                 // -1: not used
  int keywords_slot = -1;
  int rest_slot = -1;
  Scope scope;
  int slot_count = 0;
  bool is_captured = false;  // functions inside may outlive a call
};

struct Statement {
  enum class Kind : std::uint8_t {
    kText,         // text
    kOutput,       // expressions
    kIf,           // expressions: tests; bodies: one for each, and perhaps the one of else
    kFor,          // loop
    kSet,          // target, value
    kSetBlock,     // target, value: a filter or null; scope; bodies[0]
    kMacro,        // function, bodies[0], target
    kCallBlock,    // function, bodies[0], value: the call
    kGeneration,   // function, bodies[0]
    kFilterBlock,  // value: the filter; scope; bodies[0]
    kWith,         // expressions: targets; values; scope; bodies[0]
    kBreak,
    kContinue,
  };
  struct Loop {
    ExpressionPtr target, iterable, test;
    ExpressionPtr test_target;  // the same target, for the function that tests
    bool is_recursive = false;
    bool has_else = false;
    int loop_slot = -1;  // -1: `loop` is not used
    Scope scope, else_scope;
    Function test_function;
    Function body_function;  // of a recursive loop
  };

  Kind kind = Kind::kText;
  int line = 0;
  std::string text;
  ExpressionPtr target;
  ExpressionPtr value;
  std::vector<ExpressionPtr> expressions;
  std::vector<ExpressionPtr> values;
  std::vector<Statements> bodies;  // of a loop: its body and what else says
  Scope scope;
  std::unique_ptr<Loop> loop;
  std::unique_ptr<Function> function;
};

struct Program {
  std::string name;  // of the template, for errors
  Function root;
  Statements body;
};

}  // namespace tca::runtime::jinja
