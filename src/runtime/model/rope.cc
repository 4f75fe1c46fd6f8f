#include "runtime/model/rope.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace tca::runtime {
namespace {

/// Llama 3.1: long wavelengths are divided by the factor, short ones stay, those between are blended.
double llama3_frequency(const RopeConfig& config, double inverse) {
  const double wavelength = 2 * std::numbers::pi / inverse;
  const double longest_kept = config.original_max_position / config.high_freq_factor;
  const double shortest_divided = config.original_max_position / config.low_freq_factor;
  if (wavelength < longest_kept) return inverse;
  if (wavelength > shortest_divided) return inverse / config.factor;
  const double smooth = (config.original_max_position / wavelength - config.low_freq_factor) /
                        (config.high_freq_factor - config.low_freq_factor);
  return (1 - smooth) * inverse / config.factor + smooth * inverse;
}

/// YaRN (arXiv 2309.00071): frequencies that turn more than beta_fast times over the original context stay, those
/// below beta_slow are divided by the factor, a linear ramp over dimensions lies between.
void scale_yarn(const RopeConfig& config, std::int32_t head_dim, std::vector<double>& inverse) {
  const auto dimension_of = [&](double rotations) {
    return head_dim * std::log(config.original_max_position / (rotations * 2 * std::numbers::pi)) /
           (2 * std::log(config.theta));
  };
  double low = dimension_of(config.beta_fast), high = dimension_of(config.beta_slow);
  if (config.truncate) {
    low = std::floor(low);
    high = std::ceil(high);
  }
  low = std::max(low, 0.0);
  high = std::min(high, head_dim - 1.0);
  if (low == high) high += 0.001;  // the ramp of a single dimension
  for (std::size_t i = 0; i < inverse.size(); ++i) {
    const double ramp = std::clamp((static_cast<double>(i) - low) / (high - low), 0.0, 1.0);
    inverse[i] = inverse[i] / config.factor * ramp + inverse[i] * (1 - ramp);
  }
}

double yarn_attention_scaling(const RopeConfig& config) {
  if (config.attention_factor) return *config.attention_factor;
  const auto mscale = [&](double weight) {
    return config.factor <= 1 ? 1.0 : 0.1 * weight * std::log(config.factor) + 1;
  };
  const double of_scale = config.mscale.value_or(0), of_all = config.mscale_all_dim.value_or(0);
  return of_scale != 0 && of_all != 0 ? mscale(of_scale) / mscale(of_all) : mscale(1);
}

double longrope_attention_scaling(const RopeConfig& config) {
  if (config.attention_factor) return *config.attention_factor;
  return config.factor <= 1 ? 1 : std::sqrt(1 + std::log(config.factor) / std::log(config.original_max_position));
}

}  // namespace

RopeFrequencies rope_frequencies(const RopeConfig& config, std::int32_t head_dim, bool long_context) {
  RopeFrequencies result;
  const std::int32_t turned = config.turned(head_dim);
  result.turned = turned / 2;
  for (std::int32_t i = 0; i < turned; i += 2) {
    result.inverse.push_back(std::pow(config.theta, -static_cast<double>(i) / turned));
  }
  switch (config.scaling) {
    case RopeScaling::kNone:
      break;
    case RopeScaling::kLinear:
      for (double& inverse : result.inverse) inverse /= config.factor;
      break;
    case RopeScaling::kLlama3:
      for (double& inverse : result.inverse) inverse = llama3_frequency(config, inverse);
      break;
    case RopeScaling::kYarn:
      scale_yarn(config, turned, result.inverse);
      result.attention_scaling = yarn_attention_scaling(config);
      break;
    case RopeScaling::kFactors:
      for (std::size_t i = 0; i < result.inverse.size(); ++i) result.inverse[i] /= config.factors[i];
      break;
    case RopeScaling::kLongRope:
      for (std::size_t i = 0; i < result.inverse.size(); ++i) {
        result.inverse[i] /= (long_context ? config.long_factors : config.short_factors)[i];
      }
      result.attention_scaling = longrope_attention_scaling(config);
      break;
  }
  result.inverse.resize(static_cast<std::size_t>(head_dim / 2));
  return result;
}

std::vector<RopeFrequencies> model_frequencies(const ModelSpec& model, bool long_context) {
  std::vector<RopeFrequencies> all;
  for (const RopeConfig& rope : model.ropes) all.push_back(rope_frequencies(rope, model.head_dim, long_context));
  return all;
}

void RopeTable::fill(const RopeFrequencies& frequencies, std::int64_t first, std::int64_t n, ThreadPool& pool) {
  half_ = static_cast<std::int64_t>(frequencies.inverse.size());
  cos_.resize(static_cast<std::size_t>(n * half_));
  sin_.resize(static_cast<std::size_t>(n * half_));
  constexpr std::int64_t kRows = 512;  // about 1 ms of sines, so that the pool is not asked for less
  const auto fill_block = [&](std::int64_t block, int) {
    for (std::int64_t row = block * kRows; row < std::min(n, (block + 1) * kRows); ++row) {
      for (std::int64_t i = 0; i < half_; ++i) {
        const double angle = static_cast<double>(first + row) * frequencies.inverse[static_cast<std::size_t>(i)];
        const auto at = static_cast<std::size_t>(row * half_ + i);
        const double scaling = i < frequencies.turned ? frequencies.attention_scaling : 1;  // the others have angle 0
        cos_[at] = static_cast<float>(std::cos(angle) * scaling);
        sin_[at] = static_cast<float>(std::sin(angle) * scaling);
      }
    }
  };
  if (n <= kRows) return fill_block(0, 0);  // a decoded token wakes nobody up
  pool.parallel_for((n + kRows - 1) / kRows, fill_block);
}

}  // namespace tca::runtime
