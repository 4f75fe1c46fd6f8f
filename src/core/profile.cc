#include "tca/profile.h"

#include <bit>
#include <cmath>
#include <limits>

#include "core/check.h"
#include "core/file.h"
#include "core/profile_json.h"

namespace tca {
namespace {

// A profile of 128 layers, 128 KV heads and 8 budgets takes about 30 MiB.
constexpr std::size_t kMaxProfileBytes = std::size_t{64} << 20;

// Shares are stored as decimal text: a budget that was asked for must not be missed by its last digit.
constexpr double kPickSlack = 1e-9;

BlockShares single(std::int32_t block_size, bool full) {
  check_argument(is_block_size(block_size), "block_size is ", block_size, "; expected a power of two in [8, 256]");
  BlockShares shares;
  shares.share.assign(static_cast<std::size_t>(std::bit_width(static_cast<std::uint32_t>(block_size))) + 1, 0.0);
  (full ? shares.share.back() : shares.share.front()) = 1.0;
  return shares;
}

std::string list_objectives(const Profile& profile) {
  std::string list = profile.answer_risk ? text("'", kAnswerRisk, "'") : "";
  for (const ProfileBudget& budget : profile.budgets) {
    const std::string quoted = text("'", budget.objective, "'");
    if (list.find(quoted) == std::string::npos) list += (list.empty() ? "" : ", ") + quoted;
  }
  return list.empty() ? "none" : list;
}

[[noreturn]] void fail_objective(const Profile& profile, const std::string& objective) {
  fail(ErrorCategory::kInvalidArgument,
       text("the profile has no objective '", objective, "'; it has ", list_objectives(profile)));
}

}  // namespace

BlockShares BlockShares::full(std::int32_t block_size) { return single(block_size, true); }
BlockShares BlockShares::window(std::int32_t block_size) { return single(block_size, false); }

double BlockShares::kept_share() const {
  if (share.size() < 2) return 0;
  double tokens = 0;
  double kept = 1;
  for (std::size_t i = 1; i < share.size(); ++i, kept *= 2) tokens += share[i] * kept;
  return tokens / (kept / 2);  // the last kept count is the block size
}

std::string ModelFingerprint::describe() const {
  return text(architecture, ", ", num_layers, " layers, ", num_heads, " heads, ", num_kv_heads, " KV heads, head_dim ",
              head_dim, ", rope ", rope, ", vocabulary ", vocab_size, ", weights ", weights_sha256);
}

Profile Profile::load(const std::string& path) { return parse(read_file(path, kMaxProfileBytes), path); }

void Profile::save(const std::string& path) const {
  const std::string json = to_json();
  try {
    // What load() would refuse is not written.
    parse(json, "the profile");
  } catch (const Error& error) {
    fail(ErrorCategory::kInvalidArgument, text("cannot save '", path, "': ", error.what()));
  }
  write_file_atomically(path, json);
}

void Profile::validate(const ModelFingerprint& actual) const {
  if (model == actual) return;
  fail(ErrorCategory::kInvalidArgument, text("the profile belongs to another model. Profile: ", model.describe(),
                                             ". Model: ", actual.describe(), ". Calibrate this model to get its own"));
}

const ProfileBudget& Profile::pick(double keep, const std::string& objective) const {
  check_argument(keep >= 0 && keep <= 1, "keep is ", keep, "; expected a share in [0, 1]");
  const ProfileBudget* below = nullptr;
  const ProfileBudget* smallest = nullptr;
  for (const ProfileBudget& budget : budgets) {
    if (budget.objective != objective) continue;
    if (smallest == nullptr || budget.kept_share < smallest->kept_share) smallest = &budget;
    if (budget.kept_share > keep + kPickSlack) continue;
    if (below == nullptr || budget.kept_share > below->kept_share) below = &budget;
  }
  if (smallest == nullptr) fail_objective(*this, objective);
  return below != nullptr ? *below : *smallest;
}

std::string Profile::usual_objective() const { return answer_risk ? kAnswerRisk : "tail-risk"; }

double Profile::usual_keep(const std::string& objective) const {
  if (objective == kAnswerRisk && answer_risk) {
    double keep = answer_risk->measured.empty() ? kUnmeasuredKeep : 1;
    for (auto measured = answer_risk->measured.rbegin(); measured != answer_risk->measured.rend(); ++measured) {
      if (measured->answers_kept < kUsualAnswers) break;
      keep = measured->keep;
    }
    return keep;
  }
  return default_keep && default_keep->objective == objective ? default_keep->keep : kUnmeasuredKeep;
}

BlockShares Profile::richer(const BlockShares& current, std::int32_t layer, std::int32_t kv_head,
                            const std::string& objective) const {
  check_argument(layer >= 0 && layer < model.num_layers, "layer is ", layer, "; the profile has ", model.num_layers);
  check_argument(kv_head >= 0 && kv_head < model.num_kv_heads, "kv_head is ", kv_head, "; the profile has ",
                 model.num_kv_heads);
  const double floor = current.kept_share() + kPickSlack;
  const BlockShares* next = nullptr;
  double next_share = std::numeric_limits<double>::infinity();
  bool known = false;
  for (const ProfileBudget& budget : budgets) {
    if (budget.objective != objective) continue;
    known = true;
    const auto l = static_cast<std::size_t>(layer);
    const auto h = static_cast<std::size_t>(kv_head);
    const BlockShares& candidate = budget.layers.at(l).at(h).keep;
    const double share = candidate.kept_share();
    if (share > floor && share < next_share) {
      next = &candidate;
      next_share = share;
    }
  }
  if (!known) fail_objective(*this, objective);
  return next != nullptr ? *next : BlockShares::full(rule.block_size);
}

}  // namespace tca
