#include "calibration/answer_risk.h"

#include <algorithm>
#include <cmath>

#include "calibration/risk_layout.h"
#include "core/check.h"
#include "runtime/model/answer_kernels.h"
#include "runtime/model/buffer.h"
#include "runtime/model/document_heads.h"
#include "runtime/model/fp32_product.h"

namespace tca::calibration {
namespace {

using runtime::Buffer;

// As in attention's way back: twice 192 KiB of scores and products stay in the second cache level.
constexpr std::int64_t kBlockQueries = 192;
constexpr std::int64_t kTileTokens = runtime::DocumentHeads::kTile;
// Less probability than this cannot be divided by in fp32.
constexpr double kNothing = 1e-30;

/// Probability, and probability times gradient . value.
struct Mass {
  double probability = 0, product = 0;
  double mean() const { return probability < kNothing ? 0 : product / probability; }
};

class MarginChanges {
 public:
  MarginChanges(const MarginChangeParams& params, const RiskOptions& options, ThreadPool& pool)
      : rows_(*params.rows),
        questions_(params.questions),
        tokens_(params.document.k.num_tokens),
        options_(options.count()),
        pool_(pool),
        shape_{rows_.q.num_heads, rows_.k.num_heads, rows_.q.head_dim},
        layouts_(static_cast<std::size_t>(shape_.kv_heads)),
        workers_(static_cast<std::size_t>(pool.num_threads())) {
    std::vector<std::int32_t> order(static_cast<std::size_t>(shape_.kv_heads * tokens_));
    pool.parallel_for(shape_.kv_heads, [&](std::int64_t head, int) {
      RiskLayout& layout = layouts_[static_cast<std::size_t>(head)];
      layout =
          lay_out(params.scores.subspan(static_cast<std::size_t>(head * tokens_), static_cast<std::size_t>(tokens_)),
                  options, kTileTokens);
      std::copy(layout.order.begin(), layout.order.end(), order.begin() + head * tokens_);
    });
    document_.fill(params.document, order, pool);
  }

  std::vector<double> run() {
    const std::int64_t questions = std::ssize(questions_);
    std::vector<double> changes(static_cast<std::size_t>(shape_.kv_heads * questions) * options_);
    pool_.parallel_for(shape_.kv_heads * questions, [&](std::int64_t item, int thread) {
      const auto question = static_cast<std::size_t>(item % questions);
      const std::int64_t begin = questions_[question],
                         end = question + 1 < questions_.size() ? questions_[question + 1] : rows_.q.num_tokens;
      const std::int64_t size = std::max<std::int64_t>(1, kBlockQueries / shape_.group());
      for (std::int64_t first = begin; first < end; first += size) {
        add_block({item / questions, begin, first, std::min(size, end - first)},
                  std::span(changes).subspan(static_cast<std::size_t>(item) * options_, options_),
                  workers_[static_cast<std::size_t>(thread)]);
      }
    });
    return changes;
  }

 private:
  struct Block {
    std::int64_t kv_head, question, first, count;  // question: its first row
  };
  struct Worker {
    Buffer q, gradient;         // [block, d]
    Buffer k, v;                // [question's rows, d]
    Buffer scores, products;    // [block, tile]
    Buffer sums, product_sums;  // [block, runs of the document]
    std::vector<Mass> own;      // [block]
    std::vector<Mass> before;   // [runs + 1] of one row: everything before a run
    std::vector<std::int32_t> tile_ends;
    runtime::fp32::Scratch scratch;
  };

  std::size_t query(const Block& block, std::int64_t i) const {  // in [R, Hq]
    const std::int64_t group = shape_.group(), row = block.first + i / group;
    return static_cast<std::size_t>(row * shape_.heads + block.kv_head * group + i % group);
  }

  void add_block(const Block& block, std::span<double> changes, Worker& worker) const {
    const std::int64_t n = block.count * shape_.group(), dim = shape_.dim;
    const auto scale = static_cast<float>(1 / std::sqrt(static_cast<double>(dim)));
    gather_group(static_cast<const float*>(rows_.q.data), shape_, block.kv_head, block.first, block.count, scale,
                 worker.q.floats(n * dim));
    gather_group(static_cast<const float*>(rows_.gradient.data), shape_, block.kv_head, block.first, block.count, 1,
                 worker.gradient.floats(n * dim));
    worker.scores.floats(n * kTileTokens + runtime::kernels::kReadBeyond);
    worker.products.floats(n * kTileTokens + runtime::kernels::kReadBeyond);
    sum_document(block, worker);
    sum_own(block, worker);
    const RiskLayout& layout = layouts_[static_cast<std::size_t>(block.kv_head)];
    for (std::int64_t i = 0; i < n; ++i) add_query(i, layout, changes, worker);
  }

  /// Scores and products with gradients, of keys and values [tokens, d] or, stride > 0, [d, stride].
  void multiply(const Worker& worker, std::int64_t n, const float* k, const float* v, std::int64_t tokens,
                std::int64_t stride, runtime::fp32::Scratch& scratch) const {
    runtime::kernels::MultiplyRows product{.x = worker.q.data(),
                                           .weight = k,
                                           .out = worker.scores.data(),
                                           .rows = n,
                                           .in = shape_.dim,
                                           .columns = tokens,
                                           .out_stride = tokens,
                                           .dtype = DType::kF32,
                                           .weight_dtype = DType::kF32};
    const auto run = [&] {
      if (stride > 0) return runtime::fp32::multiply_transposed_block(product, stride, scratch);
      runtime::fp32::multiply_block(product, nullptr, scratch);
    };
    run();
    product.x = worker.gradient.data();
    product.weight = v;
    product.out = worker.products.data();
    run();
  }

  /// Of every run of the document.
  void sum_document(const Block& block, Worker& worker) const {
    const std::vector<std::int32_t>& ends = layouts_[static_cast<std::size_t>(block.kv_head)].ends;
    const std::int64_t n = block.count * shape_.group(), runs = std::ssize(ends);
    float* const sums = worker.sums.floats(n * runs);
    float* const product_sums = worker.product_sums.floats(n * runs);
    std::int64_t run = 0;
    for (std::int64_t begin = 0; begin < tokens_; begin += kTileTokens) {
      const std::int64_t count = std::min(kTileTokens, tokens_ - begin);
      multiply(worker, n, document_.k_tiles(block.kv_head) + begin * shape_.dim,
               document_.v_tiles(block.kv_head) + begin * shape_.dim, count, kTileTokens, worker.scratch);
      worker.tile_ends.clear();
      const std::int64_t first = run;
      for (; run < runs && ends[static_cast<std::size_t>(run)] <= begin + count; ++run) {
        worker.tile_ends.push_back(ends[static_cast<std::size_t>(run)] - static_cast<std::int32_t>(begin));
      }
      for (std::int64_t i = 0; i < n; ++i) {
        runtime::kernels::probability_sums(
            worker.scores.as<float>() + i * count, worker.products.as<float>() + i * count, worker.tile_ends,
            rows_.lse[query(block, i)], sums + i * runs + first, product_sums + i * runs + first);
      }
    }
  }

  /// Of the question's rows up to each row itself.
  void sum_own(const Block& block, Worker& worker) const {
    const std::int64_t group = shape_.group(), n = block.count * group, dim = shape_.dim;
    const std::int64_t seen = block.first + block.count - block.question;
    float* const k = worker.k.floats(seen * dim);
    float* const v = worker.v.floats(seen * dim);
    for (std::int64_t row = 0; row < seen; ++row) {
      std::copy_n(static_cast<const float*>(rows_.k.row(block.question + row, block.kv_head)), dim, k + row * dim);
      std::copy_n(static_cast<const float*>(rows_.v.row(block.question + row, block.kv_head)), dim, v + row * dim);
    }
    worker.own.assign(static_cast<std::size_t>(n), {});
    for (std::int64_t begin = 0; begin < seen; begin += kTileTokens) {
      const std::int64_t count = std::min(kTileTokens, seen - begin);
      multiply(worker, n, k + begin * dim, v + begin * dim, count, 0, worker.scratch);
      for (std::int64_t i = 0; i < n; ++i) {
        const std::int64_t last = block.first + i / group - block.question;
        const auto visible = static_cast<std::int32_t>(std::clamp<std::int64_t>(last + 1 - begin, 0, count));
        if (visible == 0) continue;
        float probability = 0, product = 0;
        runtime::kernels::probability_sums(worker.scores.as<float>() + i * count,
                                           worker.products.as<float>() + i * count, std::span(&visible, 1),
                                           rows_.lse[query(block, i)], &probability, &product);
        worker.own[static_cast<std::size_t>(i)].probability += probability;
        worker.own[static_cast<std::size_t>(i)].product += product;
      }
    }
  }

  void add_query(std::int64_t i, const RiskLayout& layout, std::span<double> changes, Worker& worker) const {
    const std::size_t runs = layout.ends.size();
    const float* const sums = worker.sums.as<float>() + i * static_cast<std::int64_t>(runs);
    const float* const product_sums = worker.product_sums.as<float>() + i * static_cast<std::int64_t>(runs);
    worker.before.resize(runs + 1);
    Mass all;
    for (std::size_t run = 0; run < runs; ++run) {
      worker.before[run] = all;
      all.probability += sums[run];
      all.product += product_sums[run];
    }
    worker.before[runs] = all;
    const Mass own = worker.own[static_cast<std::size_t>(i)];
    const double full = Mass{all.probability + own.probability, all.product + own.product}.mean();
    for (std::size_t option = 0; option < options_; ++option) {
      Mass kept = own;
      for (const RiskLayout::Run& run : layout.kept[option]) {
        const Mass &end = worker.before[static_cast<std::size_t>(run.end)],
                   &begin = worker.before[static_cast<std::size_t>(run.begin)];
        kept.probability += end.probability - begin.probability;
        kept.product += end.product - begin.product;
      }
      changes[option] += kept.mean() - full;
    }
  }

  const runtime::LayerGradient& rows_;
  std::span<const std::int64_t> questions_;
  std::int64_t tokens_;
  std::size_t options_;
  ThreadPool& pool_;
  runtime::HeadShape shape_;
  std::vector<RiskLayout> layouts_;
  std::vector<Worker> workers_;
  runtime::DocumentHeads document_;
};

}  // namespace

std::vector<double> margin_changes(const MarginChangeParams& params, const RiskOptions& options, ThreadPool& pool) {
  check_risk_options(options);
  const std::int64_t wanted = params.document.k.num_tokens * params.document.k.num_heads;
  check_argument(std::ssize(params.scores) == wanted, "there are ", params.scores.size(), " scores; expected ", wanted,
                 ", one for each token and KV head of the document");
  return MarginChanges(params, options, pool).run();
}

}  // namespace tca::calibration
