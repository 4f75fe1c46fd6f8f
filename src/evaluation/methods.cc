// Methods by name: how a profile, another selector, or the lack of both becomes session options.
#include <charconv>
#include <cmath>

#include "core/check.h"
#include "evaluation/methods/published.h"
#include "evaluation/quality.h"

namespace tca::evaluation {
namespace {

using runtime::AttentionMode;

// 0 for what is no share.
double parse_share(std::string_view digits) {
  double share = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), share);
  const bool valid = error == std::errc() && end == digits.data() + digits.size() && share > 0 && share <= 1;
  return valid ? share : 0;
}

// Sinks and the last tokens of the context, nothing between: every head keeps its window only, and the window is wide.
std::shared_ptr<const Profile> window_profile(const ModelFingerprint& model, std::int64_t kept_tokens) {
  auto profile = std::make_shared<Profile>();
  profile->model = model;
  profile->rule.window = static_cast<std::int32_t>(std::max<std::int64_t>(1, kept_tokens - profile->rule.sinks));
  const HeadProfile head{.keep = BlockShares::window(profile->rule.block_size)};
  const std::vector<HeadProfile> layer(static_cast<std::size_t>(model.num_kv_heads), head);
  profile->budgets.push_back({.objective = "window", .layers = {static_cast<std::size_t>(model.num_layers), layer}});
  return profile;
}

const Profile& profile_of(const runtime::SessionOptions& base, const std::string& form) {
  check_argument(base.profile != nullptr, "the method '", form, "' needs a profile");
  return *base.profile;
}

/// Null for a kind that is none of them.
std::shared_ptr<const runtime::Selector> published(const std::string& kind, const std::string& form, double share,
                                                   const runtime::SessionOptions& base, const ModelFingerprint& model) {
  const auto made = [&](TokenScores scores, TokenBudgets budgets) {
    return std::make_shared<const ScoredTokens>(kind, model, std::move(scores), std::move(budgets));
  };
  if (kind == "snapkv") return made(snapkv_scores(), uniform_budgets(share));
  if (kind == "pyramidkv") return made(snapkv_scores(), pyramidkv_budgets(share));
  if (kind == "adakv") return made(snapkv_scores(), adakv_budgets(share));
  if (kind == "expected-attention") return made(expected_attention_scores(), uniform_budgets(share));
  if (kind == "adakv-ea") return made(expected_attention_scores(), adakv_budgets(share));
  if (kind == "duo") {
    const Profile& profile = profile_of(base, form);
    profile.validate(model);
    return made(duo_scores(share), duo_budgets(share, head_richness(profile)));
  }
  return nullptr;
}

}  // namespace

Method parse_method(const std::string& form, const runtime::SessionOptions& base, const ModelFingerprint& model,
                    std::int64_t context_tokens) {
  Method method{.name = form, .options = base};
  if (form == "full") {
    method.options.attention = AttentionMode::kFull;
    method.options.profile = nullptr;
    return method;
  }
  const std::size_t colon = form.find(':');
  const std::string kind = form.substr(0, colon);
  const std::string_view after = colon == std::string::npos ? "" : std::string_view(form).substr(colon + 1);
  const std::size_t slash = after.find('/');
  const double share = parse_share(after.substr(0, slash));
  const double attend = slash == std::string_view::npos ? 0 : parse_share(after.substr(slash + 1));
  const bool plain = slash == std::string_view::npos;
  method.options.attention = AttentionMode::kTca;
  method.options.keep = share;
  if (share > 0 && plain) method.options.selector = published(kind, form, share, base, model);
  if (method.options.selector != nullptr) {
    method.options.profile = nullptr;
    return method;
  }
  const bool known = kind == "tca" || kind == "paper" || kind == "window";
  check_argument(known && share > 0 && (plain || (kind == "tca" && attend > 0)), "the method is '", form,
                 "'; expected full, tca:SHARE, tca:SHARE/ATTENDED, or paper, window, snapkv, pyramidkv, adakv, "
                 "expected-attention, adakv-ea or duo with :SHARE, shares of tokens in (0, 1]");
  if (kind == "window") {
    method.options.profile = window_profile(model, std::llround(share * static_cast<double>(context_tokens)));
    method.options.objective = "window";
    method.options.keep = 1;  // the only budget there is
    return method;
  }
  const Profile& profile = profile_of(base, form);
  method.options.objective = kind == "paper" ? "paper" : profile.usual_objective();
  if (attend > 0) method.options.attend = attend;
  return method;
}

}  // namespace tca::evaluation
