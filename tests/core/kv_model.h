// The KV cache as plainly as it can be written: the oracle of the KV cache tests.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <random>
#include <span>
#include <string>
#include <vector>

#include "tca/attention.h"
#include "tca/kv_cache.h"

namespace tca::testing {

/// Owned k or v rows [num_tokens, num_heads, head_dim] with gaps between rows, filled with noise.
class Rows {
 public:
  Rows(std::mt19937& random, DType dtype, std::int64_t num_tokens, std::int32_t num_heads, std::int32_t head_dim);
  const TensorView& view() const { return view_; }
  /// One row as a pool of `dtype` stores it.
  std::string row(std::int64_t token, std::int32_t head, DType dtype) const;

 private:
  std::vector<float> memory_;  // room for any dtype
  TensorView view_;
};

/// Ascending random positions in [0, count), each with the given chance.
std::vector<std::int32_t> random_positions(std::mt19937& random, std::int64_t count, double chance);
KeptSet random_kept(std::mt19937& random, std::int64_t num_tokens, std::int32_t num_heads, double chance);

struct ModelToken {
  std::int32_t position;
  std::string k, v;  // bytes of the rows
  bool operator==(const ModelToken&) const = default;
};

struct ModelList {
  std::vector<ModelToken> tokens;
  std::int64_t tail_begin = 0;
};

class KvModel {
 public:
  explicit KvModel(const KvShape& shape);

  void store(std::int32_t layer, const Rows& k, const Rows& v, const KeptSet* kept, std::int32_t window);
  void thin(std::int32_t layer, std::int32_t head, std::int64_t count, std::span<const std::int32_t> keep);
  void truncate(std::int64_t num_tokens);
  /// Tokens seen when a layer last dropped or chose some.
  std::int64_t truncation_limit() const;
  /// A file does not hold that; what is not whole counts as dropped now.
  void forget_when_dropped();
  const ModelList& list(std::int32_t layer, std::int32_t head) const { return lists_[index(layer, head)]; }

  /// Compares everything that can be asked of the cache; the first difference in words, or nothing.
  std::optional<std::string> difference(const KvCache& cache) const;

 private:
  std::size_t index(std::int32_t layer, std::int32_t head) const {
    return static_cast<std::size_t>(layer * shape_.num_kv_heads + head);
  }
  std::optional<std::string> list_difference(const KvCache& cache, std::int32_t layer, std::int32_t head) const;

  KvShape shape_;
  std::vector<std::int64_t> num_tokens_;
  std::vector<std::int64_t> dropped_at_;  // [num_layers]
  std::vector<ModelList> lists_;
};

}  // namespace tca::testing
