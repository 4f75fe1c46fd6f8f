#include "runtime/model/answer_steps.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

#include "runtime/model/answer_kernels.h"

namespace tca::runtime {
namespace {

constexpr std::int64_t kRows = 16;  // of a task

template <class Task>
void for_rows(std::int64_t rows, ThreadPool& pool, const Task& task) {
  pool.parallel_for((rows + kRows - 1) / kRows, [&](std::int64_t block, int) {
    for (std::int64_t row = block * kRows; row < std::min(rows, (block + 1) * kRows); ++row) task(row);
  });
}

}  // namespace

void rms_norm_back(const RmsNormBack& p, ThreadPool& pool) {
  for_rows(p.rows, pool, [&](std::int64_t row) {
    const float* const x = p.x + row * p.width;
    const float* const d_out = p.d_out + row * p.width;
    float* const d_x = p.d_x + row * p.width;
    double squares = 0, along = 0;  // along: of the gradient, in the direction of x
    for (std::int64_t i = 0; i < p.width; ++i) {
      squares += static_cast<double>(x[i]) * x[i];
      along += static_cast<double>(x[i]) * p.weight[i] * d_out[i];
    }
    const auto width = static_cast<double>(p.width);
    const double factor = 1 / std::sqrt(squares / width + p.eps);
    const auto own = static_cast<float>(factor), shared = static_cast<float>(factor * factor * factor * along / width);
    for (std::int64_t i = 0; i < p.width; ++i) {
      const float back = own * p.weight[i] * d_out[i] - shared * x[i];
      d_x[i] = p.add ? d_x[i] + back : back;
    }
  });
}

void activate_back(Activation activation, float* gate, float* up, const float* out, std::int64_t rows,
                   std::int64_t width, ThreadPool& pool) {
  for_rows(rows, pool, [&](std::int64_t row) {
    kernels::activate_back(activation, gate + row * width, up + row * width, out + row * width, width);
  });
}

AnswerMargins::AnswerMargins(const Linear& lm_head, ThreadPool& pool)
    : lm_head_(&lm_head), back_(transposed(lm_head)), pool_(&pool) {}

void AnswerMargins::run(const float* x, std::span<const std::int32_t> targets, MatrixProducts& products,
                        double* margins, float* d_x) {
  constexpr std::int64_t kChunk = 192;  // 117 MB of logits for a vocabulary of 152K
  const std::int64_t vocab = lm_head_->out, hidden = lm_head_->in, rows = std::ssize(targets);
  logits_.floats(std::min(rows, kChunk) * vocab);
  for (std::int64_t first = 0; first < rows; first += kChunk) {
    const std::int64_t count = std::min(kChunk, rows - first);
    const Product forth{.linear = lm_head_,
                        .x = x + first * hidden,
                        .x_dtype = DType::kF32,
                        .out = logits_.data(),
                        .out_dtype = DType::kF32};
    products.run(count, std::array{forth}, *pool_);
    pool_->parallel_for(count, [&](std::int64_t row, int) {
      float* const logits = logits_.as<float>() + row * vocab;
      float& target = logits[targets[static_cast<std::size_t>(first + row)]];
      const double value = target;
      target = -std::numeric_limits<float>::infinity();
      const float top = kernels::largest(logits, vocab);
      const double sum = kernels::exponentials(logits, vocab, top);
      margins[first + row] = value - (top + std::log(sum));
      kernels::scale_row(logits, vocab, static_cast<float>(-1 / sum));
      target = 1;
    });
    if (d_x == nullptr) continue;
    const Product back{.linear = &back_,
                       .x = logits_.data(),
                       .x_dtype = DType::kF32,
                       .out = d_x + first * hidden,
                       .out_dtype = DType::kF32};
    products.run(count, std::array{back}, *pool_);
  }
}

}  // namespace tca::runtime
