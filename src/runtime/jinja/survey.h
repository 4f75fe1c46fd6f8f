// The first of the passes that decide which variable a name is (scopes.cc): what a scope reads and assigns.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>

#include "runtime/jinja/ast.h"

namespace tca::runtime::jinja {

/// The variables of one scope, while it is resolved.
class Names {
 public:
  Names(Names* outer, Function& function, Scope& scope) : outer_(outer), function_(function), scope_(scope) {}

  Function& function() const { return function_; }

  std::optional<VariableRef> find(const std::string& name) const {
    int hops = 0;
    for (const Names* names = this; names != nullptr; names = names->outer_) {
      const auto found = names->slots_.find(name);
      if (found != names->slots_.end()) return VariableRef{hops, found->second};
      if (names->outer_ != nullptr) hops += &names->function_ != &names->outer_->function_;
    }
    return std::nullopt;
  }

  void read(const std::string& name) {
    if (find(name)) return;
    begin_as(name, {Load::Kind::kContext, define(name), {}, name});
  }

  void assign(const std::string& name) {
    assigned_.insert(name);
    if (slots_.count(name)) return;
    const auto outer = outer_variable(name);
    const int slot = define(name);
    if (outer) {
      begin_as(name, {Load::Kind::kAlias, slot, *outer, {}});
    } else {
      begin_as(name, {Load::Kind::kMissing, slot, {}, {}});
    }
  }

  /// A variable that has a value when the scope is entered.
  int declare(const std::string& name) {
    assigned_.insert(name);
    const int slot = slots_.count(name) ? slots_[name] : define(name);
    loads_.erase(name);
    return slot;
  }

  /// What was assigned since `before` was, in one branch or another.
  void end_branches(const std::set<std::string>& before) {
    for (const std::string& name : assigned_) {
      if (before.count(name)) continue;
      const auto outer = outer_variable(name);
      const int slot = slots_.at(name);
      if (outer) {
        begin_as(name, {Load::Kind::kAlias, slot, *outer, {}});
      } else {
        begin_as(name, {Load::Kind::kContext, slot, {}, name});
      }
    }
  }
  const std::set<std::string>& assigned() const { return assigned_; }

  void write_scope() const {
    for (const auto& [name, load] : loads_) scope_.loads.push_back(load);
    for (const auto& [name, slot] : slots_) scope_.slots.push_back(slot);
  }

 private:
  int define(const std::string& name) { return slots_[name] = function_.slot_count++; }
  void begin_as(const std::string& name, Load load) { loads_[name] = std::move(load); }

  std::optional<VariableRef> outer_variable(const std::string& name) const {
    if (outer_ == nullptr) return std::nullopt;
    auto found = outer_->find(name);
    if (found) found->hops += &function_ != &outer_->function_;
    return found;
  }

  Names* outer_;
  Function& function_;
  Scope& scope_;
  std::map<std::string, int> slots_;
  std::map<std::string, Load> loads_;
  std::set<std::string> assigned_;
};

/// Whether the name occurs in it, as a variable to be read.
bool mentions(const Statements& statements, std::string_view name);

/// Notes the names that an expression reads.
void read(Names& names, const Expression& expression);
/// Declares the names of a target: it has values when the scope is entered.
void declare(Names& names, const Expression& target);
/// Notes what statements read and assign in their own scope; not what is in scopes inside.
void survey(Names& names, const Statements& statements);

}  // namespace tca::runtime::jinja
