#include "tca/profile.h"

#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <utility>

#include "arrays.h"
#include "bindings.h"
#include "core/check.h"

namespace tca::python {
namespace nb = nanobind;
using namespace nb::literals;

namespace {

/// What heads keep of a segment, from a budget or from curves.
struct Choice {
  std::vector<std::vector<BlockShares>> shares;
  std::vector<std::vector<std::int32_t>> windows;  // empty: the rule's, kept by the cache
  SelectionRule rule;
  double held_share = 0;
  std::optional<double> risk;
};

Choice choose(const Profile& profile, double keep, std::int64_t num_tokens, const std::string& objective,
              double max_risk) {
  const std::string name = objective.empty() ? profile.usual_objective() : objective;
  if (name == kAnswerRisk && profile.answer_risk) {
    const AnswerRisk& answers = *profile.answer_risk;
    SegmentAllocation allocation = allocate(answers.keep, answers.rule, keep, num_tokens, max_risk);
    return {std::move(allocation.shares), std::move(allocation.windows), answers.rule, allocation.held_share,
            allocation.risk};
  }
  const ProfileBudget& budget = profile.pick(keep, name);
  Choice choice{{}, {}, profile.rule_of(budget), budget.kept_share, std::nullopt};
  for (const auto& heads : budget.layers) {
    auto& layer = choice.shares.emplace_back();
    for (const HeadProfile& head : heads) layer.push_back(head.keep);
  }
  return choice;
}

/// float32 [K, Hq, d] of a layer; None without a bank.
nb::object bank_of(const Profile& profile, std::int32_t layer) {
  if (!profile.answer_risk || profile.answer_risk->bank.queries == 0) return nb::none();
  const ModelFingerprint& model = profile.model;
  check_argument(layer >= 0 && layer < model.num_layers, "layer is ", layer, "; expected less than ", model.num_layers);
  const QueryBank& bank = profile.answer_risk->bank;
  const auto queries = static_cast<std::size_t>(bank.queries), heads = static_cast<std::size_t>(model.num_heads),
             dim = static_cast<std::size_t>(model.head_dim);
  const auto begin =
      bank.values.begin() + static_cast<std::ptrdiff_t>(static_cast<std::size_t>(layer) * queries * heads * dim);
  std::vector<float> values(begin, begin + static_cast<std::ptrdiff_t>(queries * heads * dim));
  return nb::cast(to_numpy(std::move(values), {queries, heads, dim}));
}

nb::ndarray<nb::numpy, double> kept_shares(const Choice& choice) {
  std::vector<double> values;
  for (const auto& layer : choice.shares) {
    for (const BlockShares& head : layer) values.push_back(head.kept_share());
  }
  const std::size_t layers = choice.shares.size();
  return to_numpy(std::move(values), {layers, layers == 0 ? 0 : choice.shares.front().size()});
}

void add_rule(nb::module_& module) {
  nb::enum_<BlockOrder>(module, "BlockOrder", "Order in which blocks are served, richest first (docs/algorithm.md).")
      .value("MASS_DISPERSION", BlockOrder::kMassDispersion, "probe mass times effective number of tokens")
      .value("SIMPSON", BlockOrder::kSimpson, "as in arXiv 2512.09238")
      .value("TOKENS", BlockOrder::kTokens, "no blocks: the highest scores of the whole segment");
  nb::enum_<ProbeReduce>(module, "ProbeReduce", "What a key is worth to several probes.")
      .value("MEAN", ProbeReduce::kMean)
      .value("MAX", ProbeReduce::kMax);
  nb::class_<SelectionRule>(module, "SelectionRule", "How core tokens are chosen, the same for all heads.")
      .def(
          "__init__",
          [](SelectionRule* self, std::int32_t block_size, std::int32_t window, std::int32_t sinks,
             std::int32_t probe_queries, std::int32_t pool_width, BlockOrder order) {
            new (self) SelectionRule{block_size, window, sinks, probe_queries, pool_width, order};
          },
          nb::kw_only(), "block_size"_a = 64, "window"_a = 256, "sinks"_a = 4, "probe_queries"_a = 32,
          "pool_width"_a = 7, "order"_a = BlockOrder::kMassDispersion,
          "block_size: a power of two in [8, 256]; window: the last tokens that are always kept; sinks: the first; "
          "probe_queries: how many of the last queries score the keys; pool_width: odd, max-pool of the scores.")
      .def_rw("block_size", &SelectionRule::block_size)
      .def_rw("window", &SelectionRule::window)
      .def_rw("sinks", &SelectionRule::sinks)
      .def_rw("probe_queries", &SelectionRule::probe_queries)
      .def_rw("pool_width", &SelectionRule::pool_width)
      .def_rw("order", &SelectionRule::order)
      .def("__eq__", [](const SelectionRule& a, const SelectionRule& b) { return a == b; });
}

void add_choice(nb::module_& module) {
  nb::class_<BlockShares>(module, "BlockShares",
                          "How many tokens a block keeps: share[0] of the blocks keep none, share[1 + i] keep 2^i.")
      .def(
          "__init__", [](BlockShares* self, std::vector<double> share) { new (self) BlockShares{std::move(share)}; },
          "share"_a)
      .def_static("full", &BlockShares::full, "block_size"_a)
      .def_static("window", &BlockShares::window, "block_size"_a)
      .def_ro("share", &BlockShares::share)
      .def_prop_ro("kept_share", &BlockShares::kept_share);
  nb::class_<Choice>(module, "HeadShares", "What every KV head keeps of a segment: Profile.choose() makes it.")
      .def_prop_ro("kept_share", &kept_shares, nb::rv_policy::reference,
                   "float64 [num_layers, num_kv_heads], without sinks and window")
      .def_prop_ro(
          "held_share", [](const Choice& choice) { return choice.held_share; },
          "mean over heads; by curves with sinks and windows, else without")
      .def_prop_ro(
          "risk", [](const Choice& choice) { return choice.risk; },
          "nats that an answer's logit margin is expected to lose, by curves; else None")
      .def_prop_ro("rule", [](const Choice& choice) { return choice.rule; })
      .def(
          "layer", [](const Choice& choice, std::size_t layer) { return choice.shares.at(layer); }, "layer"_a,
          "list of BlockShares, one a KV head, for select()")
      .def(
          "windows",
          [](const Choice& choice, std::size_t layer) {
            return choice.windows.empty() ? std::vector<std::int32_t>() : choice.windows.at(layer);
          },
          "layer"_a, "list of windows, one a KV head, for select(); empty where the rule's is stored beside the set");
}

}  // namespace

void add_profile(nb::module_& module) {
  add_rule(module);
  add_choice(module);
  nb::class_<ModelFingerprint>(module, "ModelFingerprint", "What a profile belongs to.")
      .def(
          "__init__",
          [](ModelFingerprint* self, std::string architecture, std::int32_t num_layers, std::int32_t num_heads,
             std::int32_t num_kv_heads, std::int32_t head_dim, std::string rope, std::int32_t vocab_size,
             std::string weights_sha256) {
            new (self) ModelFingerprint{
                std::move(architecture),  num_layers, num_heads, num_kv_heads, head_dim, std::move(rope), vocab_size,
                std::move(weights_sha256)};
          },
          nb::kw_only(), "architecture"_a, "num_layers"_a, "num_heads"_a, "num_kv_heads"_a, "head_dim"_a, "rope"_a,
          "vocab_size"_a, "weights_sha256"_a)
      .def_ro("architecture", &ModelFingerprint::architecture)
      .def_ro("num_layers", &ModelFingerprint::num_layers)
      .def_ro("num_heads", &ModelFingerprint::num_heads)
      .def_ro("num_kv_heads", &ModelFingerprint::num_kv_heads)
      .def_ro("head_dim", &ModelFingerprint::head_dim)
      .def_ro("rope", &ModelFingerprint::rope)
      .def_ro("vocab_size", &ModelFingerprint::vocab_size)
      .def_ro("weights_sha256", &ModelFingerprint::weights_sha256)
      .def("__str__", &ModelFingerprint::describe);
  nb::class_<Profile>(module, "Profile", "What calibration found for one model (docs/profile.md).")
      .def_static("load", &Profile::load, "path"_a, "Raises BadFile naming file, field and value; IoError.")
      .def_static("parse", &Profile::parse, "json"_a, "name"_a = "profile", "From the text of a file.")
      .def("save", &Profile::save, "path"_a, "Through a temporary file and a rename.")
      .def("to_json", &Profile::to_json)
      .def_ro("model", &Profile::model)
      .def_ro("rule", &Profile::rule)
      .def_prop_ro("objectives",
                   [](const Profile& profile) {
                     std::vector<std::string> names;
                     if (profile.answer_risk) names.emplace_back(kAnswerRisk);
                     for (const ProfileBudget& budget : profile.budgets) {
                       if (names.empty() || names.back() != budget.objective) names.push_back(budget.objective);
                     }
                     return names;
                   })
      .def_prop_ro("usual_objective", &Profile::usual_objective, "\"answer-risk\" where the profile has it.")
      .def("usual_keep", &Profile::usual_keep, "objective"_a, "What to keep where nobody asks.")
      .def("bank", &bank_of, "layer"_a,
           "float32 [queries, num_heads, head_dim]: calibration's queries before RoPE, probes for what may be asked\n"
           "bank_distance tokens behind a segment; None where the profile has none.")
      .def_prop_ro("bank_distance",
                   [](const Profile& profile) { return profile.answer_risk ? profile.answer_risk->bank.distance : 0; })
      .def_prop_ro("bank_reduce",
                   [](const Profile& profile) {
                     return profile.answer_risk ? profile.answer_risk->bank.reduce : ProbeReduce::kMean;
                   })
      .def("choose", &choose, "keep"_a, "num_tokens"_a, "objective"_a = "",
           "max_risk"_a = std::numeric_limits<double>::infinity(),
           "What every KV head keeps of a segment of num_tokens tokens: HeadShares. keep: share in [0, 1], sinks and\n"
           "windows counted. max_risk: by curves, keep more where more nats of an answer's margin would be lost.\n"
           "Raises InvalidArgument.");
}

}  // namespace tca::python
