#include <algorithm>

#include "capi/handles.h"

using tca::capi::create;
using tca::capi::from_rule;
using tca::capi::guarded;
using tca::capi::required;

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
  return guarded([&] {
    const tca_model_fingerprint& model = required(actual, "actual");
    required(profile, "profile")
        .profile.validate({.architecture = &required(model.architecture, "actual->architecture"),
                           .num_layers = model.num_layers,
                           .num_heads = model.num_heads,
                           .num_kv_heads = model.num_kv_heads,
                           .head_dim = model.head_dim,
                           .rope = &required(model.rope, "actual->rope"),
                           .vocab_size = model.vocab_size,
                           .weights_sha256 = &required(model.weights_sha256, "actual->weights_sha256")});
  });
}

tca_status tca_profile_pick(const tca_profile* profile, double keep, const char* objective, tca_budget* out) {
  return guarded([&] {
    const tca::Profile& of = required(profile, "profile").profile;
    const tca::ProfileBudget& budget = of.pick(keep, &required(objective, "objective"));
    required(out, "out") = {.kept_share = budget.kept_share,
                            .rule = from_rule(of.rule_of(budget)),
                            .num_layers = of.model.num_layers,
                            .num_kv_heads = of.model.num_kv_heads,
                            .num_shares = static_cast<int32_t>(budget.layers[0][0].keep.share.size())};
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

tca_status tca_profile_shares(const tca_profile* profile, double keep, const char* objective, int32_t layer,
                              tca_share_kind kind, double* out) {
  return guarded([&] {
    const tca::Profile& of = required(profile, "profile").profile;
    const tca::ProfileBudget& budget = of.pick(keep, &required(objective, "objective"));
    tca::check_argument(layer >= 0 && layer < of.model.num_layers, "layer is ", layer, "; the profile has ",
                        of.model.num_layers);
    tca::check_argument(kind == TCA_KEEP || kind == TCA_ATTEND, "kind is ", static_cast<int>(kind),
                        "; expected TCA_KEEP (0) or TCA_ATTEND (1)");
    double* to = &required(out, "out");
    for (const tca::HeadProfile& head : budget.layers[static_cast<std::size_t>(layer)]) {
      const auto& share = (kind == TCA_KEEP ? head.keep : head.attended()).share;
      to = std::copy(share.begin(), share.end(), to);
    }
  });
}

void tca_profile_destroy(tca_profile* profile) { delete profile; }
