// Text form of a profile (docs/profile.md).
#pragma once

#include <cstdint>
#include <initializer_list>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "tca/profile.h"

namespace tca {

inline constexpr const char* kProfileFormat = "tca-profile/2";
inline constexpr const char* kOldProfileFormat =
    "tca-profile/1";                             // without `default` and `answer_risk`; read, not written
inline constexpr double kShareTolerance = 1e-6;  // of sums and means that are stored beside their parts

constexpr bool is_block_size(std::int64_t size) { return size >= 8 && size <= 256 && (size & (size - 1)) == 0; }

/// Lower-case hex of a SHA-256.
bool is_sha256(const std::string& text);

/// A field that nobody reads is a misspelt one, or belongs to a later format. `where` as in core/json.h.
void refuse_unknown(const nlohmann::json& object, const std::string& where,
                    std::initializer_list<std::string_view> known);
SelectionRule parse_rule(const nlohmann::json& object, const std::string& where);
std::string rule_text(const SelectionRule& rule);

}  // namespace tca
