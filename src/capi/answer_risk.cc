// Profiles whose configurations are curves.
#include <algorithm>

#include "capi/handles.h"
#include "core/check.h"

using tca::capi::from_rule;
using tca::capi::guarded;
using tca::capi::required;

namespace {

const tca::AnswerRisk& answers_of(const tca::Profile& profile) {
  tca::check_argument(profile.answer_risk.has_value(), "the profile has no curves: it was not calibrated by answers; ",
                      "use its budgets");
  return *profile.answer_risk;
}

}  // namespace

tca_status tca_profile_usual_objective(const tca_profile* profile, const char** out) {
  return guarded([&] {
    const tca::Profile& of = required(profile, "profile").profile;
    required(out, "out") = of.usual_objective() == tca::kAnswerRisk ? "answer-risk" : "tail-risk";
  });
}

tca_status tca_profile_allocate(const tca_profile* profile, double keep, int64_t num_tokens, double max_risk,
                                double* kept_shares, int32_t* windows, tca_allocation* out) {
  return guarded([&] {
    const tca::AnswerRisk& answers = answers_of(required(profile, "profile").profile);
    required(kept_shares, "kept_shares");
    required(windows, "windows");
    tca_allocation& summary = required(out, "out");
    const tca::SegmentAllocation allocation = tca::allocate(answers.keep, answers.rule, keep, num_tokens, max_risk);
    for (std::size_t l = 0; l < allocation.shares.size(); ++l) {
      for (const tca::BlockShares& head : allocation.shares[l]) *kept_shares++ = head.kept_share();
      windows = std::copy(allocation.windows[l].begin(), allocation.windows[l].end(), windows);
    }
    summary = {.held_share = allocation.held_share, .risk = allocation.risk, .rule = from_rule(answers.rule)};
  });
}

tca_status tca_profile_bank(const tca_profile* profile, int32_t layer, tca_query_bank* out) {
  return guarded([&] {
    const tca::Profile& of = required(profile, "profile").profile;
    const tca::QueryBank& bank = answers_of(of).bank;
    tca::check_argument(layer >= 0 && layer < of.model.num_layers, "layer is ", layer, "; the profile has ",
                        of.model.num_layers);
    const std::size_t size = bank.values.size() / static_cast<std::size_t>(of.model.num_layers);
    required(out, "out") = {.queries = bank.values.data() + static_cast<std::size_t>(layer) * size,
                            .num_queries = bank.queries,
                            .distance = bank.distance,
                            .reduce = static_cast<tca_probe_reduce>(bank.reduce)};
  });
}
