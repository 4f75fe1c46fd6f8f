#include <algorithm>
#include <string>
#include <vector>

#include "capi/handles.h"

using tca::capi::create;
using tca::capi::from_rule;
using tca::capi::guarded;
using tca::capi::required;

namespace {

void check_layer(const tca::Profile& profile, int32_t layer) {
  tca::check_argument(layer >= 0 && layer < profile.model.num_layers, "layer is ", layer, "; the profile has ",
                      profile.model.num_layers);
}

void check_kv_head(const tca::Profile& profile, int32_t kv_head) {
  tca::check_argument(kv_head >= 0 && kv_head < profile.model.num_kv_heads, "kv_head is ", kv_head,
                      "; the profile has ", profile.model.num_kv_heads);
}

const tca::ProfileBudget& budget_at(const tca::Profile& profile, std::size_t index) {
  tca::check_argument(index < profile.budgets.size(), "index is ", index, "; the profile has ", profile.budgets.size(),
                      " budgets");
  return profile.budgets[index];
}

const std::vector<tca::HeadProfile>& layer_at(const tca::Profile& profile, std::size_t index, int32_t layer) {
  check_layer(profile, layer);
  return budget_at(profile, index).layers[static_cast<std::size_t>(layer)];
}

tca_budget from_budget(const tca::Profile& profile, const tca::ProfileBudget& budget) {
  return {.index = static_cast<std::size_t>(&budget - profile.budgets.data()),
          .objective = budget.objective.c_str(),
          .budget = budget.budget,
          .kept_share = budget.kept_share,
          .rule = from_rule(profile.rule_of(budget)),
          .num_layers = profile.model.num_layers,
          .num_kv_heads = profile.model.num_kv_heads,
          .num_shares = static_cast<int32_t>(budget.layers[0][0].keep.share.size())};
}

/// The longest belongs to blocks of 256 tokens.
tca::BlockShares to_shares(const double* shares, const char* name, int32_t num_shares) {
  tca::check_argument(num_shares >= 1 && num_shares <= 10, "num_shares is ", num_shares,
                      "; expected log2(block_size) + 2");
  const double* const first = &required(shares, name);
  return {.share = {first, first + num_shares}};
}

void give_shares(const tca::BlockShares& shares, double* out) {
  std::copy(shares.share.begin(), shares.share.end(), &required(out, "out"));
}

tca::ModelFingerprint to_model(const tca_model_fingerprint& model, const char* name) {
  const auto field = [&](const char* text, const char* field_name) {
    tca::check_argument(text != nullptr, name, "->", field_name, " is null");
    return std::string(text);
  };
  return {.architecture = field(model.architecture, "architecture"),
          .num_layers = model.num_layers,
          .num_heads = model.num_heads,
          .num_kv_heads = model.num_kv_heads,
          .head_dim = model.head_dim,
          .rope = field(model.rope, "rope"),
          .vocab_size = model.vocab_size,
          .weights_sha256 = field(model.weights_sha256, "weights_sha256")};
}

}  // namespace

tca_status tca_model_fingerprint_describe(const tca_model_fingerprint* model, char* out, size_t capacity,
                                          size_t* size) {
  return guarded(
      [&] { tca::capi::give_text(to_model(required(model, "model"), "model").describe(), out, capacity, size); });
}

tca_status tca_profile_load(const char* path, tca_profile** out) {
  return create(out, [&] { return tca::Profile::load(&required(path, "path")); });
}

tca_status tca_profile_parse(const char* json, size_t size, const char* name, tca_profile** out) {
  return create(
      out, [&] { return tca::Profile::parse(std::string(&required(json, "json"), size), &required(name, "name")); });
}

tca_status tca_profile_save(const tca_profile* profile, const char* path) {
  return guarded([&] { required(profile, "profile").profile.save(&required(path, "path")); });
}

tca_status tca_profile_to_json(const tca_profile* profile, char* out, size_t capacity, size_t* size) {
  return guarded([&] { tca::capi::give_text(required(profile, "profile").profile.to_json(), out, capacity, size); });
}

tca_status tca_profile_model(const tca_profile* profile, tca_model_fingerprint* out) {
  return guarded([&] {
    const tca::ModelFingerprint& model = required(profile, "profile").profile.model;
    required(out, "out") = {.architecture = model.architecture.c_str(),
                            .num_layers = model.num_layers,
                            .num_heads = model.num_heads,
                            .num_kv_heads = model.num_kv_heads,
                            .head_dim = model.head_dim,
                            .rope = model.rope.c_str(),
                            .vocab_size = model.vocab_size,
                            .weights_sha256 = model.weights_sha256.c_str()};
  });
}

tca_status tca_profile_validate(const tca_profile* profile, const tca_model_fingerprint* actual) {
  return guarded(
      [&] { required(profile, "profile").profile.validate(to_model(required(actual, "actual"), "actual")); });
}

tca_status tca_profile_provenance(const tca_profile* profile, tca_provenance* out) {
  return guarded([&] {
    const tca::Profile& of = required(profile, "profile").profile;
    required(out, "out") = {.text_sha256 = of.text_sha256.c_str(),
                            .calibration_tokens = of.calibration_tokens,
                            .seed = of.seed,
                            .version = of.version.c_str(),
                            .date = of.date.c_str()};
  });
}

tca_status tca_profile_num_budgets(const tca_profile* profile, size_t* out) {
  return guarded([&] { required(out, "out") = required(profile, "profile").profile.budgets.size(); });
}

tca_status tca_profile_budget(const tca_profile* profile, size_t index, tca_budget* out) {
  return guarded([&] {
    const tca::Profile& of = required(profile, "profile").profile;
    required(out, "out") = from_budget(of, budget_at(of, index));
  });
}

tca_status tca_profile_pick(const tca_profile* profile, double keep, const char* objective, tca_budget* out) {
  return guarded([&] {
    const tca::Profile& of = required(profile, "profile").profile;
    required(out, "out") = from_budget(of, of.pick(keep, &required(objective, "objective")));
  });
}

tca_status tca_profile_usual_keep(const tca_profile* profile, const char* objective, double* keep,
                                  const char** measured_on) {
  return guarded([&] {
    const tca::Profile& of = required(profile, "profile").profile;
    const std::string name = &required(objective, "objective");
    const bool measured = of.default_keep && of.default_keep->objective == name;
    required(measured_on, "measured_on") = measured ? of.default_keep->measured_on.c_str() : nullptr;
    required(keep, "keep") = of.usual_keep(name);
  });
}

tca_status tca_profile_shares(const tca_profile* profile, size_t index, int32_t layer, tca_share_kind kind,
                              double* out) {
  return guarded([&] {
    const tca::Profile& of = required(profile, "profile").profile;
    tca::check_argument(kind == TCA_KEEP || kind == TCA_ATTEND, "kind is ", static_cast<int>(kind),
                        "; expected TCA_KEEP (0) or TCA_ATTEND (1)");
    required(out, "out");
    std::vector<double> all;
    for (const tca::HeadProfile& head : layer_at(of, index, layer)) {
      const auto& share = (kind == TCA_KEEP ? head.keep : head.attended()).share;
      all.insert(all.end(), share.begin(), share.end());
    }
    std::copy(all.begin(), all.end(), out);
  });
}

tca_status tca_profile_head(const tca_profile* profile, size_t index, int32_t layer, int32_t kv_head,
                            tca_head_profile* out) {
  return guarded([&] {
    const tca::Profile& of = required(profile, "profile").profile;
    check_kv_head(of, kv_head);
    const tca::HeadProfile& head = layer_at(of, index, layer)[static_cast<std::size_t>(kv_head)];
    required(out, "out") = {
        .risk = head.risk, .mean_dropped = head.mean_dropped, .attends_more = head.attend.has_value() ? 1 : 0};
  });
}

tca_status tca_profile_richer(const tca_profile* profile, const double* current, int32_t num_shares, int32_t layer,
                              int32_t kv_head, const char* objective, double* out) {
  return guarded([&] {
    const tca::Profile& of = required(profile, "profile").profile;
    check_layer(of, layer);
    check_kv_head(of, kv_head);
    const tca::BlockShares shares = to_shares(current, "current", num_shares);
    const auto expected = budget_at(of, 0).layers[0][0].keep.share.size();
    tca::check_argument(shares.share.size() == expected, "num_shares is ", num_shares, "; the profile's heads have ",
                        expected);
    const tca::BlockShares richer = of.richer(shares, layer, kv_head, &required(objective, "objective"));
    std::copy(richer.share.begin(), richer.share.end(), &required(out, "out"));
  });
}

tca_status tca_block_shares_full(int32_t block_size, double* out) {
  return guarded([&] { give_shares(tca::BlockShares::full(block_size), out); });
}

tca_status tca_block_shares_window(int32_t block_size, double* out) {
  return guarded([&] { give_shares(tca::BlockShares::window(block_size), out); });
}

tca_status tca_block_shares_kept_share(const double* shares, int32_t num_shares, double* out) {
  return guarded([&] { required(out, "out") = to_shares(shares, "shares", num_shares).kept_share(); });
}

void tca_profile_destroy(tca_profile* profile) { delete profile; }
