#include "runtime/model/experts.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <numeric>

#include "runtime/model/ops.h"

namespace tca::runtime {
namespace {

// Rows that experts with equally many of them take together: decoding is one step, a long chunk one expert at a time.
constexpr std::int64_t kRowsTogether = 1024;

/// The experts with the largest logits, ties to the lower, in ascending order; and their shares.
void choose(const ExpertsSpec& spec, std::span<const float> logits, std::int32_t* chosen, float* shares) {
  std::vector<std::int32_t> order(logits.size());
  std::iota(order.begin(), order.end(), 0);
  const auto logit = [&](std::int32_t i) { return logits[static_cast<std::size_t>(i)]; };
  std::partial_sort(order.begin(), order.begin() + spec.chosen, order.end(),
                    [&](std::int32_t a, std::int32_t b) { return logit(a) != logit(b) ? logit(a) > logit(b) : a < b; });
  const double top = logit(order[0]);
  double sum = 0;
  const auto counted = spec.renormalise ? static_cast<std::size_t>(spec.chosen) : order.size();
  for (std::size_t i = 0; i < counted; ++i) sum += std::exp(logit(order[i]) - top);
  std::sort(order.begin(), order.begin() + spec.chosen);
  for (std::int32_t i = 0; i < spec.chosen; ++i) {
    chosen[i] = order[static_cast<std::size_t>(i)];
    shares[i] = static_cast<float>(std::exp(logit(chosen[i]) - top) / sum);
  }
}

}  // namespace

void ExpertMlp::run(const Params& p, MatrixProducts& products, ThreadPool& pool) {
  route(p, products, pool);
  const std::vector<Group> groups = sort_by_expert(p);
  for (std::size_t begin = 0, end = 0; begin < groups.size(); begin = end) {
    const std::int64_t count = groups[begin].count;
    const std::int64_t most = std::max<std::int64_t>(1, kRowsTogether / count);
    while (end < groups.size() && groups[end].count == count && static_cast<std::int64_t>(end - begin) < most) {
      ++end;
    }
    multiply(p, std::span(groups).subspan(begin, end - begin), products, pool);
  }
}

void ExpertMlp::route(const Params& p, MatrixProducts& products, ThreadPool& pool) {
  const std::int64_t experts = p.weights->router.out, chosen = p.spec->chosen;
  const Product product{.linear = &p.weights->router,
                        .x = p.x,
                        .x_dtype = p.dtype,
                        .out = logits_.floats(p.rows * experts),
                        .out_dtype = DType::kF32};
  products.run(p.rows, std::array{product}, pool, p.cancel);
  chosen_.resize(static_cast<std::size_t>(p.rows * chosen));
  shares_.resize(chosen_.size());
  for_row_blocks(p.rows, pool, [&](std::int64_t begin, std::int64_t rows) {
    for (std::int64_t row = begin; row < begin + rows; ++row) {
      choose(*p.spec, {logits_.as<float>() + row * experts, static_cast<std::size_t>(experts)},
             chosen_.data() + row * chosen, shares_.data() + row * chosen);
    }
  });
}

/// Experts with rows, those with fewer first.
std::vector<ExpertMlp::Group> ExpertMlp::sort_by_expert(const Params& p) {
  const auto experts = static_cast<std::size_t>(p.weights->router.out);
  std::vector<Group> groups(experts);
  for (const std::int32_t expert : chosen_) ++groups[static_cast<std::size_t>(expert)].count;
  std::int64_t first = 0;
  for (std::size_t e = 0; e < experts; ++e) {
    groups[e].expert = static_cast<std::int32_t>(e);
    groups[e].first = first;
    first += groups[e].count;
  }
  slots_.resize(chosen_.size());
  std::vector<std::int64_t> next(experts);
  for (std::size_t i = 0; i < chosen_.size(); ++i) {
    const auto e = static_cast<std::size_t>(chosen_[i]);
    slots_[static_cast<std::size_t>(groups[e].first + next[e]++)] = {static_cast<std::int64_t>(i) / p.spec->chosen,
                                                                     shares_[i]};
  }
  std::erase_if(groups, [](const Group& group) { return group.count == 0; });
  std::stable_sort(groups.begin(), groups.end(), [](const Group& a, const Group& b) { return a.count < b.count; });
  return groups;
}

/// Groups of equally many rows, as one step.
void ExpertMlp::multiply(const Params& p, std::span<const Group> groups, MatrixProducts& products, ThreadPool& pool) {
  const std::int64_t count = groups[0].count, total = count * std::ssize(groups);
  const std::int64_t hidden = p.weights->router.in, inner = p.weights->experts[0].gate.out, size = size_of(p.dtype);
  gather(p, groups, pool);
  gate_.reserve(static_cast<std::size_t>(total * inner * size));
  up_.reserve(static_cast<std::size_t>(total * inner * size));
  std::vector<Product> opening, closing;
  float* const down = down_.floats(total * hidden);
  for (std::size_t g = 0; g < groups.size(); ++g) {
    const MlpWeights& w = p.weights->experts[static_cast<std::size_t>(groups[g].expert)];
    const std::int64_t row = static_cast<std::int64_t>(g) * count;
    const auto rows_of = [&](const Buffer& buffer, std::int64_t width) { return buffer.data() + row * width * size; };
    const auto open = [&](const Linear& linear, const Buffer& out) {
      opening.push_back({.linear = &linear,
                         .x = rows_of(x_, hidden),
                         .x_dtype = p.dtype,
                         .out = rows_of(out, inner),
                         .out_dtype = p.dtype});
    };
    open(w.gate, gate_);
    open(w.up, up_);
    closing.push_back({.linear = &w.down,
                       .x = rows_of(gate_, inner),
                       .x_dtype = p.dtype,
                       .out = down + row * hidden,
                       .out_dtype = DType::kF32});
  }
  products.run(count, opening, pool, p.cancel);
  activate(p.activation, gate_.data(), up_.data(), p.dtype, total, inner, pool);
  products.run(count, closing, pool, p.cancel);
  scatter(p, groups, pool);
}

void ExpertMlp::gather(const Params& p, std::span<const Group> groups, ThreadPool& pool) {
  const std::int64_t count = groups[0].count, total = count * std::ssize(groups);
  const std::int64_t row_bytes = p.weights->router.in * size_of(p.dtype);
  std::byte* const to = x_.reserve(static_cast<std::size_t>(total * row_bytes));
  for_row_blocks(total, pool, [&](std::int64_t begin, std::int64_t rows) {
    for (std::int64_t i = begin; i < begin + rows; ++i) {
      const Group& group = groups[static_cast<std::size_t>(i / count)];
      const Slot& slot = slots_[static_cast<std::size_t>(group.first + i % count)];
      std::memcpy(to + i * row_bytes, static_cast<const std::byte*>(p.x) + slot.row * row_bytes,
                  static_cast<std::size_t>(row_bytes));
    }
  });
}

/// Columns in parallel: a row may be in several groups, and is added up in their order.
void ExpertMlp::scatter(const Params& p, std::span<const Group> groups, ThreadPool& pool) const {
  constexpr std::int64_t kColumns = 256;
  const std::int64_t count = groups[0].count, total = count * std::ssize(groups), hidden = p.weights->router.in;
  const float* const down = down_.as<float>();
  pool.parallel_for((hidden + kColumns - 1) / kColumns, [&](std::int64_t block, int) {
    const std::int64_t begin = block * kColumns, end = std::min(hidden, begin + kColumns);
    for (std::int64_t i = 0; i < total; ++i) {
      const Group& group = groups[static_cast<std::size_t>(i / count)];
      const Slot& slot = slots_[static_cast<std::size_t>(group.first + i % count)];
      const float share = p.factor * slot.share;
      float* const out = p.out + slot.row * hidden;
      for (std::int64_t c = begin; c < end; ++c) out[c] += share * down[i * hidden + c];
    }
  });
}

void ExpertMlp::release() {
  for (Buffer* buffer : {&logits_, &x_, &gate_, &up_, &down_}) buffer->release();
  chosen_ = {};
  shares_ = {};
  slots_ = {};
}

}  // namespace tca::runtime
