// Checks of every operation's parameters, in one place for all backends. Each throws kInvalidArgument that names the
// operation, the parameter and its value; a backend calls them first and may then rely on every documented shape, and
// that the pages of every cache are of the kind it reads.
#pragma once

#include <cstdint>
#include <span>

#include "tca/attention.h"
#include "tca/kv_cache.h"

namespace tca {

/// Tokens the past's layer has seen, dropped ones included; 0 without a cache.
std::int64_t past_tokens(const Past& past);

/// The factor on q.k: scale, or 1 / sqrt(head_dim) when it is 0.
float resolve_scale(float scale, std::int32_t head_dim);

void validate_params(const ProbeParams& params, std::span<const float> out, PageLayout pages = PageLayout::kRows);
void validate_params(const SelectParams& params, PageLayout pages = PageLayout::kRows);
void validate_params(const CertifyParams& params, std::span<const float> deltas, PageLayout pages = PageLayout::kRows);
/// The whole batch is checked before anything is computed.
void validate_params(std::span<const PrefillParams> batch, PageLayout pages = PageLayout::kRows);
void validate_params(std::span<const DecodeParams> batch, PageLayout pages = PageLayout::kRows);
void validate_params(std::span<const TailScoreParams> batch, PageLayout pages = PageLayout::kRows);

}  // namespace tca
