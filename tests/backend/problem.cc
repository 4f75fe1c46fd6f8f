#include "backend/problem.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <numbers>

#include "core/kv_cache_impl.h"

namespace tca::backend_test {
namespace {

constexpr std::size_t kPoolBytes = std::size_t{256} << 20;
constexpr std::int32_t kHugeInteger = 100;  // exact in bf16; a dot product of 256 stays below 2^24
constexpr double kStrong = 6;               // kDominating: scores of 36 * sqrt(head_dim)

Layout layout_of(Memory memory) {
  if (memory == Memory::kHeadMajor) return Layout::kHeadMajor;
  return memory == Memory::kPadded ? Layout::kPadded : Layout::kTokenMajor;
}

/// A fixed pattern of signs, the direction of the dominating key.
double sign(std::int32_t i) { return std::popcount(static_cast<unsigned>(i) * 0x9e3779b9u) % 2 == 0 ? 1 : -1; }

std::vector<std::int32_t> kept_positions(Random& random, const Case& c, std::int32_t head) {
  const std::int64_t n = c.tokens;
  constexpr double kDensities[] = {0.3, 0.02, 0.9, 0.1};
  if (c.kept == Kept::kRagged) return random_positions(random, n, kDensities[head % 4]);
  std::vector<std::int32_t> positions;
  for (std::int64_t j = 0; j < n; ++j) {
    bool keep = c.kept == Kept::kFull;
    if (c.kept == Kept::kEmptyMiddle) keep = j < n / 8 || j >= n - n / 8;
    if (c.kept == Kept::kMixed) keep = head % 4 == 0 || (head % 4 == 2 && j == n / 2) || (head % 4 == 3 && j % 2 == 1);
    if (keep) positions.push_back(static_cast<std::int32_t>(j));
  }
  return positions;
}

void set_all(TensorBuffer& tensor, double value, std::int64_t first = 0) {
  for (std::int64_t token = first; token < tensor.num_tokens(); ++token) {
    for (std::int32_t head = 0; head < tensor.num_heads(); ++head) {
      for (std::int32_t i = 0; i < tensor.head_dim(); ++i) tensor.set(token, head, i, value);
    }
  }
}

KeptSet make_kept(Random& random, const Case& c) {
  std::vector<std::int64_t> offsets = {0};
  std::vector<std::int32_t> all;
  for (std::int32_t head = 0; head < c.num_kv_heads; ++head) {
    const std::vector<std::int32_t> positions = kept_positions(random, c, head);
    all.insert(all.end(), positions.begin(), positions.end());
    offsets.push_back(static_cast<std::int64_t>(all.size()));
  }
  return {c.tokens, std::move(offsets), std::move(all)};
}

}  // namespace

// SplitMix64.
std::uint64_t Random::next() {
  std::uint64_t z = (state_ += 0x9e3779b97f4a7c15u);
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
  return z ^ (z >> 31);
}

double Random::uniform() { return static_cast<double>(next() >> 11) * 0x1p-53; }

double Random::normal() {
  const double radius = std::sqrt(-2 * std::log(1 - uniform()));
  return radius * std::cos(2 * std::numbers::pi * uniform());
}

std::vector<std::int32_t> random_positions(Random& random, std::int64_t num_tokens, double density) {
  std::vector<std::int32_t> positions;
  for (std::int64_t j = 0; j < num_tokens; ++j) {
    if (random.uniform() < density) positions.push_back(static_cast<std::int32_t>(j));
  }
  return positions;
}

Problem::Problem(const Case& c)
    : case_(c),
      random_(c.seed),
      q_(c.dtype, c.num_queries(), c.num_heads, c.head_dim, layout_of(c.memory)),
      k_(c.dtype, c.tokens, c.num_kv_heads, c.head_dim, layout_of(c.memory)),
      v_(c.dtype, c.tokens, c.num_kv_heads, c.head_dim, layout_of(c.memory)) {
  if (c.past != PastKind::kNone) make_past();
  fill(k_, Role::kKey);
  fill(v_, Role::kValue);
  if (c.values == Values::kNonFinite && c.tokens > 0) {
    for (std::int32_t head = 0; head < c.num_kv_heads; ++head) {
      v_.set(0, head, 3, INFINITY);
      v_.set(0, head, 20, NAN);
    }
  }
  fill_queries();
  if (c.kept != Kept::kDense) kept_ = make_kept(random_, c);
}

void Problem::fill(TensorBuffer& tensor, Role role) {
  for (std::int64_t token = 0; token < tensor.num_tokens(); ++token) {
    for (std::int32_t head = 0; head < tensor.num_heads(); ++head) {
      for (std::int32_t i = 0; i < tensor.head_dim(); ++i) {
        double value = random_.normal();
        if (role == Role::kKey && case_.values == Values::kHuge)
          value = random_.below(2 * kHugeInteger + 1) - kHugeInteger;
        if (role == Role::kKey && case_.values == Values::kEqual) value = 0.5;
        if (role == Role::kValue && case_.values == Values::kTiny) value *= 1e-6;
        if (role == Role::kValue && case_.values == Values::kOverflow) value = 1e6;
        if (role == Role::kValue && case_.values == Values::kLoudPast && &tensor != &v_) value *= 100;
        const bool dominates = &tensor == &k_ && token == case_.tokens / 2;
        if (dominates && case_.values == Values::kDominating) value = kStrong * sign(i);
        tensor.set(token, head, i, value);
      }
    }
  }
}

void Problem::fill_queries() {
  const std::int32_t group = case_.num_heads / case_.num_kv_heads;
  for (std::int64_t r = 0; r < q_.num_tokens(); ++r) {
    for (std::int32_t head = 0; head < case_.num_heads; ++head) {
      // A key up to its own; queries may be more than tokens where they follow the segment.
      const std::int64_t liked = random_.below(std::max<std::int64_t>(1, case_.tokens - q_.num_tokens() + r + 1));
      for (std::int32_t i = 0; i < case_.head_dim; ++i) {
        double value = random_.normal();
        if (case_.values == Values::kPeaked) value = 0.5 * value + 2 * k_.at(liked, head / group, i);
        if (case_.values == Values::kHuge) value = random_.below(2 * kHugeInteger + 1) - kHugeInteger;
        if (case_.values == Values::kDominating) value += kStrong * sign(i);
        q_.set(r, head, i, value);
      }
    }
  }
}

void Problem::store_random(KvCache& cache, std::int32_t layer, std::int64_t num_tokens, const KeptSet* kept,
                           std::int32_t window) {
  if (num_tokens == 0) return;
  TensorBuffer k(case_.dtype, num_tokens, case_.num_kv_heads, case_.head_dim);
  TensorBuffer v(case_.dtype, num_tokens, case_.num_kv_heads, case_.head_dim);
  fill(k, Role::kKey);
  fill(v, Role::kValue);
  cache.store(layer, k.view(), v.view(), kept, window);
}

/// Of the older half of every head's tail, head 0 keeps nothing, head 1 everything, the others some.
void Problem::thin_tails() {
  for (std::int32_t head = 0; head < case_.num_kv_heads; ++head) {
    const std::int64_t count = (cache_->length(kLayer, head) - cache_->tail_begin(kLayer, head)) / 2;
    cache_->thin(kLayer, head, count, random_positions(random_, count, head == 0 ? 0.0 : head == 1 ? 1.0 : 0.4));
  }
}

void Problem::make_past() {
  const std::int64_t n = case_.past_tokens;
  cache_.emplace(
      KvPool::create(kPoolBytes, case_.head_dim, case_.dtype),
      KvShape{.num_layers = 2, .num_kv_heads = case_.num_kv_heads, .head_dim = case_.head_dim, .dtype = case_.dtype});
  store_random(*cache_, 1 - kLayer, 3);
  if (case_.past == PastKind::kThinned) {
    Case first = case_;
    first.tokens = n * 2 / 3;
    first.kept = Kept::kRagged;
    const KeptSet kept = make_kept(random_, first);
    store_random(*cache_, kLayer, first.tokens, &kept, 20);
    store_random(*cache_, kLayer, n - first.tokens);
    thin_tails();
  } else {
    store_random(*cache_, kLayer, n / 3);
    store_random(*cache_, kLayer, n - n / 3);
  }
  if (case_.past == PastKind::kEmptyHeads) cache_->thin(kLayer, 0, cache_->length(kLayer, 0), {});
  if (case_.past == PastKind::kFork) {
    sibling_.emplace(std::move(*cache_));
    cache_.emplace(sibling_->fork());
    store_random(*sibling_, kLayer, 9);
  }
  poison_unused_slots(*cache_);
}

void Problem::store_segment() {
  if (!cache_) make_past();
  cache_->store(kLayer, k(), v());
  poison_unused_slots(*cache_);
}

void Problem::thin_head(std::int32_t kv_head, std::initializer_list<std::int32_t> keep) {
  const std::int64_t tail = cache_->length(kLayer, kv_head) - cache_->tail_begin(kLayer, kv_head);
  cache_->thin(kLayer, kv_head, tail, std::vector(keep));
}

void Problem::let_the_past_win() {
  TensorBuffer past(case_.dtype, 1, case_.num_kv_heads, case_.head_dim);
  set_all(past, 5);
  set_all(q_, 5);
  set_all(k_, 0.1);
  cache_->clear();
  cache_->store(kLayer, past.view(), past.view());
}

void Problem::hide_keys_from(std::int64_t token) {
  for (std::int64_t t = 0; t < k_.num_tokens(); ++t) {
    for (std::int32_t head = 0; head < k_.num_heads(); ++head) k_.set(t, head, 0, t < token ? 0 : -128);
  }
  for (std::int64_t t = 0; t < q_.num_tokens(); ++t) {
    for (std::int32_t head = 0; head < q_.num_heads(); ++head) q_.set(t, head, 0, 8);
  }
}

void Problem::spoil_key(std::int64_t token) { k_.set(token, 0, 0, NAN); }

void Problem::overwrite_from(std::int64_t token, double value) {
  for (TensorBuffer* tensor : {&q_, &k_, &v_}) set_all(*tensor, value, token);
}

Output Problem::output() const {
  const bool in_place = case_.memory == Memory::kInPlace;
  const TensorBuffer fresh(case_.out_dtype, q_.num_tokens(), case_.num_heads, case_.head_dim, layout_of(case_.memory));
  return {.out = in_place ? q_ : fresh,
          .lse = std::vector<float>(static_cast<std::size_t>(q_.num_tokens() * case_.num_heads), NAN),
          .in_place = in_place};
}

Output Problem::oracle_output() const {
  return {.out = TensorBuffer(DType::kF32, q_.num_tokens(), case_.num_heads, case_.head_dim),
          .lse = std::vector<float>(static_cast<std::size_t>(q_.num_tokens() * case_.num_heads), NAN)};
}

PrefillParams Problem::prefill(Output& output) const {
  return {.q = output.in_place ? TensorView(output.out.view()) : q(),
          .k = k(),
          .v = v(),
          .out = output.out.view(),
          .past = past(),
          .kept = kept(),
          .window = case_.window,
          .sinks = case_.sinks,
          .scale = case_.scale,
          .lse = output.lse};
}

DecodeParams Problem::decode(Output& output) const {
  return {.q = output.in_place ? TensorView(output.out.view()) : q(),
          .out = output.out.view(),
          .cache = cache(),
          .layer = kLayer,
          .scale = case_.scale,
          .lse = output.lse};
}

CertifyParams Problem::certify(std::span<const std::int32_t> rows, const TensorView& row_queries) const {
  return {.q = row_queries,
          .rows = rows,
          .k = k(),
          .v = v(),
          .past = past(),
          .kept = kept(),
          .window = case_.window,
          .sinks = case_.sinks,
          .scale = case_.scale};
}

ProbeParams Problem::probe(std::int32_t pool_width) const {
  return {.q = q(), .k = k(), .past = past(), .pool_width = pool_width, .scale = case_.scale};
}

SelectParams Problem::select(std::span<const BlockShares> shares, const SelectionRule& rule) const {
  return {.q = q(), .k = k(), .past = past(), .shares = shares, .rule = rule, .scale = case_.scale};
}

std::vector<BlockShares> make_shares(Shares kind, std::int32_t block_size, std::int32_t num_kv_heads) {
  BlockShares log_gaussian = BlockShares::window(block_size);
  double sum = 0;
  for (std::size_t i = 0; i < log_gaussian.share.size(); ++i) {
    const double x = static_cast<double>(i) - static_cast<double>(log_gaussian.share.size()) / 2;
    sum += log_gaussian.share[i] = std::exp(-x * x / 8);
  }
  for (double& share : log_gaussian.share) share /= sum;
  BlockShares few = BlockShares::window(block_size);
  few.share.front() = 0.9;
  few.share.back() = 0.1;
  const BlockShares by_kind[] = {BlockShares::full(block_size), BlockShares::window(block_size), log_gaussian, few};
  std::vector<BlockShares> shares;
  for (std::int32_t head = 0; head < num_kv_heads; ++head) {
    shares.push_back(by_kind[kind == Shares::kRagged ? head % 4 : static_cast<std::int32_t>(kind)]);
  }
  return shares;
}

void poison_unused_slots(const KvCache& cache) {
  KvCacheAccess::Impl& impl = KvCacheAccess::impl(cache);
  const std::size_t row_bytes = impl.pages->row_bytes;
  for (const KvList& list : impl.lists) {
    if (list.length % kPageTokens == 0) continue;
    const auto used = list.length % kPageTokens;
    std::vector<std::byte> k(kPageTokens * row_bytes, std::byte{0xff}), v = k;
    impl.pages->read_rows(list.pages.back(), used, k.data(), v.data());
    impl.pages->write_rows(list.pages.back(), kPageTokens, k.data(), v.data());
  }
}

}  // namespace tca::backend_test
