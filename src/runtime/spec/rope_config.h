// A rotary embedding: which dimensions of a head it turns, and how fast.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace tca::runtime {

enum class RopeScaling { kNone, kLinear, kLlama3, kYarn, kLongRope, kFactors };

struct RopeConfig {
  RopeScaling scaling = RopeScaling::kNone;
  double theta = 10000;
  double factor = 1;
  double share = 1;          // of a head's dimensions that turn, the first ones; 0: none
  bool interleaved = false;  // dimensions 2 i and 2 i + 1 turn together, else i and i + half of those that turn
  // llama3
  double low_freq_factor = 1, high_freq_factor = 4;
  // llama3, yarn, longrope
  double original_max_position = 0;
  // yarn, longrope
  std::optional<double> attention_factor = {};
  // yarn
  double beta_fast = 32, beta_slow = 1;
  std::optional<double> mscale = {}, mscale_all_dim = {};
  bool truncate = true;
  // longrope: what each frequency is divided by in contexts up to original_max_position, and in longer ones
  std::vector<double> short_factors = {}, long_factors = {};
  // factors: what each frequency is divided by
  std::vector<double> factors = {};

  /// One that turns nothing.
  static RopeConfig none();
  std::int32_t turned(std::int32_t head_dim) const;  // dimensions
  /// The program turns dimension i with i + head_dim / 2, and the first ones of both halves when not all turn: where
  /// each dimension of a head of queries or keys comes from. Scores are the same in any order. Empty: as it is.
  std::vector<std::int32_t> head_order(std::int32_t head_dim) const;
  /// Whether the frequencies depend on how long the context will be.
  bool depends_on_context() const { return scaling == RopeScaling::kLongRope; }
  std::string describe() const;  // for fingerprints
  /// Tokens that yarn stretches the context to: the length it was trained with times the factor. Nothing for others.
  std::optional<std::int64_t> reach() const;
};

}  // namespace tca::runtime
