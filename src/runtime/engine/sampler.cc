#include "runtime/engine/sampler.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "core/check.h"

namespace tca::runtime {
namespace {

void check_range(bool ok, const char* option, double value, const char* expected) {
  check_argument(ok, option, " is ", value, "; expected ", expected);
}

}  // namespace

Sampler::Sampler(const SamplingOptions& options) : options_(options), random_(options.seed) {
  const auto& o = options_;
  check_range(std::isfinite(o.temperature) && o.temperature >= 0, "temperature", o.temperature, "0 (greedy) or more");
  check_range(o.top_k >= 0, "top_k", o.top_k, "0 (off) or more");
  check_range(o.top_p > 0 && o.top_p <= 1, "top_p", o.top_p, "more than 0, at most 1 (off)");
  check_range(o.min_p >= 0 && o.min_p <= 1, "min_p", o.min_p, "0 (off) to 1");
  check_range(std::isfinite(o.repetition_penalty) && o.repetition_penalty > 0, "repetition_penalty",
              o.repetition_penalty, "more than 0; 1 is off");
}

void Sampler::note(std::span<const std::int32_t> ids) {
  for (const std::int32_t id : ids) {
    check_argument(id >= 0, "a noted token's id is ", id, "; expected 0 or more");
    const auto index = static_cast<std::size_t>(id);
    if (index >= noted_.size()) noted_.resize(index + 1);
    noted_[index] = true;
  }
}

// The order of the steps is that of the transformers package: repetition penalty, temperature, top-k, top-p, min-p.
std::int32_t Sampler::sample(std::span<const float> logits) {
  take_candidates(logits);
  penalise();
  if (options_.temperature == 0) return std::min_element(candidates_.begin(), candidates_.end(), before)->id;
  keep_top_k();
  weigh();
  keep_top_p();
  std::erase_if(candidates_, [&](const Candidate& c) { return c.weight < options_.min_p; });
  return draw();
}

void Sampler::take_candidates(std::span<const float> logits) {
  candidates_.clear();
  for (std::size_t id = 0; id < logits.size(); ++id) {
    check_argument(!std::isnan(logits[id]) && logits[id] != std::numeric_limits<float>::infinity(), "logits[", id,
                   "] is ", logits[id], ", from which no token can be drawn; the model's weights may be damaged");
    if (std::isfinite(logits[id])) candidates_.push_back({logits[id], static_cast<std::int32_t>(id)});
  }
  check_argument(!candidates_.empty(), "there is no token to draw: all of ", logits.size(), " logits are -infinity");
}

void Sampler::penalise() {
  if (options_.repetition_penalty == 1) return;
  const auto penalty = static_cast<float>(options_.repetition_penalty);
  for (Candidate& c : candidates_) {
    const auto id = static_cast<std::size_t>(c.id);
    if (id < noted_.size() && noted_[id]) c.logit = c.logit < 0 ? c.logit * penalty : c.logit / penalty;
  }
}

void Sampler::keep_top_k() {
  const auto k = static_cast<std::ptrdiff_t>(options_.top_k);
  if (k == 0 || k >= std::ssize(candidates_)) return;
  std::partial_sort(candidates_.begin(), candidates_.begin() + k, candidates_.end(), before);
  candidates_.resize(static_cast<std::size_t>(k));
}

/// Probabilities but for a common factor; the largest weight is 1.
void Sampler::weigh() {
  const double most = std::min_element(candidates_.begin(), candidates_.end(), before)->logit;
  for (Candidate& c : candidates_) c.weight = std::exp((c.logit - most) / options_.temperature);
}

/// The fewest candidates whose probabilities reach top_p. Only as many are sorted as that takes.
void Sampler::keep_top_p() {
  if (options_.top_p == 1) return;
  double sum = 0, reached = 0;
  for (const Candidate& c : candidates_) sum += c.weight;
  std::ptrdiff_t count = 0, sorted = 0;
  while (count < std::ssize(candidates_) && (count == 0 || reached < options_.top_p * sum)) {
    if (count == sorted) {
      sorted = std::min(std::ssize(candidates_), std::max<std::ptrdiff_t>(64, 4 * sorted));
      std::partial_sort(candidates_.begin() + count, candidates_.begin() + sorted, candidates_.end(), before);
    }
    reached += candidates_[static_cast<std::size_t>(count++)].weight;
  }
  candidates_.resize(static_cast<std::size_t>(count));
}

std::int32_t Sampler::draw() {
  double sum = 0;
  for (const Candidate& c : candidates_) sum += c.weight;
  // 53 random bits, the same on every machine; std::uniform_real_distribution is not.
  double left = static_cast<double>(random_() >> 11) * 0x1p-53 * sum;
  for (const Candidate& c : candidates_) {
    if (left < c.weight) return c.id;
    left -= c.weight;
  }
  return candidates_.back().id;  // the sum was rounded up
}

}  // namespace tca::runtime
