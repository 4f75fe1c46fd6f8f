#include "core/kept_set.h"

#include <algorithm>
#include <mutex>
#include <utility>

#include "core/check.h"

namespace tca {

struct KeptSet::State {
  std::int64_t num_tokens = 0;
  std::int32_t num_kv_heads = 0;
  std::shared_ptr<const KeptSource> source = nullptr;
  mutable std::mutex mutex;
  mutable bool fetched = true;
  mutable std::vector<std::int64_t> offsets = {0};
  mutable std::vector<std::int32_t> positions = {};

  /// With the positions on the host.
  const State& here() const {
    if (source == nullptr) return *this;
    const std::lock_guard lock(mutex);
    if (!fetched) source->fetch(offsets, positions);
    fetched = true;
    return *this;
  }
};

KeptSet::KeptSet(std::shared_ptr<const State> state) : state_(std::move(state)) {}

KeptSet::KeptSet() {
  static const auto empty = std::make_shared<const State>();
  state_ = empty;
}

KeptSet::KeptSet(std::int64_t num_tokens, std::vector<std::int64_t> offsets, std::vector<std::int32_t> positions) {
  const auto state = std::make_shared<State>();
  state->num_tokens = num_tokens;
  state->num_kv_heads = offsets.empty() ? 0 : static_cast<std::int32_t>(offsets.size() - 1);
  state->offsets = std::move(offsets);
  state->positions = std::move(positions);
  state_ = state;
}

std::int64_t KeptSet::num_tokens() const noexcept { return state_->num_tokens; }
std::int32_t KeptSet::num_kv_heads() const noexcept { return state_->num_kv_heads; }
const std::vector<std::int64_t>& KeptSet::offsets() const { return state_->here().offsets; }
const std::vector<std::int32_t>& KeptSet::positions() const { return state_->here().positions; }

std::span<const std::int32_t> KeptSet::head(std::int32_t kv_head) const {
  const State& state = state_->here();
  const auto h = static_cast<std::size_t>(kv_head);
  return {state.positions.data() + state.offsets[h], static_cast<std::size_t>(state.offsets[h + 1] - state.offsets[h])};
}

bool KeptSet::operator==(const KeptSet& other) const {
  if (num_tokens() != other.num_tokens() || num_kv_heads() != other.num_kv_heads()) return false;
  return offsets() == other.offsets() && positions() == other.positions();
}

KeptSet KeptSetAccess::make(std::int64_t num_tokens, std::int32_t num_kv_heads,
                            std::shared_ptr<const KeptSource> source) {
  const auto state = std::make_shared<KeptSet::State>();
  state->num_tokens = num_tokens;
  state->num_kv_heads = num_kv_heads;
  state->source = std::move(source);
  state->fetched = false;
  state->offsets.clear();
  return KeptSet(state);
}

std::shared_ptr<const KeptSource> KeptSetAccess::source(const KeptSet& set) { return set.state_->source; }

void validate_kept_set(const KeptSet& set, std::int64_t num_tokens, std::int32_t num_kv_heads, std::string_view name) {
  check_argument(set.num_tokens() == num_tokens, name, ".num_tokens is ", set.num_tokens(), "; the segment has ",
                 num_tokens);
  const bool chosen = KeptSetAccess::source(set) != nullptr;
  check_argument(!chosen || set.num_kv_heads() == num_kv_heads, name, " is of ", set.num_kv_heads(), " KV heads; ",
                 num_kv_heads, " are needed");
  if (chosen) return;
  const std::vector<std::int64_t>& offsets = set.offsets();
  check_argument(offsets.size() == static_cast<std::size_t>(num_kv_heads) + 1, name, ".offsets has ", offsets.size(),
                 " entries; ", num_kv_heads, " KV heads need ", std::int64_t{num_kv_heads} + 1);
  check_argument(offsets.front() == 0, name, ".offsets[0] is ", offsets.front(), "; expected 0");
  check_argument(offsets.back() == static_cast<std::int64_t>(set.positions().size()), name, ".offsets ends at ",
                 offsets.back(), "; there are ", set.positions().size(), " positions");
  const auto fall = std::is_sorted_until(offsets.begin(), offsets.end());
  check_argument(fall == offsets.end(), name, ".offsets falls to ", fall == offsets.end() ? 0 : *fall,
                 "; expected ascending numbers");
  for (std::int32_t h = 0; h < num_kv_heads; ++h) {
    std::int64_t before = -1;
    for (const std::int32_t position : set.head(h)) {
      check_argument(position > before && position < num_tokens, name, ".positions of head ", h, " has ", position,
                     " after ", before, "; expected ascending positions in [0, ", num_tokens, ")");
      before = position;
    }
  }
}

}  // namespace tca
